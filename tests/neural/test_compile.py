"""Terms as modules: they compute what the hard engine does, and learn as modules do."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import functional_call, grad, vmap

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import (
    Hard,
    Ragged,
    Soft,
    Support,
    TermModule,
    compile_term,
    from_batch,
    to_batch,
)
from metaloom_metalearn.engines.hard.evaluator import Evaluator
from metaloom_registry import (
    BOOL,
    INT,
    Digest,
    EvaluationError,
    Loaded,
    PrimitiveTable,
    Reference,
    Type,
    TypeMismatch,
    list_of,
    parse_term,
    parse_type,
)

TABLE = PrimitiveTable((*LISTS, *HEADS))
ENCODER = Reference(None, Digest.of(b"encoder"))
LISTS_OF_INT = list_of(INT)


class World:
    """The primitives, and blocks by the names given."""

    def __init__(self, **blocks: tuple[str, Loaded]) -> None:
        self.blocks = {name: block for name, (_, block) in blocks.items()}
        self.references = {n: Reference(None, Digest.of(n.encode())) for n in blocks}
        self.loaded = {self.references[n]: block for n, (_, block) in blocks.items()}
        self.types = {self.references[n]: parse_type(t) for n, (t, _) in blocks.items()}
        self.names = {**TABLE.short_names, **self.references}

    def resolve(self, reference: Reference) -> Loaded:
        return self.loaded[reference] if reference in self.loaded else TABLE[reference]

    def type_of(self, reference: Reference) -> Type:
        return self.types[reference] if reference in self.types else TABLE[reference].signature

    def compiled(self, text: str, mode: Hard | Soft = Hard()) -> TermModule:  # noqa: B008
        return compile_term(parse_term(text, self.names), self.type_of, self.resolve, mode)


def ragged(*lists: list[int]) -> Ragged:
    batch = to_batch(tuple(map(tuple, lists)), LISTS_OF_INT)
    assert isinstance(batch, Ragged)
    return batch


def lists(value: object) -> object:
    return from_batch(value, LISTS_OF_INT)


# Random well-typed terms of the primitives that have a batched form

_LEAVES: dict[str, list[str]] = {
    "int": ["0", "1", "-3", "7"],
    "bool": ["true", "false"],
    "list": ["empty", "(range 3)", "(singleton 5)"],
}
_MAKERS: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "int": [
        ("add", ("int", "int")), ("subtract", ("int", "int")), ("multiply", ("int", "int")),
        ("modulo", ("int", "int")), ("divide", ("int", "int")), ("negate", ("int",)),
        ("absolute", ("int",)), ("min", ("int", "int")), ("max", ("int", "int")),
        ("length", ("list",)), ("sum", ("list",)), ("head", ("list",)), ("last", ("list",)),
        ("maximum", ("list",)), ("minimum", ("list",)), ("index", ("int", "list")),
        ("if", ("bool", "int", "int")), ("fold", ("int>int>int", "int", "list")),
        ("count", ("int>bool", "list")),
    ],
    "bool": [
        ("equal", ("int", "int")), ("less", ("int", "int")), ("is_even", ("int",)),
        ("is_prime", ("int",)), ("is_square", ("int",)), ("and", ("bool", "bool")),
        ("or", ("bool", "bool")), ("not", ("bool",)), ("is_empty", ("list",)),
        ("contains", ("int", "list")), ("is_odd", ("int",)), ("greater", ("int", "int")),
    ],
    "list": [
        ("map", ("int>int", "list")), ("filter", ("int>bool", "list")), ("cons", ("int", "list")),
        ("append", ("int", "list")), ("concat", ("list", "list")), ("reverse", ("list",)),
        ("tail", ("list",)), ("init", ("list",)), ("take", ("int", "list")),
        ("drop", ("int", "list")), ("slice", ("int", "int", "list")), ("sort", ("list",)),
        ("unique", ("list",)), ("range", ("int",)), ("repeat", ("int", "int")),
        ("if", ("bool", "list", "list")), ("map_indexed", ("int>int>int", "list")),
        ("filter_indexed", ("int>int>bool", "list")), ("sort_by", ("int>int", "list")),
        ("zip_with", ("int>int>int", "list", "list")), ("scan", ("int>int>int", "list")),
        ("fold", ("list>int>list", "list", "list")),
    ],
}  # fmt: skip


@st.composite
def terms(draw: st.DrawFn, wanted: str, scope: tuple[str, ...], depth: int) -> str:
    """The text of a term of the type `wanted`; `scope` are the variables, innermost first."""
    if ">" in wanted:
        argument, _, rest = wanted.partition(">")
        return f"(lam {draw(terms(rest, (argument, *scope), depth))})"
    variables = [f"${i}" for i, type_ in enumerate(scope) if type_ == wanted]
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from([*_LEAVES[wanted], *variables * 3]))
    name, arguments = draw(st.sampled_from(_MAKERS[wanted]))
    given_ = [draw(terms(argument, scope, depth - 1)) for argument in arguments]
    return f"({name} {' '.join(given_)})"


INPUTS = (((), 2), ((4,), -1), ((3, 1, 2), 0), ((5, 5, -7, 0, 9), 3))
TYPES = {"int": INT, "bool": BOOL, "list": LISTS_OF_INT}


@settings(max_examples=400, derandomize=True, deadline=None)
@given(data=st.data(), wanted=st.sampled_from(["int", "bool", "list"]))
def test_a_compiled_term_computes_what_the_hard_engine_does(
    data: st.DataObject, wanted: str
) -> None:
    text = f"(lam (lam {data.draw(terms(wanted, ('int', 'list'), 4))}))"
    world = World()
    term = parse_term(text, world.names)
    evaluate = Evaluator(world.resolve).compile(term)
    rows = []
    for xs, n in INPUTS:
        try:
            rows.append(((xs, n), evaluate(xs, n)))
        except EvaluationError:
            continue
    module = compile_term(term, world.type_of, world.resolve)
    if len(rows) < len(INPUTS):
        columns = zip(*INPUTS, strict=True)
        with pytest.raises(EvaluationError):
            module(*(to_batch(c, t) for c, t in zip(columns, (LISTS_OF_INT, INT), strict=True)))
    if rows:
        xs_column, n_column = zip(*(inputs for inputs, _ in rows), strict=True)
        batch = module(to_batch(xs_column, LISTS_OF_INT), to_batch(n_column, INT))
        assert from_batch(batch, TYPES[wanted]) == tuple(value for _, value in rows), text


@pytest.mark.parametrize("mode", [Hard(), Soft()])
def test_map_over_a_block_is_one_call_on_the_items_of_all_rows(mode: Hard | Soft) -> None:
    calls: list[int] = []

    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(len(x))
            return 2 * x

    world = World(double=("vec[2] -> vec[2]", Counting()))
    items = torch.arange(8.0).reshape(4, 2)
    out = world.compiled("(lam (map double $0))", mode)(Ragged(items, torch.tensor([3, 0, 1])))
    assert calls == [4]
    assert torch.equal(out.items, 2 * items)
    assert out.lengths.tolist() == [3, 0, 1]


def test_what_a_function_captures_is_repeated_for_the_items_of_its_row() -> None:
    module = World().compiled("(lam (lam (map (lam (add $1 $0)) $1)))")
    out = module(ragged([1, 2, 3], [], [4]), torch.tensor([10, 20, 30]))
    assert lists(out) == ((11, 12, 13), (), (34,))


def test_functions_within_functions_capture_from_both() -> None:
    text = "(lam (lam (map (lam (fold (lam (lam (add (add $1 $0) (multiply $2 $3)))) 0 $2)) $1)))"
    world = World()
    module = world.compiled(text)
    evaluate = Evaluator(world.resolve).compile(parse_term(text, world.names))
    inputs = (((2, 5), 3), ((1,), -1), ((), 4))
    out = module(ragged([2, 5], [1], []), torch.tensor([3, -1, 4]))
    assert lists(out) == tuple(evaluate(xs, n) for xs, n in inputs)


def test_lists_of_functions_are_called_like_any_other() -> None:
    module = World().compiled("(lam (map (lam ($0 2)) (map (lam (add $0)) $0)))")
    assert lists(module(ragged([1, 2], [5]))) == ((3, 4), (7,))
    module = World().compiled("(lam (map (lam ($0 2)) (map (lam (lam (add $0 $0))) $0)))")
    assert lists(module(ragged([1, 2], []))) == ((4, 4), ())


def test_lists_without_any_item_pass_through_a_block_and_a_fold() -> None:
    world = World(encoder=("vec[2] -> vec[3]", nn.Linear(2, 3).eval()))
    nothing = Ragged(torch.zeros(0, 2), torch.tensor([0, 0]))
    assert world.compiled("(lam (map encoder $0))")(nothing).lengths.tolist() == [0, 0]
    total = world.compiled("(lam (fold (lam (lam (add $1 1))) 5 $0))")(nothing)
    assert total.tolist() == [5, 5]
    assert world.compiled("encoder")(torch.zeros(0, 2)).shape == (0, 3)


def test_a_branch_is_computed_only_where_it_is_taken() -> None:
    module = World().compiled("(lam (if (is_empty $0) 7 (head $0)))")
    assert module(ragged([], [3, 1])).tolist() == [7, 3]
    module = World().compiled("(lam (or (is_empty $0) (is_even (head $0))))")
    assert module(ragged([], [3], [4])).tolist() == [True, False, True]


def test_an_overflow_is_an_evaluation_error_in_every_operation() -> None:
    top, low = (1 << 63) - 1, -(1 << 63)
    for text, value in [
        ("(lam (add $0 1))", top), ("(lam (subtract $0 1))", low), ("(lam (negate $0))", low),
        ("(lam (multiply $0 -1))", low), ("(lam (multiply $0 2))", top),
        ("(lam (multiply -1 $0))", low), ("(lam (absolute $0))", low),
        ("(lam (divide $0 -1))", low), ("(lam (sum (cons $0 (cons $0 empty))))", top),
    ]:  # fmt: skip
        with pytest.raises(EvaluationError, match="overflows 64 bits"):
            World().compiled(text)(torch.tensor([3, value]))
    assert World().compiled("(lam (modulo $0 -1))")(torch.tensor([low])).tolist() == [0]
    assert World().compiled("(lam (multiply $0 1))")(torch.tensor([low])).tolist() == [low]
    safe = World().compiled("(lam (sum (cons $0 (cons $0 (cons -1 (cons -1 empty))))))")
    assert safe(torch.tensor([(1 << 62) - 1])).tolist() == [top - 3]


def test_a_program_is_compiled_in_place_and_a_block_used_twice_is_one_submodule() -> None:
    encoder = nn.Linear(2, 2)
    world = World(encoder=("vec[2] -> vec[2]", encoder))
    world.loaded[Reference(None, Digest.of(b"twice"))] = parse_term(
        "(lam (encoder (encoder $0)))", world.names
    )
    twice = Reference(None, Digest.of(b"twice"))
    world.types[twice] = parse_type("vec[2] -> vec[2]")
    world.names["twice"] = twice
    module = world.compiled("(lam (encoder (twice $0)))")
    assert list(module.parts()) == [world.references["encoder"]]
    assert len(list(module.parameters())) == 2
    x = torch.randn(3, 2)
    assert torch.equal(module(x), encoder(encoder(encoder(x))))


def test_a_let_is_computed_once() -> None:
    calls: list[int] = []

    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(len(x))
            return x

    world = World(same=("vec[1] -> vec[1]", Counting()))
    module = world.compiled("(lam (let (same $0) (pair $0 $0)))")
    one, other = module(torch.ones(2, 1))
    assert one is other
    assert calls == [2]


FEW_SHOT = "(lam (lam (argmax (prototypes (embed encoder $1) (encoder $0)))))"


def support_and_query() -> tuple[Support, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 4, generator=generator)
    return Support(x, torch.tensor([0, 0, 1, 1, 2, 2]), 3), torch.randn(5, 4, generator=generator)


def test_a_few_shot_program_takes_its_support_once_and_its_queries_as_a_batch() -> None:
    encoder = nn.Linear(4, 8)
    world = World(encoder=("vec[4] -> vec[8]", encoder))
    support, query = support_and_query()
    labels = world.compiled(FEW_SHOT)(support, query)
    means = encoder(support.x).reshape(3, 2, 8).mean(1)
    assert torch.equal(labels, torch.cdist(encoder(query), means).argmin(1))
    logits = world.compiled(FEW_SHOT, Soft())(support, query)
    assert logits.shape == (5, 3)
    assert torch.equal(logits.argmax(1), labels)


def test_a_support_that_is_embedded_by_what_a_query_says_is_refused() -> None:
    text = "(lam (lam (prototypes (embed (lam (encoder $1)) $1) (encoder $0))))"
    world = World(encoder=("vec[4] -> vec[8]", nn.Linear(4, 8)))
    support, query = support_and_query()
    with pytest.raises(TypeMismatch, match="captures a value that differs from input to input"):
        world.compiled(text)(support, query)


def test_the_module_works_with_functional_call_vmap_and_second_derivatives() -> None:
    world = World(encoder=("vec[4] -> vec[8]", nn.Linear(4, 8).double()))
    module = world.compiled(FEW_SHOT, Soft())
    parameters = {name: p.detach() for name, p in module.named_parameters()}
    support, query = support_and_query()
    x, query = support.x.double(), query.double()
    wanted = torch.tensor([0, 1, 2, 0, 1])

    def loss(values: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        logits = functional_call(module, values, (Support(x, support.y, 3), query))
        return nn.functional.cross_entropy(logits, wanted)

    def adapted(values: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        slopes = grad(loss)(values, x)
        return loss({n: v - 0.1 * slopes[n] for n, v in values.items()}, x)

    tasks = torch.stack([x, 2 * x, x.flip(0)])
    batched = vmap(grad(adapted), in_dims=(None, 0))(parameters, tasks)
    for i, task in enumerate(tasks):
        single = grad(adapted)(parameters, task)
        for name, slope in single.items():
            assert torch.allclose(batched[name][i], slope, atol=1e-12)
    name = next(iter(parameters))
    step = 1e-6 * torch.randn_like(parameters[name])
    above = adapted({**parameters, name: parameters[name] + step}, x)
    below = adapted({**parameters, name: parameters[name] - step}, x)
    slope = (grad(adapted)(parameters, x)[name] * step).sum()
    assert torch.allclose((above - below) / 2, slope, rtol=1e-5)


def test_a_deep_copy_has_blocks_of_its_own() -> None:
    encoder = nn.Linear(2, 2)
    module = World(encoder=("vec[2] -> vec[2]", encoder)).compiled("(lam (encoder $0))")
    other = copy.deepcopy(module)
    with torch.no_grad():
        encoder.weight.zero_()
    assert not torch.equal(other(torch.ones(1, 2)), module(torch.ones(1, 2)))


@pytest.mark.parametrize(
    ("text", "mode", "message"),
    [
        ("(lam (all is_even $0))", Hard(), "lists/all@1 has no batched form"),
        ("(lam (take 2 $0))", Soft(), r"lists/take@1 : int -> .* has no soft form"),
        ("(lam (filter is_even $0))", Soft(), "lists/filter@1 .* has no soft form"),
        ('(lam (add $0 (hole "int")))', Hard(), "the hole of type int has no value yet"),
        ("(lam (add $0 (head $0)))", Hard(), "does not fit where"),
        ("(lam $1)", Hard(), r"\$1 is bound by nothing"),
        ('(lam "text")', Hard(), "the text 'text' has no batched form"),
    ],
)
def test_what_cannot_be_compiled_is_refused_by_name(
    text: str, mode: Hard | Soft, message: str
) -> None:
    with pytest.raises(TypeMismatch, match=message):
        World().compiled(text, mode)


def test_inputs_of_different_numbers_of_rows_are_refused() -> None:
    module = World().compiled("(lam (lam (add $0 $1)))")
    with pytest.raises(TypeMismatch, match="made for 2 rows is called on 3"):
        module(torch.tensor([1, 2]), torch.tensor([1, 2, 3]))


def test_a_program_that_uses_itself_is_refused() -> None:
    loop = Reference(None, Digest.of(b"loop"))
    world = World()
    world.types[loop], world.names["loop"] = parse_type("int -> int"), loop
    world.loaded[loop] = parse_term("(lam (loop $0))", world.names)
    with pytest.raises(TypeMismatch, match="uses itself"):
        world.compiled("loop")
