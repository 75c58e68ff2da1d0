"""The primitives that join vectors, and programs of modular meta-learning that run through them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from metaloom_metalearn import (
    Clock,
    Enumerate,
    Evaluator,
    Examples,
    Gate,
    Hard,
    Networks,
    Soft,
    Sum,
    Task,
    compile_term,
    solve,
)
from metaloom_metalearn.engines.hard.items import Item
from metaloom_registry import (
    Digest,
    Entry,
    MemoryLibrary,
    Primitive,
    Reference,
    TypeMismatch,
    infer,
    parse_term,
    parse_type,
)
from metaloom_registry.testing import PrimitiveSuite
from metaloom_vectors import PRIMITIVES, add, gate

CURVE = parse_type("vec[1] -> vec[1]")


class TestPrimitives(PrimitiveSuite):
    @pytest.fixture
    def primitives(self) -> tuple[Primitive, ...]:
        return PRIMITIVES


def library_of(networks: Networks) -> tuple[MemoryLibrary, list[Reference]]:
    """The joins, and each module as a block."""
    library, references = MemoryLibrary.of(PRIMITIVES), []
    for index in range(networks.count):
        digest = Digest.of(f"curve {index}".encode())
        references.append(Reference(None, digest))
        entry = Entry(references[-1], digest, "graph", CURVE, f"f{index}")
        library.add(entry, networks.module(index))
    return library, references


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_joins_are_those_of_the_templates() -> None:
    x, y, z = torch.randn(3, 5, 2, generator=seeded())
    modules = [lambda _, one=one: one for one in (x, y, z)]
    torch.testing.assert_close(add(x, y), Sum().join(x, modules[:2]))
    torch.testing.assert_close(gate(x, y, z), Gate().join(x, modules))


@pytest.mark.parametrize("template", [Sum(3), Gate()], ids=str)
@pytest.mark.parametrize("mode", [Hard(), Soft()], ids=str)
def test_a_structure_evaluates_and_compiles_to_what_its_template_computes(
    template: Sum | Gate, mode: Hard | Soft
) -> None:
    networks = Networks(3, (1, 4, 1), seeded())
    library, references = library_of(networks)
    resolve = {entry.reference: loaded for entry, loaded in library.blocks.values()}
    types = {entry.reference: entry.type for entry, _ in library.blocks.values()}
    term = template.term(references)
    assert infer(term, types.__getitem__) == CURVE
    x = torch.linspace(-1, 1, 7)[:, None]
    with torch.no_grad():
        wanted = template.join(x[None], [networks.module(k) for k in range(3)])[0]
        compiled = compile_term(term, types.__getitem__, resolve.__getitem__, mode)
        torch.testing.assert_close(compiled(x), wanted)
    run = Evaluator(resolve.__getitem__).compile(term)
    torch.testing.assert_close(torch.stack([run(Item(row)).tensor for row in x]), wanted)


def test_gradients_pass_through_both_joins_twice() -> None:
    x, y, z = torch.randn(3, 4, 2, dtype=torch.float64, generator=seeded()).requires_grad_()
    assert torch.autograd.gradcheck(gate, (x, y, z))
    assert torch.autograd.gradgradcheck(gate, (x, y, z))
    assert torch.autograd.gradcheck(add, (x, y))


def test_vectors_of_unlike_length_do_not_add_up() -> None:
    types = {p.reference: p.signature for p in PRIMITIVES}
    names = {"add": PRIMITIVES[0].reference}
    term = parse_term("(lam (lam (add $0 $1)))", names)
    assert str(infer(term, types.__getitem__)) == "vec[n] -> vec[n] -> vec[n]"
    with pytest.raises(TypeMismatch, match="vec"):
        compile_term(
            parse_term("(lam (add $0 me/f@1))", names),
            {**types, Reference.parse("me/f@1"): parse_type("image[1,2,2]")}.__getitem__,
            {p.reference: p for p in PRIMITIVES}.__getitem__,
            Hard(),
        )


def test_listing_the_primitives_does_not_import_torch() -> None:
    code = "import sys, metaloom_vectors as v; v.PRIMITIVES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_search_finds_a_sum_of_two_curves() -> None:
    library = MemoryLibrary.of(PRIMITIVES)
    for name, scale in (("double", 2.0), ("negate", -1.0)):
        block = nn.Linear(2, 2, bias=False)
        block.load_state_dict({"weight": scale * torch.eye(2)})
        digest = Digest.of(name.encode())
        type_ = parse_type("vec[2] -> vec[2]")
        library.add(Entry(Reference(None, digest), digest, "graph", type_, name), block)
    x = torch.randn(6, 2, generator=seeded())
    task = Task(parse_type("vec[2] -> vec[2]"), Examples((x,), 4 * x - x))
    solution = solve(task, library, clock=Clock(20), searches=[Enumerate()])
    torch.testing.assert_close(solution.predict(torch.ones(2)), torch.tensor([3.0, 3.0]))
