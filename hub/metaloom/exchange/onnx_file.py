"""ONNX: a graph written for other runtimes, and compared with the original in one of them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from metaloom.exchange.arrays import leaf_names
from metaloom.exchange.extras import optional
from metaloom_registry import GraphModule, Refused
from metaloom_registry.graph import exported_program, traced_inputs
from metaloom_registry.graph.examples import tensors_of

CHECKED_MULTIPLES = (1, 4)
"""The open dimensions are tried at these multiples of the least they may be."""

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far a number may be off, relative to the largest of its output."""


def write_onnx(module: GraphModule, path: Path) -> None:
    """Write a graph as one ONNX file, in eval mode, its open dimensions left open.

    onnx checks the file, and onnxruntime computes the same from it at two sizes, or there is no
    file.  Raises MissingExtra, or Refused where the graph does not convert or computes something
    else.
    """
    onnx = optional("onnx", "onnx", "an ONNX file")
    optional("onnxscript", "onnx", "an ONNX file")
    runtime = optional("onnxruntime", "onnx", "comparing an ONNX file with the block")
    graph = module.graph.value
    program = exported_program(module)
    try:
        with _silent():
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=leaf_names(graph.inputs, "input"),
                output_names=leaf_names((graph.outputs,), "output"),
            )
            assert made is not None
            data = made.model_proto.SerializeToString()
            onnx.checker.check_model(data, full_check=True)
    except Exception as error:
        raise Refused(
            f"this graph does not convert to ONNX: {type(error).__name__}: {str(error)[:300]}; "
            "export it as .pt2 or as a portable folder instead"
        ) from error
    _compare(module, data, runtime)
    path.write_bytes(data)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what torch's converter says of packages that no graph of ours uses to itself."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _compare(module: GraphModule, data: bytes, runtime: Any) -> None:
    """Raise Refused unless onnxruntime computes what the module does."""
    try:
        session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise Refused(f"onnxruntime cannot load the ONNX file: {str(error)[:300]}") from error
    names = [entry.name for entry in session.get_inputs()]
    wanted_names = leaf_names(module.graph.value.inputs, "input")
    for multiples in CHECKED_MULTIPLES:
        inputs = traced_inputs(module.graph.value, multiples)
        with torch.no_grad():
            expected = tensors_of(module.eval()(*inputs))
        given = dict(zip(wanted_names, tensors_of(inputs), strict=True))
        try:
            outputs = session.run(None, {name: given[name].numpy() for name in names})
        except Exception as error:
            raise Refused(f"onnxruntime cannot run the ONNX file: {str(error)[:300]}") from error
        for place, (tensor, array) in enumerate(zip(expected, outputs, strict=True)):
            _require_equal(tensor, torch.from_numpy(array), f"output {place}")


def _require_equal(expected: torch.Tensor, given: torch.Tensor, what: str) -> None:
    same = expected.shape == given.shape and expected.dtype == given.dtype
    if same and expected.is_floating_point():
        scale = float(expected.double().abs().max()) if expected.numel() else 0.0
        allowed = TOLERANCE[expected.dtype] * max(scale, 1.0)
        same = bool(((expected.double() - given.double()).abs() <= allowed).all())
    elif same:
        same = torch.equal(expected, given)
    if not same:
        raise Refused(
            f"the ONNX file computes something else than the block: {what} of shape "
            f"{list(given.shape)} differs from the block's {list(expected.shape)}; "
            "export it as .pt2 or as a portable folder instead"
        )
