"""Reading a graph from a stranger: structure, names, the op table, typed arguments, order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from metaloom_registry.canonical import load_strict
from metaloom_registry.errors import ParseError, Refused
from metaloom_registry.graph.document import (
    BATCH,
    FORMAT,
    VERSION,
    Body,
    Dimension,
    Graph,
    Leaf,
    Node,
    State,
    Tree,
    Update,
    every_node,
    leaves,
)
from metaloom_registry.graph.op import Op
from metaloom_registry.graph.ops import OPSET, TABLE
from metaloom_registry.graph.rules import Nested
from metaloom_registry.graph.values import FLOATS, MAX_RANK, REAL, STORED

MAX_BYTES = 4 * 1024 * 1024
MAX_STATE = 16_384
MAX_NODES = 20_000
MAX_INPUTS = 256
MAX_NAME = 200
MAX_SIZE = 1 << 31
MAX_LOOPS = 3
"""How deep loops may stand in loops."""

SMALL = 64 * 1024
SMALL_KEPT = 64
"""How many graphs of at most `SMALL` bytes are remembered by their bytes."""

_DIMENSION = re.compile(r"[a-z][a-z0-9_]{0,30}", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9_]{1,80}", re.ASCII)
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}", re.ASCII)


def read_graph(data: bytes) -> Graph:
    """Read a graph document; what small ones hold is remembered, for many blocks share one.

    Raises Refused, naming the part, on anything that is not the canonical JSON of a graph: other
    formats, unknown keys and ops, arguments outside their rules, values used before they are
    computed, names a module may not have.
    """
    return read_anew(data) if len(data) > SMALL else remembered(data)


@lru_cache(SMALL_KEPT)
def remembered(data: bytes) -> Graph:
    """A graph document, read the first time it is met."""
    return read_anew(data)


def read_anew(data: bytes) -> Graph:
    """A graph document, read whether it was met before or not."""
    if len(data) > MAX_BYTES:
        raise Refused(f"graph.json has {len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        document = load_strict(data, "graph.json")
    except ParseError as error:
        raise Refused(str(error)) from None
    _keys(
        document,
        "graph.json",
        {
            "format", "version", "opset", "dimensions", "inputs",
            "state", "nodes", "outputs", "updates",
        },
    )  # fmt: skip
    if document["format"] != FORMAT or document["version"] != VERSION:
        raise Refused(
            f"graph.json is of format {str(document['format'])[:40]!r}, version "
            f"{str(document['version'])[:20]}; this is {FORMAT!r}, version {VERSION}"
        )
    opset = _integer(document["opset"], "opset", 1, 1 << 20)
    if opset > OPSET:
        raise Refused(
            f"graph.json needs opset {opset}; this metaloom knows {OPSET}: install a newer one"
        )
    if _written(document) != data:
        raise Refused("graph.json is not in canonical form; write it with write_graph")
    dimensions = _read_dimensions(document["dimensions"])
    names = {dimension.name for dimension in dimensions}
    inputs = tuple(
        _read_tree(tree, f"inputs[{i}]", lambda leaf, at: _read_leaf(leaf, at, names))
        for i, tree in enumerate(_list(document["inputs"], "inputs", MAX_INPUTS))
    )
    state = _read_state(document["state"])
    count = sum(1 for tree in inputs for _ in leaves(tree))
    nodes, known, in_training = _read_nodes(document["nodes"], count + len(state), opset)
    outputs: Tree[int] = _read_tree(
        document["outputs"], "outputs", lambda leaf, at: _read_output(leaf, at, known, in_training)
    )
    if next(leaves(outputs), None) is None:
        raise Refused("outputs: a graph gives at least one value")
    updates = _read_updates(document["updates"], state, known, in_training)
    return Graph(dimensions, inputs, state, nodes, outputs, updates, opset)


def _written(document: Any) -> bytes:
    """What `dump_canonical` writes, for a document whose keys `load_strict` has sorted."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _keys(value: Any, what: str, wanted: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{what} is {_kind(value)} where an object is wanted")
    if set(value) != wanted:
        extra, missing = sorted(set(value) - wanted), sorted(wanted - set(value))
        raise Refused(
            f"{what} has keys it may not have {str(extra)[:80]} or lacks {str(missing)[:200]}"
        )
    return value


