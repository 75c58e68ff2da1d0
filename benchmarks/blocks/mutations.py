"""Valid blocks spoilt at random: structure-aware changes of graphs, weights, manifests and terms.

Every function takes a `random.Random` and gives new bytes; the same seed spoils in the same way.
"""

from __future__ import annotations

import copy
import json
import random
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.errors import MetaloomError
from metaloom_registry.graph import rules
from metaloom_registry.graph.checking import check_graph
from metaloom_registry.graph.op import Op
from metaloom_registry.graph.ops import OPSET, TABLE
from metaloom_registry.graph.reading import read_graph
from metaloom_registry.graph.values import BYTES, Spec

DTYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
    "complex64": "C64", "complex128": "C128",
}  # fmt: skip
"""Names of dtypes in graphs -> in safetensors."""

VALUES: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 8, -8, 255, 1 << 16, 1 << 20, 1 << 30, 1 << 31, (1 << 31) - 1, 1 << 40,
    1 << 62, -(1 << 31), -(1 << 63), (1 << 63) - 1, 0.0, -0.0, 0.5, 1.5, -1e300, 1e300, 1e-300,
    True, False, None, "", "B", "mode", "inf", "-inf", "constant", "reflect", "linear", "float16",
    "int64", "bool", "ij,jk->ik", "training", "always", "a" * 300, "\u202e", "__class__", "../x",
    [], [1], [0, 0], [2, 2, 2], [-1], [1 << 30] * 3, {}, {"value": 0}, {"value": 5},
    {"value": 1 << 40}, {"value": -1}, {"tuple": []}, {"dict": {}}, {"tensor": {}},
)  # fmt: skip

EQUATIONS = ("ij,jk->ik", "bij,bjk->bik", "ij->ji", "ii->i", "i,j->ij", "...i,ij->...j", "bij->b")
MAX_REBUILT = 1 << 20
"""Bytes of weights that are made anew for a spoilt graph; larger ones are left as they are."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A valid block to be spoilt."""

    kind: str
    graph: bytes
    weights: bytes


def sprouts(chance: random.Random, tries: int = 200) -> Iterator[Sample]:
    """A graph of one node for each operation that random inputs and arguments fit."""
    for op in TABLE.values():
        for _ in range(tries):
            inputs = [_drawn_spec(op, i, chance) for i in range(len(op.inputs))]
            arguments = drawn(op, chance)
            document = _one_node(op, inputs, arguments)
            try:
                check_graph(read_graph(dump_canonical(document)))
            except MetaloomError:
                continue
            yield Sample(op.key, dump_canonical(document), _NO_WEIGHTS)
            break


def _drawn_spec(op: Op, position: int, chance: random.Random) -> Spec | None:
    if op.optional(position) and chance.random() < 0.5:
        return None
    dtype = chance.choice(("float32", "float32", "float32", "int64", "bool", "complex64"))
    rank = chance.randrange(6)
    return Spec(dtype, tuple(chance.choice((1, 2, 2, 3, 4)) for _ in range(rank)))


def _one_node(op: Op, inputs: Sequence[Spec | None], arguments: dict[str, Any]) -> dict[str, Any]:
    given = [spec for spec in inputs if spec is not None]
    leaves = [{"tensor": {"dtype": s.dtype, "shape": list(s.shape)}} for s in given]
    slots = iter(range(len(given)))
    return {
        "format": "metaloom.graph",
        "version": 1,
        "opset": OPSET,
        "dimensions": [{"name": "B", "low": 1, "high": 64, "multiple": 1}],
        "inputs": [*leaves, {"tensor": {"dtype": "float32", "shape": ["B", 3]}}],
        "state": [],
        "nodes": [
            {
                "op": op.key,
                "inputs": [None if spec is None else next(slots) for spec in inputs],
                "arguments": arguments,
            }
        ],
        "outputs": {"value": len(given) if op.key.startswith("size") else len(given) + 1},
        "updates": [],
    }


_NO_WEIGHTS = struct.pack("<Q", 2) + b"{}"


def spoilt_block(sample: Sample, chance: random.Random) -> tuple[str, bytes, bytes]:
    """How it was spoilt, and the graph and the weights then."""
    way = chance.choices(list(_WAYS), [weight for _, weight in _WAYS.values()])[0]
    graph, weights = _WAYS[way][0](sample, chance)
    return way, graph, weights


