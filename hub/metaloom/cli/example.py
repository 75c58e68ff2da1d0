"""An example of use: Python that runs a block on made-up values of the types it takes."""

from __future__ import annotations

from ast import literal_eval
from typing import TYPE_CHECKING

from metaloom import solving
from metaloom.cli import made_up
from metaloom.cli.output import visible
from metaloom.home import library_folder
from metaloom_metalearn import Effect, Limits
from metaloom_registry import Arrow, Constructed, Primitive, uncurried

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metaloom.blocks import Block
    from metaloom.hub import Hub
    from metaloom_registry import Type

TRIAL = Limits(steps=20_000, items=1_000, seconds=0.2)
"""What trying made-up values may cost, because a page is to appear at once."""


def example_of_use(block: Block, solution: bool) -> str:
    """Python that uses a block; it runs as it stands where all the types allow a made-up value.

    solution: whether the block is a program that has its examples with it.
    """
    name = visible(block.reference)
    takes, gives = uncurried(block.signature)
    learns = next((i for i, one in enumerate(takes) if _is_examples(one)), None)
    if block.kind == "graph":
        inputs = [made_up.batch(type_) for type_ in takes]
        given = "..." if None in inputs else ", ".join(map(str, inputs))
        lines = [f'module = hub["{name}"].load()  # a torch.nn.Module', f"print(module({given}))"]
    elif learns is not None and not solution:
        lines = _taught_lines(block.hub, name, takes, learns, _is_examples(gives))
    else:
        effect = Effect.of(block.signature)
        own = effect.given if effect and block.primitive is None else takes
        lines = [f"print({_called(block, name, own if learns is None else takes[1:])})"]
    imports = ["import torch"] if any("torch." in line for line in lines[-2:]) else []
    if any("Examples(" in line for line in lines):
        imports.append("from metaloom_metalearn import Examples")
    same = block.hub.home == library_folder()
    opened = "hub = Hub.open()" if same else f"hub = Hub.open({str(block.hub.home)!r})"
    return "\n".join([*imports[:1], "from metaloom import Hub", *imports[1:], "", opened, *lines])


def _is_examples(type_: Type) -> bool:
    return isinstance(type_, Constructed) and type_.name == "examples"


def _taught_lines(
    hub: Hub, name: str, takes: Sequence[Type], learns: int, embeds: bool
) -> list[str]:
    """What learns from examples first: four of two classes, and a question.

    It takes its settings before; what only changes examples does so for a head.
    """
    examples = takes[learns]
    assert isinstance(examples, Constructed)
    given, _ = examples.arguments
    settings = [
        made_up.function(one) if isinstance(one, Arrow) else made_up.literal(one)
        for one in takes[:learns]
    ]
    called = " ".join((name, *map(str, settings)))
    what = f"({called})" if settings else name
    head = next(filter(_is_head, hub.primitives), None) if embeds else None
    if head is not None:
        what = f"(lam (lam ({head.reference} ({called} $1) $0)))"
        given = _first(head)
    inputs, question = made_up.batch(given, 4), made_up.batch(given, 4)
    if inputs is None or None in settings or (embeds and head is None):
        return [f'hub.adapt(hub["{name}"], task.support).predict(...)']
    learner = f'hub["{name}"]' if what == name else _quoted(what)
    return [
        f"support = Examples(({inputs},), torch.tensor([0, 1, 0, 1]))",
        f"print(hub.adapt({learner}, support).predict({question}[0]))",
    ]


def _is_head(primitive: Primitive) -> bool:
    return _is_examples(uncurried(primitive.signature)[0][0]) if primitive.parameters else False


def _first(head: Primitive) -> Type:
    """What the examples of a head are of."""
    examples = uncurried(head.signature)[0][0]
    assert isinstance(examples, Constructed)
    return examples.arguments[0]


def _called(block: Block, name: str, takes: Sequence[Type]) -> str:
    """A call of a block on values for which it has one, as far as can be told."""
    functions = [made_up.function(type_) for type_ in takes if isinstance(type_, Arrow)]
    what = _applied(name, takes, functions) if functions else name
    plain = [type_ for type_ in takes if not isinstance(type_, Arrow)]
    turns = [[made_up.value(one, turn) for one in plain] for turn in range(len(made_up.ROUNDS))]
    if not any(None in (*values, *functions) for values in turns):
        written = [tuple(map(str, values)) for values in turns]
        if any("torch." in value for value in written[0]) or Effect.of(block.signature):
            return _call(what, written[0])
        term = block.hub.read(what) if functions else block.term
        for values in dict.fromkeys(written):
            inputs = [literal_eval(value) for value in values]
            if solving.tried(block.hub, term, inputs, TRIAL) not in (None, ""):
                return _call(what, values)
        turns = [list(written[0])]
    if block.primitive is not None and block.primitive.examples:
        return _call(block.primitive.examples[0][0], ())  # its author's
    return _call(what, turns[0] if None not in (*turns[0], *functions) else ("...",))


def _call(what: str, values: Sequence[str | None]) -> str:
    return f"hub.run({', '.join((_quoted(what), *map(str, values)))})"


def _applied(name: str, takes: Sequence[Type], functions: Sequence[str | None]) -> str:
    """A block as a term that gives it functions, and takes its other arguments."""
    waiting = iter(functions)
    count = sum(not isinstance(type_, Arrow) for type_ in takes)
    places = iter(range(count - 1, -1, -1))
    given = (next(waiting) if isinstance(t, Arrow) else f"${next(places)}" for t in takes)
    return "(lam " * count + f"({name} {' '.join(map(str, given))})" + ")" * count


def _quoted(text: str) -> str:
    """A text as Python, in double quotes where it holds none."""
    return repr(text) if '"' in text else f'"{text}"'
