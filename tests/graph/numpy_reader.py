"""A second reader of graph blocks, in NumPy, from nothing but docs/block-format.md.

It computes in eval mode, and knows the operations of the golden blocks. It shares no code with the
first, so that what both compute was in the document.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DTYPES = {
    "BOOL": "?",
    "U8": "u1",
    "I32": "<i4",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "C64": "<c8",
}


def read_safetensors(data: bytes) -> dict[str, Array]:
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        start, stop = (8 + length + offset for offset in entry["data_offsets"])
        flat = np.frombuffer(data[start:stop], DTYPES[entry["dtype"]])
        found[name] = flat.reshape(entry["shape"])
    return found


def compute(graph: bytes, weights: bytes, inputs: Sequence[Array]) -> Any:
    """The outputs of a block for arrays in the order of the leaves of its inputs."""
    document = json.loads(graph)
    tensors = read_safetensors(weights)
    values: list[Any] = list(inputs)
    for state in document["state"]:
        if state["kind"] == "shared":
            tensors[state["name"]] = tensors[state["with"]]
        values.append(tensors[state["name"]])
    run(document["nodes"], values)
    return in_tree(document["outputs"], values)


def run(nodes: Sequence[Any], values: list[Any]) -> None:
    for node in nodes:
        if "when" in node:  # its values are counted, and nothing outside of training takes them
            values.append(None)
            continue
        given = [None if index is None else values[index] for index in node["inputs"]]
        arguments = {name: filled(value, values) for name, value in node["arguments"].items()}
        result = OPERATIONS[node["op"]](*given, **arguments)
        values.extend(result if isinstance(result, tuple) else (result,))


def filled(value: Any, values: Sequence[Any]) -> Any:
    if isinstance(value, list):
        return [filled(item, values) for item in value]
    if isinstance(value, dict) and set(value) == {"value"}:
        return values[value["value"]]
    return False if value == "mode" else value


def in_tree(tree: Any, values: Sequence[Any]) -> Any:
    ((kind, inner),) = tree.items()
    if kind == "tuple":
        return tuple(in_tree(item, values) for item in inner)
    if kind == "dict":
        return {key: in_tree(item, values) for key, item in inner.items()}
    return values[inner]


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    y = x @ weight.T
    return y if bias is None else y + bias


def convolution(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Array:
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    kernel = weight.shape[2:]
    sizes = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    ]
    y = np.zeros((len(x), len(weight), *sizes), x.dtype)
    taps = np.moveaxis(weight.reshape(*weight.shape[:2], -1), -1, 0)
    for tap, at in zip(taps, itertools.product(*map(range, kernel)), strict=True):
        seen = x[windows(at, sizes, stride, dilation)]
        for part in range(groups):
            rows = slice(part * len(weight) // groups, (part + 1) * len(weight) // groups)
            columns = slice(part * weight.shape[1], (part + 1) * weight.shape[1])
            y[:, rows] += np.einsum("bc...,oc->bo...", seen[:, columns], tap[rows])
    return y if bias is None else y + along_channels(bias, y)


def windows(at: Sequence[int], sizes: Any, stride: Any, dilation: Any) -> Any:
    """The index of where each window has the position `at`, over all items and channels."""
    starts = [i * d for i, d in zip(at, dilation, strict=True)]
    return (
        ...,
        *(
            slice(start, start + (size - 1) * s + 1, s)
            for start, size, s in zip(starts, sizes, stride, strict=True)
        ),
    )


def max_pool(
    x: Array, *, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Array:
    assert not ceil_mode
    border = [(0, 0), (0, 0), *((p, p) for p in padding)]
    x = np.pad(x, border, constant_values=-np.inf)
    sizes = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip(x.shape[2:], kernel_size, stride, dilation, strict=True)
    ]
    positions = itertools.product(*map(range, kernel_size))
    seen = [x[windows(at, sizes, stride, dilation)] for at in positions]
    return np.max(seen, axis=0)


def adaptive_average_1d(x: Array, *, output_size: Any) -> Array:
    (count,), size = output_size, x.shape[2]
    ends = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    return np.stack([x[:, :, start:stop].mean(2) for start, stop in ends], axis=2)


def along_channels(x: Array, like: Array) -> Array:
    return x.reshape(-1, *[1] * (like.ndim - 2))


def normal(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def affine(x: Array, weight: Array | None, bias: Array | None) -> Array:
    x = x if weight is None else x * along_channels(weight, x)
    return x if bias is None else x + along_channels(bias, x)


def batch_norm(
    x: Array,
    weight: Any,
    bias: Any,
    mean: Array,
    variance: Array,
    *,
    momentum: float,
    eps: float,
    train: bool,
) -> tuple[Array, Array, Array]:
    assert not train
    y = (x - along_channels(mean, x)) / np.sqrt(along_channels(variance, x) + eps)
    return affine(y, weight, bias), mean, variance


def group_norm(x: Array, weight: Any, bias: Any, *, groups: int, eps: float) -> Array:
    grouped = normal(x.reshape(len(x), groups, -1), (2,), eps)
    return affine(grouped.reshape(x.shape), weight, bias)


def instance_norm(x: Array, weight: Any, bias: Any, *, eps: float) -> Array:
    return affine(normal(x, tuple(range(2, x.ndim)), eps), weight, bias)


def layer_norm(x: Array, weight: Any, bias: Any, *, shape: Any, eps: float) -> Array:
    y = normal(x, tuple(range(-len(shape), 0)), eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def gelu(x: Array, *, approximate: str) -> Array:
    assert approximate == "none"
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def log_softmax(x: Array, *, dim: int) -> Array:
    shifted = x - x.max(dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(dim, keepdims=True))


def flatten(x: Array, *, start: int, end: int) -> Array:
    start, end = start % x.ndim, end % x.ndim
    return x.reshape(*x.shape[:start], -1, *x.shape[end + 1 :])


def sliced(x: Array, *, dim: int, start: int, stop: int, step: int) -> Array:
    return x[(*[slice(None)] * (dim % x.ndim), slice(start, stop, step))]


def embedding_bag(
    index: Array, weight: Array, scale: None, *, mode: str, padding: int | None
) -> Array:
    assert mode == "mean"
    assert scale is None
    rows = np.zeros((len(index), weight.shape[1]), weight.dtype)
    for row, named in zip(rows, index, strict=True):
        counted = weight[named[named != padding]]
        row[:] = counted.mean(0) if len(counted) else 0
    return rows


def distance(a: Array, b: Array, *, order: float) -> Array:
    apart = np.abs(a[..., :, None, :] - b[..., None, :, :])
    return (apart**order).sum(-1) ** (1 / order)


def scan(
    *given: Array, carries: int, sequences: int, length: int | None, reverse: bool, body: Any
) -> tuple[Array, ...]:
    carried = list(given[:carries])
    rows = given[carries : carries + sequences]
    steps = length if length is not None else len(rows[0])
    further: list[Any] = [None] * steps
    for step in reversed(range(steps)) if reverse else range(steps):
        values: list[Any] = [*carried, *(x[step] for x in rows), *given[carries + sequences :]]
        run(body["nodes"], values)
        results = [values[index] for index in body["outputs"]]
        carried, further[step] = results[:carries], results[carries:]
    return (*carried, *(np.stack(each) for each in zip(*further, strict=True)))


def real_fourier(x: Array, *, sizes: None, dims: Any, norm: Any) -> Array:
    assert sizes is None
    return np.fft.rfftn(x, axes=dims, norm=norm)


def inverse_real_fourier(x: Array, *, sizes: Any, dims: Any, norm: Any) -> Array:
    return np.fft.irfftn(x, s=sizes, axes=dims, norm=norm)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "add/1": np.add,
    "multiply/1": np.multiply,
    "relu/1": lambda x: np.maximum(x, 0),
    "sigmoid/1": sigmoid,
    "silu/1": lambda x: x * sigmoid(x),
    "tanh/1": np.tanh,
    "gelu/1": gelu,
    "log_softmax/1": log_softmax,
    "dropout/1": lambda x, *, p, train: x,
    "linear/1": linear,
    "conv1d/1": convolution,
    "conv2d/1": convolution,
    "max_pool2d/1": max_pool,
    "adaptive_avg_pool1d/1": adaptive_average_1d,
    "batch_norm/1": batch_norm,
    "group_norm/1": group_norm,
    "instance_norm/1": instance_norm,
    "layer_norm/1": layer_norm,
    "embedding_bag/1": embedding_bag,
    "distance/1": distance,
    "scan/1": scan,
    "real_fourier/1": real_fourier,
    "inverse_real_fourier/1": inverse_real_fourier,
    "size/1": lambda x, *, dim: x.shape[dim],
    "reshape/1": lambda x, *, sizes: x.reshape(sizes),
    "flatten/1": flatten,
    "permute/1": lambda x, *, dims: x.transpose(dims),
    "select/1": lambda x, *, dim, index: x.take(index, dim),
    "slice/1": sliced,
    "stack/1": lambda *x, dim: np.stack(x, dim),
    "concatenate/1": lambda *x, dim: np.concatenate(x, dim),
    "full_like/1": lambda x, *, sizes, value: np.full(sizes, value, x.dtype),
    "argmax/1": lambda x, *, dim, keep: x.argmax(dim, keepdims=keep),
    "mean/1": lambda x, *, dims, keep: x.mean(tuple(dims), keepdims=keep),
}