def spoilt_json(data: bytes, chance: random.Random) -> bytes:
    """Another JSON document, or bytes that are none."""
    if chance.random() < 0.3:
        return spoilt_bytes(data, chance)
    document = json.loads(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        document = _changed(document, chance)
    return _written(document, chance)


def spoilt_bytes(data: bytes, chance: random.Random) -> bytes:
    """Bits flipped, bytes cut out, put in, doubled, or the end cut off."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(6):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                del found[at : at + chance.choice((1, 4, 100))]
            case 2:
                found[at:at] = chance.randbytes(chance.choice((1, 4, 100)))
            case 3:
                found[at:at] = found[at : at + chance.choice((1, 8, 1000))]
            case 4:
                del found[at:]
            case _ if at < len(found):
                found[at] = chance.choice((0, 0x22, 0x5B, 0x5C, 0x7B, 0x7D, 0x80, 0xFF))
    return bytes(found)


def _graph_json(sample: Sample, chance: random.Random) -> tuple[bytes, bytes]:
    document = json.loads(sample.graph)
    for _ in range(chance.choice((1, 1, 2, 3))):
        change = chance.choice((_changed, _changed, _redirect, _other_op, _other_dtype, _grown))
        document = change(document, chance)
    return _with_weights(document, sample, chance)


def _grown_graph(sample: Sample, chance: random.Random) -> tuple[bytes, bytes]:
    document = json.loads(sample.graph)
    for _ in range(chance.choice((1, 2, 3, 5))):
        document = _grown(document, chance)
    return _with_weights(document, sample, chance)


def _graph_bytes(sample: Sample, chance: random.Random) -> tuple[bytes, bytes]:
    return spoilt_bytes(sample.graph, chance), sample.weights


def _weight_bytes(sample: Sample, chance: random.Random) -> tuple[bytes, bytes]:
    return sample.graph, spoilt_bytes(sample.weights, chance)


def _weight_header(sample: Sample, chance: random.Random) -> tuple[bytes, bytes]:
    (length,) = struct.unpack("<Q", sample.weights[:8])
    header, data = sample.weights[8 : 8 + length], sample.weights[8 + length :]
    header = spoilt_json(header, chance)
    if chance.random() < 0.2:
        length = chance.choice((0, 1, len(header) + 1, 1 << 31, 1 << 63, (1 << 64) - 1))
    else:
        length = len(header)
    return sample.graph, struct.pack("<Q", length) + header + data


def _weight_numbers(sample: Sample, chance: random.Random) -> tuple[bytes, bytes]:
    """NaN, infinities and huge numbers in place of some weights."""
    (length,) = struct.unpack("<Q", sample.weights[:8])
    found = bytearray(sample.weights)
    begin, size = 8 + length, len(found) - 8 - length
    for _ in range(chance.choice((1, 5))):
        if size >= 4:
            at = begin + chance.randrange(size // 4) * 4
            number = chance.choice((float("nan"), float("inf"), -3e38, 1e-45))
            found[at : at + 4] = struct.pack("<f", number)
    return sample.graph, bytes(found)


_WAYS: Mapping[str, tuple[Callable[[Sample, random.Random], tuple[bytes, bytes]], int]] = {
    "graph": (_graph_json, 10),
    "grown": (_grown_graph, 6),
    "graph_bytes": (_graph_bytes, 2),
    "weight_bytes": (_weight_bytes, 1),
    "weight_header": (_weight_header, 2),
    "weight_numbers": (_weight_numbers, 1),
}


def _changed(document: Any, chance: random.Random) -> Any:
    """One place of a document takes another value, moves, doubles or vanishes."""
    places = [place for place in _places(document) if place]
    if not places:
        return chance.choice(VALUES)
    place = chance.choice(places)
    holder = _at(document, place[:-1])
    key = place[-1]
    match chance.randrange(8):
        case 0:
            holder[key] = copy.deepcopy(_at(document, chance.choice(places)))
        case 1:
            del holder[key]
        case 2 if isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        case 3 if isinstance(holder[key], int) and not isinstance(holder[key], bool):
            holder[key] += chance.choice((-1, 1, 2, -2))
        case _:
            holder[key] = copy.deepcopy(chance.choice(VALUES))
    return document


def _redirect(document: Any, chance: random.Random) -> Any:
    """One node takes another of the earlier values."""
    nodes = _nodes(document)
    if nodes:
        node = chance.choice(nodes)
        inputs = node.get("inputs")
        if isinstance(inputs, list) and inputs:
            most = max((i for i in inputs if isinstance(i, int)), default=3)
            inputs[chance.randrange(len(inputs))] = chance.choice(
                (chance.randint(0, max(most, 0)), None)
            )
    return document


def _other_op(document: Any, chance: random.Random) -> Any:
    """One node becomes another operation, with arguments of its own half of the time."""
    nodes = _nodes(document)
    if nodes:
        node, op = chance.choice(nodes), TABLE[chance.choice(list(TABLE))]
        node["op"] = op.key
        if chance.random() < 0.8:
            node["arguments"] = drawn(op, chance)
    return document


def _other_dtype(document: Any, chance: random.Random) -> Any:
    """An input or a tensor of the state takes another dtype."""
    places = [place for place in _places(document) if place and place[-1] == "dtype"]
    if places:
        place = chance.choice(places)
        _at(document, place[:-1])["dtype"] = chance.choice(list(BYTES))
    return document


def _grown(document: Any, chance: random.Random) -> Any:
    """One more node at the end, by the rules of its operation, and an output that needs it."""
    nodes = _nodes(document)
    try:
        count = _count(document)
    except (TypeError, KeyError, AttributeError):
        return document
    op = TABLE[chance.choice(list(TABLE))]
    # The last values are the likelier ones, so that what was added feeds what is added.
    inputs: list[int | None] = [
        chance.choice((count - 1, chance.randrange(count))) if count else 0 for _ in op.inputs
    ]
    for position in range(len(inputs)):
        if op.optional(position) and chance.random() < 0.5:
            inputs[position] = None
    if isinstance(document.get("nodes"), list):
        nodes.append({"op": op.key, "inputs": inputs, "arguments": drawn(op, chance)})
        document["nodes"] = nodes
        if not op.key.startswith("size") and "outputs" in document:
            document["outputs"] = {"tuple": [document["outputs"], {"value": count}]}
    return document


def _count(document: Any) -> int:
    """How many values a document has: leaves of its inputs, state, outputs of its nodes."""
    leaves = sum(1 for place in _places(document["inputs"]) if place and place[-1] == "tensor")
    outputs = 0
    for node in document["nodes"]:
        op = TABLE[node["op"]]
        body = node["arguments"].get("body")
        outputs += len(body["outputs"]) if isinstance(body, dict) else len(op.outputs)
    return leaves + len(document["state"]) + outputs


def drawn(op: Op, chance: random.Random) -> dict[str, Any]:
    """Arguments of an operation that keep its rules, most of the time with small numbers."""
    return {name: _argument(rule, chance) for name, rule in op.arguments.items()}


def _argument(rule: rules.Rule, chance: random.Random) -> Any:
    match rule:
        case rules.Int(low, high):
            return _integer(low, high, chance)
        case rules.Size(low, high):
            if chance.random() < 0.1:
                return {"value": chance.randrange(8)}
            return _integer(low, high, chance)
        case rules.Float(low, high):
            number = chance.choice((0.0, 0.5, 1.0, 1e-5, -1.0, 2.0, 1e300))
            return min(max(number, low), high)
        case rules.Extended():
            return chance.choice((0.0, 1.0, "inf", "-inf", -1e300))
        case rules.Scalar():
            return chance.choice((0, 1, 2, -1, 0.5, -0.0, 1e300, 1 << 40, {"value": 0}))
        case rules.Flag():
            return chance.random() < 0.5
        case rules.Mode():
            return chance.choice((True, False, "mode"))
        case rules.Choice(words):
            return chance.choice(words)
        case rules.DType():
            return chance.choice(list(BYTES))
        case rules.Text():
            return chance.choice(EQUATIONS)
        case rules.Many(inner, fewest, most):
            count = chance.randint(fewest, min(most, fewest + 4))
            return [_argument(inner, chance) for _ in range(count)]
        case rules.Maybe(inner):
            return None if chance.random() < 0.3 else _argument(inner, chance)
        case _:
            node = {"op": "relu/1", "inputs": [0], "arguments": {}}
            return {"inputs": 1, "nodes": [node], "outputs": [1]}


def _integer(low: int, high: int, chance: random.Random) -> int:
    small = (0, 1, 1, 2, 2, 3, 4, -1, -2, 5, 7, 16)
    number = chance.choice(small if chance.random() < 0.9 else (low, high, 1 << 20, 1 << 31))
    return min(max(number, low), high)


def _with_weights(document: Any, sample: Sample, chance: random.Random) -> tuple[bytes, bytes]:
    """The document, and weights that fit its state where they are small: so more gets through."""
    graph = _written(document, chance)
    try:
        weights = _weights_for(document["state"], chance)
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError):
        weights = None
    return graph, weights if weights is not None else sample.weights


def _weights_for(state: Any, chance: random.Random) -> bytes | None:
    header: dict[str, Any] = {}
    data = bytearray()
    for item in state:
        if item["kind"] == "shared":
            continue
        spec = Spec(item["dtype"], tuple(item["shape"]))
        if not 0 <= spec.bytes <= MAX_REBUILT or len(data) > MAX_REBUILT:
            return None
        stop = len(data) + spec.bytes
        header[item["name"]] = {
            "dtype": DTYPES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [len(data), stop],
        }
        # Small positive numbers in every float dtype, 0 and 1 as integers and truth values.
        data += (b"\x00" if chance.random() < 0.5 else b"\x01") * spec.bytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def _written(document: Any, chance: random.Random) -> bytes:
    """Canonical, so that it is read; now and then otherwise."""
    try:
        if chance.random() < 0.98:
            return dump_canonical(document)
    except (MetaloomError, RecursionError):
        pass
    return json.dumps(document).encode()


def _nodes(document: Any) -> list[Any]:
    nodes = document.get("nodes") if isinstance(document, dict) else None
    found = nodes if isinstance(nodes, list) else []
    return [node for node in found if isinstance(node, dict)]


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*at, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _places(value[index], (*at, index))


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value
