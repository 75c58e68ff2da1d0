"""Attacks by the graph of a block."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.errors import Refused
from metaloom_registry.graph import load_graph, validate_graph

from .attack import Attack
from .conftest import VALID_DATA, safetensors, valid_document, valid_header


def read(graph: bytes, weights: bytes | None = None) -> None:
    """Both ways in: checking alone, and loading."""
    weights = safetensors(valid_header(), VALID_DATA) if weights is None else weights
    validate_graph(graph, weights)
    load_graph(graph, weights)


def attack(name: str, tries: str, says: str, graph: Callable[[], bytes]) -> Attack:
    return Attack(name, tries, Refused, says, lambda _: read(graph()))


def spoilt(*path: str | int, value: Any) -> Callable[[], bytes]:
    """The valid document with another value in one place."""

    def make() -> bytes:
        document: Any = valid_document()
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return dump_canonical(document)

    return make


def grown(op: str, arguments: dict[str, Any], inputs: tuple[int | None, ...] = (4,)) -> Any:
    """The valid document with one more node, whose value is the output."""

    def make() -> bytes:
        document = valid_document() | {"opset": 2}
        document["nodes"].append({"op": op, "inputs": list(inputs), "arguments": arguments})
        document["outputs"] = {"value": 5}
        return dump_canonical(document)

    return make


def looped(body: dict[str, Any], length: int | None = 3, inputs: tuple[int, ...] = (4,)) -> Any:
    arguments = {"carries": 1, "sequences": 0, "length": length, "reverse": False, "body": body}
    return grown("scan/1", arguments, inputs)


def _loop(depth: int) -> dict[str, Any]:
    if not depth:
        node: dict[str, Any] = {"op": "relu/1", "inputs": [0], "arguments": {}}
    else:
        arguments = {
            "carries": 1, "sequences": 0, "length": 2, "reverse": False, "body": _loop(depth - 1),
        }  # fmt: skip
        node = {"op": "scan/1", "inputs": [0], "arguments": arguments}
    return {"inputs": 1, "nodes": [node], "outputs": [1]}


def _text(old: bytes, new: bytes) -> Callable[[], bytes]:
    return lambda: dump_canonical(valid_document()).replace(old, new)


def _deep_inputs() -> bytes:
    document = valid_document()
    for _ in range(20):
        document["inputs"] = [{"tuple": document["inputs"]}]
    return dump_canonical(document)


def _many_nodes() -> bytes:
    node = {"op": "relu/1", "inputs": [0], "arguments": {}}
    return dump_canonical(valid_document() | {"nodes": [node] * 20_001})


def _doubling() -> bytes:
    document = valid_document()
    for value in range(4, 60):
        node = {"op": "concatenate/1", "inputs": [value, value], "arguments": {"dim": 0}}
        document["nodes"].append(node)
    return dump_canonical(document)


def _squaring() -> bytes:
    document = valid_document()
    document["nodes"].append({"op": "size/1", "inputs": [4], "arguments": {"dim": 1}})
    for value in range(5, 60):
        arguments = {"a": {"value": value}, "b": {"value": value}}
        document["nodes"].append({"op": "size_multiply/1", "inputs": [], "arguments": arguments})
    return dump_canonical(document)


def _with_zip() -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("code.py", "print('hello')")
    return dump_canonical(valid_document()) + archive.getvalue()


def _pt2() -> bytes:
    file = io.BytesIO()
    torch.export.save(torch.export.export(nn.Linear(3, 2), (torch.zeros(1, 3),)), file)
    return file.getvalue()


class Bomb:
    """Something whose unpickling calls a function."""

    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("unpickled",))


def _zero_batch(_: Path) -> None:
    document = valid_document()
    document["dimensions"][0]["low"] = 0
    read(dump_canonical(document))


_CONV = {"stride": [1, 1], "padding": [0, 0], "dilation": [1, 1], "groups": 1}

ATTACKS = (
    attack("an op that runs a command", "names `os.system/1` among the operations",
           r"'os.system/1' is not in the table", spoilt("nodes", 1, "op", value="os.system/1")),
    attack("an op that reads files", "names `from_file/1`, as torch has it",
           r"'from_file/1' is not in the table", spoilt("nodes", 1, "op", value="from_file/1")),
    attack("an op that sees other memory", "names `as_strided/1`",
           r"'as_strided/1' is not in the table", spoilt("nodes", 1, "op", value="as_strided/1")),
    attack("torch's own recurrent kernel", "names `lstm/1`, which dies of an empty batch",
           r"'lstm/1' is not in the table", spoilt("nodes", 1, "op", value="lstm/1")),
    Attack("an empty batch", "declares that a batch may have 0 items, which kills kernels",
           Refused, r"dimensions\[0\].low is 0 where an integer 1", _zero_batch),
    attack("an op of a later version", "asks for `conv2d/9`",
           r"'conv2d/9' is not in the table", spoilt("nodes", 1, "op", value="conv2d/9")),
    attack("a forward reference", "uses a value before it is computed",
           r"nodes\[0\] \(linear/1\) takes value 3",
           spoilt("nodes", 0, "inputs", value=[3, 1, 2])),
    attack("a cycle", "lets two nodes take each other's values",
           r"nodes\[0\] \(linear/1\) takes value 4",
           spoilt("nodes", 0, "inputs", value=[4, 1, 2])),
    attack("a node that takes itself", "lets a node wait for its own value",
           r"nodes\[1\] \(relu/1\) takes value 4", spoilt("nodes", 1, "inputs", value=[4])),
    attack("a negative reference", "counts values from the end, as Python does",
           r"inputs\[0\] is -1 where an integer", spoilt("nodes", 1, "inputs", value=[-1])),
    attack("an output from nowhere", "gives a value that no node computes",
           "outputs takes value 5", spoilt("outputs", value={"value": 5})),
    attack("a leak from training", "gives in eval mode what only training computes",
           "computed in training only", spoilt("nodes", 1, "when", value="training")),
    attack("a key twice", "says `opset` twice, so that two readers read two things",
           "'opset' appears twice", _text(b'"opset":1', b'"opset":1,"opset":1')),
    attack("a million brackets", "exhausts the stack of a JSON reader",
           "graph.json nests deeper than 256", lambda: b"[" * 1_000_000 + b"]" * 1_000_000),
    attack("a deep tree of inputs", "nests tuples 20 deep",
           "nests deeper than 8 levels", _deep_inputs),
    attack("a text without an end", "makes a reader look back again and again",
           "is not JSON|graph.json", lambda: b"[]" * 500 + b'\\"' * 1_500_000),
    attack("a document of 4 MiB and a byte", "is larger than any honest graph",
           "at most 4194304 are read", lambda: b" " * (4 * 1024 * 1024 + 1)),
    attack("twenty thousand nodes", "makes the checks take long",
           "nodes has 20001 items; at most 20000", _many_nodes),
    attack("another spelling", "writes the same graph with white space, for another digest",
           "graph.json is not in canonical form",
           lambda: json.dumps(valid_document()).encode()),
    attack("a graph that is also a zip file", "appends an archive with code to the JSON",
           r"graph.json is not (JSON|UTF-8): .* [45]\d\d$", _with_zip),
    attack("a renamed .pt2", "gives torch's own format, which runs code, as a graph",
           r"graph.json is not UTF-8: .* at byte \d\d?$", _pt2),
    attack("a renamed pickle as graph", "gives a pickle that calls a function",
           "graph.json is not UTF-8: invalid start byte at byte 0",
           lambda: pickle.dumps(Bomb())),
    attack("a dimension of 2^40", "asks for an input that no memory holds",
           r"inputs\[0\].shape is 1099511627776",
           spoilt("inputs", 0, "tensor", "shape", value=["B", 1 << 40])),
    attack("an integer of 400 digits", "overflows a reader's integers",
           "does not fit into 64 bits", _text(b'"high":1024', b'"high":' + b"9" * 400)),
    attack("a number beyond doubles", "writes 1e999, which becomes infinite",
           "1e999 does not fit into a double", _text(b'"high":1024', b'"high":1e999')),
    attack("NaN in JSON", "writes NaN, which some readers take",
           "NaN is not a JSON number", _text(b'"high":1024', b'"high":NaN')),
    attack("a repeat bomb", "repeats a tensor 2^40 times",
           r"nodes\[2\] \(repeat/1\).*(budget|beyond)",
           grown("repeat/1", {"repeats": [1 << 20, 1 << 20]})),
    attack("a list multiplied", "gives 4000 sizes where 8 dimensions are the most",
           r"\(repeat/1\).repeats", grown("repeat/1", {"repeats": [1 << 20] * 4000})),
    attack("an expand bomb", "expands to 2^31 elements without owning them",
           r"nodes\[2\] \(expand/1\)", grown("expand/1", {"sizes": [1 << 30, -1, 2]})),
    attack("a range of 2^38 numbers", "makes a tensor out of nothing",
           r"nodes\[2\] \(range/1\)",
           grown("range/1", {"start": 0, "stop": 1 << 38, "step": 1, "dtype": "int64"})),
    attack("a full tensor of 32 GiB", "fills 2^32 doubles",
           r"nodes\[2\] \(full/1\)",
           grown("full/1", {"sizes": [1 << 16, 1 << 16], "value": 0.0, "dtype": "float64"})),
    attack("zero elements of huge strides", "hides 2^62 behind a size of 0",
           "beyond rank 8 or 2\\^40 elements",
           grown("full/1", {"sizes": [1 << 31, 1 << 31, 0], "value": 0.0, "dtype": "float32"})),
    attack("a chain that doubles", "joins a tensor with itself 56 times",
           "concatenate/1.*the budget is", _doubling),
    attack("sizes that square themselves", "multiplies a size with itself 55 times",
           r"the size \d+ is beyond", _squaring),
    attack("a division by the size 0", "divides while shapes are computed",
           "1 divided by 0", grown("size_divide/1", {"a": 1, "b": 0}, ())),
    attack("a tensor as a size", "lets data decide about shapes",
           "value 3 is a tensor where a size", grown("reshape/1", {"sizes": [{"value": 3}]})),
    attack("a number that float32 lacks", "clamps to 1e300, which stops torch in the middle",
           r"1e\+300 is no number of float32", grown("clamp/1", {"low": 1e300, "high": None})),
    attack("a stride that crashes torch", "transposes a convolution with a stride of 65536",
           r"\(conv_transpose1d/1\).stride: 65536 is given",
           grown("conv_transpose1d/1", {"stride": [65536], "padding": [0],
                 "output_padding": [0], "dilation": [1], "groups": 1}, (0, 1, None))),
    attack("an argument that names a class", "adds `__class__` to the arguments of softmax",
           r"arguments has keys it may not have \['__class__'\]",
           grown("softmax/1", {"dim": 1, "__class__": "os.system"})),
    attack("a truth value as a number", "gives true as a stride, which Python takes for 1",
           r"\(conv2d/1\).stride: True is given",
           grown("conv2d/1", _CONV | {"stride": [True, 1]}, (0, 1, None))),
    attack("an equation that is none", "writes Python into the equation of einsum",
           r"\(einsum/1\).equation",
           grown("einsum/1", {"equation": "ij->__import__('os')"})),
    attack("shapes that misfit", "multiplies 3 numbers by a matrix for 4",
           r"nodes\[0\] \(linear/1\): float32\[1,3\] times the weight",
           spoilt("state", 0, "shape", value=[2, 4])),
    attack("a graph for one batch size", "reshapes to 2 numbers, which fits batch 1 alone",
           r"nodes\[2\] \(reshape/1\): .* has 6 elements", grown("reshape/1", {"sizes": [2]})),
    attack("an update of a parameter", "changes what it was trained to be while it runs",
           "which is no buffer",
           spoilt("updates", value=[{"state": 0, "value": 1, "when": "always"}])),
    attack("integers that want gradients", "makes a parameter of integers that requires a gradient",
           "which has no gradient", spoilt("state", 0, "dtype", value="int64")),
    attack("a document of the future", "says version 99, in the hope of a lenient reader",
           "version 99", spoilt("version", value=99)),
    attack("an opset of the future", "says opset 99",
           "needs opset 99", spoilt("opset", value=99)),
    attack("loops in loops in loops", "nests loops 5 deep, each twice as long",
           "nests loops deeper", looped(_loop(5))),
    attack("a loop of 2^31 steps", "repeats a cheap step without end",
           r"2147483648 steps of", looped(_loop(0), 1 << 31)),
    attack("a loop that looks outside", "names a value of the graph around it",
           "takes value 3", looped(_loop(0) | {"nodes": [
               {"op": "relu/1", "inputs": [3], "arguments": {}}]})),
    attack("a loop whose state grows", "doubles its state at every step",
           "a carry is .* before a step and .* after it", looped(_loop(0) | {"nodes": [
               {"op": "concatenate/1", "inputs": [0, 0], "arguments": {"dim": 0}}]})),
    attack("a name that leaves its folder", "calls a tensor `../../etc/passwd`",
           r"'\.\./\.\./etc/passwd' is not a name",
           spoilt("state", 0, "name", value="../../etc/passwd")),
    attack("a name in another alphabet", "writes `weight` with a Cyrillic e, to look the same",
           "'w\u0435ight' is not a name", spoilt("state", 0, "name", value="w\u0435ight")),
    attack("a name of Python", "calls a tensor `__class__`",
           "'__class__' is not a name", spoilt("state", 0, "name", value="__class__")),
    Attack("a name that hides a method", "calls a tensor `forward`", Refused,
           "'forward' would hide", lambda _: _hiding("forward")),
    attack("a name twice", "gives two tensors one name",
           "'layer.weight' is taken", spoilt("state", 1, "name", value="layer.weight")),
    attack("a tensor that shares itself", "shares memory with nothing but itself",
           "shares 'layer.weight', which is no earlier",
           spoilt("state", 0, value={"name": "layer.weight", "kind": "shared",
                                     "with": "layer.weight"})),
    attack("an output called <script>", "hopes that a page shows the names of outputs",
           "'<script>' is not a key",
           spoilt("outputs", value={"dict": {"<script>": {"value": 4}}})),
)  # fmt: skip


def _hiding(name: str) -> None:
    document, header = valid_document(), valid_header()
    document["state"][0]["name"] = name
    header[name] = header.pop("layer.weight")
    load_graph(dump_canonical(document), safetensors(header, VALID_DATA))
