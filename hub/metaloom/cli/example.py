"""An example of use: Python that runs a block on made-up values of the types it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metaloom.cli.output import visible
from metaloom.home import library_folder
from metaloom_registry import BOOL, FLOAT, GRID, INT, TEXT, Constructed, Tensor, Variable, uncurried
from metaloom_registry import taught as takes_examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metaloom.blocks import Block
    from metaloom_registry import Type

OPEN_SIZE = 4
"""What stands for a size that a type leaves open."""

_PLAIN = {INT: "3", FLOAT: "1.5", BOOL: "True", TEXT: '"some words"', GRID: "[[0, 1], [2, 3]]"}


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
        values = [_value(type_) for type_ in own]
        given = "..." if None in values else ", ".join(map(str, values))
        lines = [f'print(hub.run("{name}", {given}))']
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


def _value(type_: Type) -> str | None:
    """A made-up value of a type, as Python and as `hub.run` takes it; None where there is none."""
    if type_ in _PLAIN:
        return _PLAIN[type_]
    if isinstance(type_, Variable):
        return "3"
    if isinstance(type_, Tensor):
        if type_.kind == "label":
            return "0"
        return f"torch.rand({', '.join(map(str, _sizes(type_)))}).tolist()"
    if isinstance(type_, Constructed) and type_.name == "list":
        if type_.arguments[0] in (INT, Variable) or isinstance(type_.arguments[0], Variable):
            return "[3, 1, 2]"
        item = _value(type_.arguments[0])
        return None if item is None else f"[{item}, {item}]"
    if isinstance(type_, Constructed) and type_.name == "tuple":
        items = [_value(one) for one in type_.arguments]
        return None if None in items else f"[{', '.join(map(str, items))}]"
    return None


def _sizes(type_: Tensor) -> list[int]:
    return [size if isinstance(size, int) else OPEN_SIZE for size in type_.dimensions]