def _list(value: Any, what: str, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(f"{what} is {_kind(value)} where a list is wanted")
    if len(value) > most:
        raise Refused(f"{what} has {len(value)} items; at most {most} are allowed")
    return value


def _integer(value: Any, what: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"{what} is {str(value)[:40]} where an integer {low}..{high} is wanted")
    return value


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"


def _read_dimensions(value: Any) -> tuple[Dimension, ...]:
    found: list[Dimension] = []
    for i, item in enumerate(_list(value, "dimensions", 16)):
        what = f"dimensions[{i}]"
        _keys(item, what, {"name", "low", "high", "multiple"})
        name = item["name"]
        if not isinstance(name, str) or not (name == BATCH or _DIMENSION.fullmatch(name)):
            raise Refused(f"{what}: {str(name)[:40]!r} is not a dimension's name, such as n")
        if any(name == other.name for other in found):
            raise Refused(f"{what}: the dimension {name} stands there twice")
        low = _integer(item["low"], f"{what}.low", 1, MAX_SIZE)
        high = _integer(item["high"], f"{what}.high", low, MAX_SIZE)
        multiple = _integer(item["multiple"], f"{what}.multiple", 1, high)
        if high // multiple * multiple < low:
            raise Refused(f"{what}: no multiple of {multiple} lies in {low}..{high}")
        found.append(Dimension(name, low, high, multiple))
    return tuple(found)


def _read_tree(value: Any, what: str, read_leaf: Callable[[Any, str], Any], depth: int = 0) -> Any:
    if depth > 8:
        raise Refused(f"{what[:60]}... nests deeper than 8 levels")
    if not isinstance(value, dict) or len(value) != 1:
        raise Refused(f"{what} is {_kind(value)} where a tensor, tuple or dict is wanted")
    ((kind, inner),) = value.items()
    if kind == "tuple":
        items = _list(inner, what, MAX_INPUTS)
        return tuple(
            _read_tree(item, f"{what}[{i}]", read_leaf, depth + 1) for i, item in enumerate(items)
        )
    if kind == "dict":
        if not isinstance(inner, dict) or len(inner) > MAX_INPUTS:
            raise Refused(f"{what} is {_kind(inner)} where an object is wanted")
        for key in inner:
            if not _KEY.fullmatch(key):
                raise Refused(
                    f"{what}: {key[:40]!r} is not a key: a letter, then letters, digits, _"
                )
        return {k: _read_tree(v, f"{what}.{k}", read_leaf, depth + 1) for k, v in inner.items()}
    return read_leaf(value, what)


def _read_leaf(value: Any, what: str, dimensions: set[str]) -> Leaf:
    tensor = _keys(_keys(value, what, {"tensor"})["tensor"], what, {"dtype", "shape"})
    sizes = _list(tensor["shape"], f"{what}.shape", MAX_RANK)
    for size in sizes:
        if isinstance(size, str):
            if size not in dimensions:
                raise Refused(f"{what}: the dimension {size[:40]!r} is not declared")
        else:
            _integer(size, f"{what}.shape", 0, MAX_SIZE)
    return Leaf(_dtype(tensor["dtype"], what), tuple(sizes))


def _dtype(value: Any, what: str) -> str:
    if not isinstance(value, str) or value not in STORED:
        raise Refused(f"{what}: {str(value)[:40]!r} is not a dtype; these are: {', '.join(STORED)}")
    return value


def check_state_name(name: Any, what: str) -> str:
    """A name of nested modules and a tensor, such as `encoder.0.weight`. Raises Refused."""
    rule = "a name is parts of ASCII letters, digits and _ joined by dots, none beginning with __"
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME:
        raise Refused(f"{what}: {str(name)[:60]!r} is not a name; {rule}")
    for part in name.split("."):
        if not _PART.fullmatch(part) or part.startswith("__"):
            raise Refused(f"{what}: {name[:60]!r} is not a name; {rule}")
    return name


def _read_state(value: Any) -> tuple[State, ...]:
    found: dict[str, State] = {}
    scopes: set[str] = set()
    for i, item in enumerate(_list(value, "state", MAX_STATE)):
        what = f"state[{i}]"
        state = _read_one_state(item, what, found)
        parts = state.name.split(".")
        above = {".".join(parts[:k]) for k in range(1, len(parts))}
        if state.name in found or state.name in scopes or not above.isdisjoint(found):
            raise Refused(f"{what}: the name {state.name!r} is taken")
        scopes |= above
        found[state.name] = state
    return tuple(found.values())


def _read_one_state(item: Any, what: str, earlier: Mapping[str, State]) -> State:
    kind = item.get("kind") if isinstance(item, dict) else None
    if kind == "shared":
        _keys(item, what, {"name", "kind", "with"})
        name = check_state_name(item["name"], what)
        other = earlier.get(item["with"]) if isinstance(item["with"], str) else None
        if other is None or other.kind not in ("parameter", "buffer"):
            raise Refused(
                f"{what}: {name} shares {str(item['with'])[:60]!r}, which is no earlier "
                "parameter or buffer"
            )
        return State(name, "shared", shared_with=other.name)
    more = {"parameter": {"requires_grad"}, "buffer": {"persistent"}, "constant": set[str]()}
    if not isinstance(kind, str) or kind not in more:
        raise Refused(f"{what}: {str(kind)[:40]!r} is not a kind of state; these are: "
                      f"{', '.join(more)}, shared")  # fmt: skip
    _keys(item, what, {"name", "kind", "dtype", "shape"} | more[kind])
    sizes = _list(item["shape"], f"{what}.shape", MAX_RANK)
    if item.get("requires_grad") is True and str(item["dtype"]) not in (*FLOATS, *REAL):
        raise Refused(f"{what} is of {str(item['dtype'])[:40]}, which has no gradient")
    for key in more[kind]:
        if not isinstance(item[key], bool):
            raise Refused(f"{what}.{key} is {_kind(item[key])} where a boolean is wanted")
    return State(
        check_state_name(item["name"], what),
        kind,
        _dtype(item["dtype"], what),
        tuple(_integer(size, f"{what}.shape", 0, MAX_SIZE) for size in sizes),
        requires_grad=item.get("requires_grad", False),
        persistent=item.get("persistent", kind != "constant"),
    )


def _read_nodes(value: Any, known: int, opset: int) -> tuple[tuple[Node, ...], int, set[int]]:
    """The nodes, the count of values, and the values that only training computes."""
    found: list[Node] = []
    in_training: set[int] = set()
    for i, item in enumerate(_list(value, "nodes", MAX_NODES)):
        node = _read_node(item, f"nodes[{i}]", known, opset, in_training)
        found.append(node)
        count = TABLE[node.op].gives(node.arguments)
        if node.only_in_training:
            in_training.update(range(known, known + count))
        known += count
    if (total := sum(1 for _ in every_node(found))) > MAX_NODES:
        raise Refused(f"nodes and those of loops are {total}; at most {MAX_NODES} are allowed")
    return tuple(found), known, in_training


def _read_body(value: Any, what: str, opset: int, depth: int) -> Body:
    if depth > MAX_LOOPS:
        raise Refused(f"{what[:60]}... nests loops deeper than {MAX_LOOPS} levels")
    _keys(value, what, {"inputs", "nodes", "outputs"})
    inputs = known = _integer(value["inputs"], f"{what}.inputs", 1, MAX_INPUTS)
    found = []
    for i, item in enumerate(_list(value["nodes"], f"{what}.nodes", MAX_NODES)):
        node = _read_node(item, f"{what}.nodes[{i}]", known, opset, set(), depth)
        if node.only_in_training:
            raise Refused(f"{what}.nodes[{i}] runs in training only, which a loop has none of")
        if "mode" in node.arguments.values():
            raise Refused(f"{what}.nodes[{i}] depends on the mode, which a loop cannot")
        found.append(node)
        known += TABLE[node.op].gives(node.arguments)
    outputs = _list(value["outputs"], f"{what}.outputs", MAX_INPUTS)
    if not outputs:
        raise Refused(f"{what}.outputs: a loop gives at least one value")
    for i, index in enumerate(outputs):
        at = f"{what}.outputs[{i}]"
        _check_reference(_integer(index, at, 0, 1 << 31), at, known, ())
    return Body(inputs, tuple(found), tuple(outputs))


def _read_node(
    item: Any, what: str, known: int, opset: int, in_training: set[int], depth: int = 0
) -> Node:
    keys = {"op", "inputs", "arguments"}
    if isinstance(item, dict) and "when" in item:
        keys = keys | {"when"}
    _keys(item, what, keys)
    if item.get("when", "training") != "training":
        raise Refused(f'{what}.when is {_kind(item["when"])} where "training" is wanted')
    op = TABLE.get(item["op"]) if isinstance(item["op"], str) else None
    if op is None or op.since > opset:
        raise Refused(
            f"{what}: the op {str(item['op'])[:60]!r} is not in the table of opset {opset}"
        )
    what = f"{what} ({op.key})"
    inputs = _read_inputs(item["inputs"], op, what)
    given = _keys(item["arguments"], f"{what}.arguments", set(op.arguments))
    arguments = {}
    for name, rule in op.arguments.items():
        try:
            if isinstance(rule, Nested):
                arguments[name] = _read_body(given[name], f"{what}.{name}", opset, depth + 1)
            else:
                arguments[name] = rule.read(given[name])
        except Refused as error:
            at = "" if isinstance(rule, Nested) else f"{what}.{name}: "
            raise Refused(f"{at}{error}") from None
    node = Node(op.key, inputs, arguments, "when" in item)
    for index in (*(i for i in inputs if i is not None), *node.sizes):
        _check_reference(index, what, known, () if node.only_in_training else in_training)
    return node


def _read_inputs(value: Any, op: Op, what: str) -> tuple[int | None, ...]:
    items = _list(value, f"{what}.inputs", MAX_INPUTS if op.variadic else len(op.inputs))
    if len(items) < len(op.inputs):
        raise Refused(
            f"{what} has {len(items)} inputs; it takes {', '.join(op.inputs) or 'none'}, "
            "null where one is left out"
        )
    for position, index in enumerate(items):
        if index is None and op.optional(position):
            continue
        _integer(index, f"{what}.inputs[{position}]", 0, 1 << 31)
    return tuple(items)


def _check_reference(index: int, what: str, known: int, hidden: Any) -> None:
    if not 0 <= index < known:
        raise Refused(
            f"{what} takes value {index}, but only the values before it, 0 to {known - 1}, "
            "are computed by then"
        )
    if index in hidden:
        raise Refused(f"{what} takes value {index}, which is computed in training only")


def _read_output(value: Any, what: str, known: int, in_training: set[int]) -> int:
    index = _integer(_keys(value, what, {"value"})["value"], what, 0, 1 << 31)
    _check_reference(index, what, known, in_training)
    return index


def _read_updates(
    value: Any, state: tuple[State, ...], known: int, in_training: set[int]
) -> tuple[Update, ...]:
    found: dict[int, Update] = {}
    for i, item in enumerate(_list(value, "updates", MAX_STATE)):
        what = f"updates[{i}]"
        _keys(item, what, {"state", "value", "when"})
        if item["when"] not in ("training", "always"):
            raise Refused(f'{what}.when is neither "training" nor "always"')
        at = _integer(item["state"], f"{what}.state", 0, len(state) - 1)
        if state[at].kind != "buffer":
            raise Refused(f"{what} changes {state[at].name!r}, which is no buffer")
        if at in found:
            raise Refused(f"{what} changes {state[at].name!r} a second time")
        only = item["when"] == "training"
        index = _integer(item["value"], f"{what}.value", 0, 1 << 31)
        _check_reference(index, what, known, () if only else in_training)
        found[at] = Update(at, index, only)
    return tuple(found.values())
