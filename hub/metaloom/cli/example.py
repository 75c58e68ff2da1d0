"""An example of use: Python that runs a block on made-up values of the types it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaloom.cli.output import visible
from metaloom.home import library_folder
from metaloom_registry import (
    BOOL,
    FLOAT,
    GRID,
    INT,
    TEXT,
    Arrow,
    Constructed,
    Tensor,
    Variable,
    uncurried,
)
from metaloom_registry import taught as takes_examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metaloom.blocks import Block
    from metaloom_registry import Type

OPEN_SIZE = 4
"""What stands for a size that a type leaves open."""

_LITERALS: dict[Type, str] = {INT: "1", FLOAT: "1.5", BOOL: "false", TEXT: '"some words"'}
_PLAIN = {INT: "1", FLOAT: "1.5", BOOL: "True", TEXT: '"some words"', GRID: "[[0, 1], [2, 3]]"}


def example_of_use(block: Block, solution: bool) -> str:
    """Python that uses a block; it runs as it stands where all the types allow a made-up value.

    solution: whether the block is a program that has its examples with it.
    """
    name = visible(block.reference)
    takes, _ = uncurried(block.signature)
    taught = takes_examples(block.signature)
    if block.kind == "graph":
        inputs = [_batch(type_) for type_ in takes]
        given = "..." if None in inputs else ", ".join(map(str, inputs))
        lines = [f'module = hub["{name}"].load()  # a torch.nn.Module', f"print(module({given}))"]
    elif taught is not None and not solution:
        lines = _taught_lines(name, takes)
    else:
        own = takes[1:] if taught is not None else takes
        functions = [_function(type_) for type_ in own if isinstance(type_, Arrow)]
        values = [_value(type_) for type_ in own if not isinstance(type_, Arrow)]
        given = "..." if None in (*values, *functions) else ", ".join(map(str, values))
        what = _applied(name, own, functions) if functions else name
        called = f"hub.run({_quoted(what)}, {given})" if own else f'hub["{name}"].source'
        lines = [f"print({called})"]
    imports = ["import torch"] if any("torch." in line for line in lines[-2:]) else []
    if any("Examples(" in line for line in lines):
        imports.append("from metaloom_metalearn import Examples")
    same = block.hub.home == library_folder()
    opened = "hub = Hub.open()" if same else f"hub = Hub.open({str(block.hub.home)!r})"
    return "\n".join([*imports[:1], "from metaloom import Hub", *imports[1:], "", opened, *lines])


def _taught_lines(name: str, takes: Sequence[Type]) -> list[str]:
    """A program that learns from examples first: four of two classes, and a question."""
    examples = takes[0]
    assert isinstance(examples, Constructed)
    given, _ = examples.arguments
    inputs, question = _batch(given, 4), _batch(given, 4)
    if inputs is None:
        return [f'hub.adapt(hub["{name}"], task.support).predict(...)']
    return [
        f"support = Examples(({inputs},), torch.tensor([0, 1, 0, 1]))",
        f'print(hub.adapt(hub["{name}"], support).predict({question}[0]))',
    ]


def _batch(type_: Type, count: int = 1) -> str | None:
    """So many random items of a tensor type, as Python; None for other types."""
    if not isinstance(type_, Tensor):
        return None
    if type_.kind == "label":
        return f"torch.zeros({count}, dtype=torch.int64)"
    return f"torch.rand({', '.join(map(str, (count, *_sizes(type_))))})"


def _applied(name: str, takes: Sequence[Type], functions: Sequence[str | None]) -> str:
    """A block as a term that gives it functions, and takes its other arguments."""
    waiting = iter(functions)
    count = sum(not isinstance(type_, Arrow) for type_ in takes)
    places = iter(range(count - 1, -1, -1))
    given = (next(waiting) if isinstance(t, Arrow) else f"${next(places)}" for t in takes)
    return "(lam " * count + f"({name} {' '.join(map(str, given))})" + ")" * count


def _function(type_: Type) -> str | None:
    """A function of a type, as a term: what it takes last of the type it gives, else a constant.

    Type variables stand for integers.
    """
    takes, gives = uncurried(type_)
    alike = [i for i, one in enumerate(takes) if _closed(one) == _closed(gives)]
    body = f"${len(takes) - 1 - alike[-1]}" if alike else _LITERALS.get(_closed(gives))
    return None if body is None else "(lam " * len(takes) + body + ")" * len(takes)


def _closed(type_: Type) -> Type:
    return INT if isinstance(type_, Variable) else type_


def _quoted(text: str) -> str:
    """A text as Python, in double quotes where it holds none."""
    return repr(text) if '"' in text else f'"{text}"'


def _value(type_: Type) -> str | None:
    """A made-up value of a type, as Python and as `hub.run` takes it; None where there is none."""
    if type_ in _PLAIN:
        return _PLAIN[type_]
    if isinstance(type_, Variable):
        return "1"
    if isinstance(type_, Tensor):
        if type_.kind == "label":
            return "0"
        return f"torch.rand({', '.join(map(str, _sizes(type_)))}).tolist()"
    if isinstance(type_, Constructed):
        return _container(type_)
    return None


def _container(type_: Constructed) -> str | None:
    items = [_value(one) for one in type_.arguments]
    if None in items:
        return None
    if type_.name in ("list", "set"):
        return "[3, 1, 2]" if _closed(type_.arguments[0]) == INT else f"[{items[0]}]"
    if type_.name == "tuple":
        return f"({', '.join(map(str, items))})"
    if type_.name == "dict":
        return f"{{{items[0]}: {items[1]}}}"
    if type_.name == "graph":
        whole = _closed(type_.arguments[0]) == INT
        return "[(1, 2), (2, 3)]" if whole else f"[({items[0]}, {items[0]})]"
    return None


def _sizes(type_: Tensor) -> list[int]:
    return [size if isinstance(size, int) else OPEN_SIZE for size in type_.dimensions]
