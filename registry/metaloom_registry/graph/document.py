"""A graph as data: dimensions, inputs, state, nodes, outputs and updates, and its JSON.

`read_graph(write_graph(graph)) == graph` for every graph; `read_graph` is for bytes from a
stranger and accepts only the canonical bytes of a well-formed graph.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

from metaloom_registry.canonical import Json, dump_canonical
from metaloom_registry.graph.rules import Ref

FORMAT = "metaloom.graph"
VERSION = 1
BATCH = "B"
FINDINGS_KEPT = 16
"""How many findings of one graph are remembered."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Dimension:
    """A size left open: any multiple of `multiple` from `low` to `high`."""

    name: str
    low: int = 1
    high: int = 1 << 20
    multiple: int = 1


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor input; a name in its shape is that of a dimension."""

    dtype: str
    shape: tuple[int | str, ...]


Tree: TypeAlias = "T | tuple[Tree[T], ...] | dict[str, Tree[T]]"
"""Tensors in tuples and dictionaries with text keys, nested."""


@dataclass(frozen=True, slots=True)
class State:
    """A tensor the graph owns, under the name it has in the state dictionary.

    kind: "parameter", "buffer", "constant" (a tensor written in the code of the module), or
      "shared" (another name of the earlier tensor `shared_with`, with nothing of its own).
    """

    name: str
    kind: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    requires_grad: bool = False
    persistent: bool = True
    shared_with: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One step: an operation, the values it takes, its arguments.

    A node that runs only in training may feed only others of its kind, and updates.
    """

    op: str
    inputs: tuple[int | None, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    only_in_training: bool = False
    sizes: tuple[int, ...] = field(init=False, compare=False, repr=False)
    """The integer values the arguments refer to, in the order of the arguments."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", _references(self.arguments))


@dataclass(frozen=True, slots=True)
class Body:
    """The steps that a loop repeats: a closed list of nodes.

    inputs: how many values come in.  They are counted first, then the outputs of each node in
    order; nothing outside can be named.  outputs: the values that go out.
    """

    inputs: int
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """A buffer that takes a new value after a forward pass (in training only, or always)."""

    state: int
    value: int
    only_in_training: bool = True


@dataclass(frozen=True, slots=True)
class Graph:
    """A trained module without its numbers.

    Values are counted: first the leaves of the inputs, then the state, then the outputs of each
    node in order.  A node takes values counted before its own.
    """

    dimensions: tuple[Dimension, ...]
    inputs: tuple[Tree[Leaf], ...]
    state: tuple[State, ...]
    nodes: tuple[Node, ...]
    outputs: Tree[int]
    updates: tuple[Update, ...] = ()
    opset: int = 1
    _findings: dict[Hashable, Any] = field(
        init=False, compare=False, repr=False, default_factory=dict
    )

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """The tensor inputs in the order in which they are counted."""
        return tuple(leaf for tree in self.inputs for leaf in leaves(tree))

    @property
    def mode_matters(self) -> bool:
        """Whether a pass in training may be another than one in eval mode."""
        return bool(self.updates) or any(
            node.only_in_training or "mode" in node.arguments.values() for node in self.nodes
        )

    def once(self, key: Hashable, find: Callable[[], T]) -> T:
        """What follows from the graph and a key alone, found the first time it is asked for."""
        known: T | None = self._findings.get(key)
        if known is not None:
            return known
        found = find()
        if len(self._findings) >= FINDINGS_KEPT:
            self._findings.clear()
        self._findings[key] = found
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, tuple(getattr(self, f.name) for f in fields(self) if f.init)


def _references(arguments: Mapping[str, Any]) -> tuple[int, ...]:
    found = []
    for value in arguments.values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Ref):
                found.append(item.index)
    return tuple(found)


def every_node(nodes: Iterable[Node]) -> Iterator[Node]:
    """The nodes, and after each those of the bodies it repeats."""
    for node in nodes:
        yield node
        for value in node.arguments.values():
            if isinstance(value, Body):
                yield from every_node(value.nodes)


def leaves(tree: Tree[T]) -> Iterator[T]:
    """The leaves of a tree: tuples in order, dictionaries by key."""
    if isinstance(tree, tuple):
        for item in tree:
            yield from leaves(item)
    elif isinstance(tree, dict):
        for key in sorted(tree):
            yield from leaves(tree[key])
    else:
        yield tree


def write_graph(graph: Graph) -> bytes:
    """The canonical JSON of a graph."""
    return dump_canonical(
        {
            "format": FORMAT,
            "version": VERSION,
            "opset": graph.opset,
            "dimensions": [
                {"name": d.name, "low": d.low, "high": d.high, "multiple": d.multiple}
                for d in graph.dimensions
            ],
            "inputs": [_write_tree(tree, _write_leaf) for tree in graph.inputs],
            "state": [_write_state(state) for state in graph.state],
            "nodes": [_write_node(node) for node in graph.nodes],
            "outputs": _write_tree(graph.outputs, lambda value: {"value": value}),
            "updates": [
                {
                    "state": update.state,
                    "value": update.value,
                    "when": "training" if update.only_in_training else "always",
                }
                for update in graph.updates
            ],
        }
    )


def _write_tree(tree: Any, write_leaf: Any) -> Json:
    if isinstance(tree, tuple):
        return {"tuple": [_write_tree(item, write_leaf) for item in tree]}
    if isinstance(tree, dict):
        return {"dict": {key: _write_tree(item, write_leaf) for key, item in tree.items()}}
    leaf: Json = write_leaf(tree)
    return leaf


def _write_leaf(leaf: Leaf) -> Json:
    return {"tensor": {"dtype": leaf.dtype, "shape": list(leaf.shape)}}


def _write_state(state: State) -> Json:
    if state.kind == "shared":
        return {"name": state.name, "kind": "shared", "with": state.shared_with}
    written: dict[str, Json] = {
        "name": state.name,
        "kind": state.kind,
        "dtype": state.dtype,
        "shape": list(state.shape),
    }
    if state.kind == "parameter":
        written["requires_grad"] = state.requires_grad
    if state.kind == "buffer":
        written["persistent"] = state.persistent
    return written


def _write_node(node: Node) -> Json:
    written: dict[str, Json] = {
        "op": node.op,
        "inputs": list(node.inputs),
        "arguments": {name: _write_argument(value) for name, value in node.arguments.items()},
    }
    if node.only_in_training:
        written["when"] = "training"
    return written


def _write_argument(value: Any) -> Json:
    if isinstance(value, Ref):
        return {"value": value.index}
    if isinstance(value, Body):
        return {
            "inputs": value.inputs,
            "nodes": [_write_node(node) for node in value.nodes],
            "outputs": list(value.outputs),
        }
    if isinstance(value, tuple | list):
        return [_write_argument(item) for item in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    argument: Json = value
    return argument
