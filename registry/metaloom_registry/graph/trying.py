"""Trying a stranger's block: every check, and then passes through it where they are cheap."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from metaloom_registry.canonical import Json
from metaloom_registry.errors import Refused
from metaloom_registry.graph.checking import Budget, infer, sample_sizes
from metaloom_registry.graph.document import Graph, Leaf, leaves
from metaloom_registry.graph.examples import tensors_of
from metaloom_registry.graph.module import GraphModule, load_graph
from metaloom_registry.graph.rechecking import check_facts
from metaloom_registry.graph.validation import validate_graph
from metaloom_registry.graph.values import Spec
from metaloom_registry.types import parse_type
from metaloom_registry.workers.verdict import Trial

_SMALL = (
    b'{"dimensions":[{"high":9,"low":1,"multiple":1,"name":"B"}],"format":"metaloom.graph",'
    b'"inputs":[{"tensor":{"dtype":"float32","shape":["B",3]}}],'
    b'"nodes":[{"arguments":{},"inputs":[0],"op":"relu/1"}],"opset":1,"outputs":{"value":1},'
    b'"state":[],"updates":[],"version":1}'
)
_NO_WEIGHTS = b"\x02\0\0\0\0\0\0\0{}"
_ODD = '{"\u00e9":"\\ud800"}'.encode()

CHEAP = Budget(bytes=150 << 20, flops=1_000_000_000, calls=25_000)
"""What a pass may cost that is tried; a dearer one is checked without being computed."""


def tried(trial: Trial, cheap: Budget = CHEAP) -> Mapping[str, Json]:
    """What a pass costs and how many passes were tried; everything has been checked.

    Each pass has to give what the graph says: dtypes and shapes.  Raises Refused and TypeMismatch
    as `validate_graph` and `load_graph` do, WrongFact as `check_facts`, and whatever torch raises
    in a pass.
    """
    signature = None if trial.signature is None else parse_type(trial.signature)
    cost = validate_graph(trial.graph, trial.weights, signature)
    module = load_graph(trial.graph, trial.weights)
    if trial.facts and signature is not None:
        check_facts(trial.facts, trial.graph, trial.weights, signature, budget=cheap)
    passes = 0
    small, large = sample_sizes(module.graph.value)
    for sizes, training in ((small, False), (large, False), (large, True)):
        passes += _one_pass(module, sizes, training=training, cheap=cheap)
    return {
        "flops": cost.flops,
        "peak_bytes": cost.peak_bytes,
        "activation_bytes": cost.activation_bytes,
        "passes": passes,
    }


def _one_pass(
    module: GraphModule, sizes: Mapping[str, int], *, training: bool, cheap: Budget
) -> int:
    """Compute one pass and compare it with what is inferred; 0 where it costs too much."""
    graph = module.graph.value
    inputs = sum(spec.bytes for spec in _specs(graph, sizes))
    if inputs > cheap.bytes:
        return 0
    try:
        values, _ = infer(graph, sizes, cheap)
    except Refused:
        return 0
    generator = torch.Generator().manual_seed(0)
    given = [_input(tree, sizes, generator) for tree in graph.inputs]
    with torch.no_grad():
        found = tensors_of(module.train(training)(*given))
    wanted = [values[index] for index in leaves(graph.outputs)]
    for tensor, spec in zip(found, wanted, strict=True):
        dtype = str(tensor.dtype).removeprefix("torch.")
        if Spec(dtype, tuple(tensor.shape)) != spec:
            raise RuntimeError(
                f"a pass at {dict(sizes)} gives {dtype}{list(tensor.shape)} where {spec} is "
                "inferred; this is an error of metaloom's table of operations: please report it"
            )
    return 1


def _specs(graph: Graph, sizes: Mapping[str, int]) -> list[Spec]:
    return [Spec(leaf.dtype, _shape(leaf, sizes)) for leaf in graph.leaves]


def _shape(leaf: Leaf, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else sizes[size] for size in leaf.shape)


def _input(tree: Any, sizes: Mapping[str, int], generator: torch.Generator) -> Any:
    """Noise for floats, zeros for integers, so that an index is one of any table."""
    if isinstance(tree, tuple):
        return tuple(_input(item, sizes, generator) for item in tree)
    if isinstance(tree, dict):
        return {key: _input(item, sizes, generator) for key, item in tree.items()}
    dtype, shape = getattr(torch, tree.dtype), _shape(tree, sizes)
    if not dtype.is_floating_point:
        return torch.zeros(shape, dtype=dtype)
    return torch.rand(shape, generator=generator).to(dtype)


def warm_up() -> None:
    """Do a little of everything, so that all is loaded which is loaded when it is first used."""
    accepted, refused = Trial(_SMALL, _NO_WEIGHTS, "vec[3] -> vec[3]"), Trial(_ODD, b"")
    tried(accepted)
    with suppress(Refused):
        tried(refused)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 4, 9, 9, generator=generator)
    rows = torch.rand(6, 8, generator=generator)
    with torch.no_grad():
        for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
            nn.functional.conv2d(image.to(dtype), image[:, :, :3, :3].to(dtype))
            rows.to(dtype) @ rows.to(dtype).mT
        nn.functional.conv1d(image[0], image[0, :, :, :3])
        nn.functional.conv3d(image[None], image[None, :, :, :3, :3])
        nn.functional.conv_transpose2d(image, torch.rand(4, 3, 2, 2, generator=generator))
        nn.functional.scaled_dot_product_attention(image, image, image)
        nn.functional.interpolate(image, scale_factor=2.0, mode="bilinear")
        nn.functional.layer_norm(nn.functional.gelu(rows), (8,))
        nn.functional.batch_norm(image, torch.zeros(4), torch.ones(4), training=True)
        torch.einsum("ij,kj->ik", rows, rows).softmax(-1).topk(2)
        torch.fft.irfft2(torch.fft.rfft2(image))
        torch.cdist(rows, rows)
        torch.nn.functional.dropout(rows, 0.5, training=True)
        torch.sort(rows)
