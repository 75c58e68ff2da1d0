"""An MLflow model of a block: a portable folder, and the name of the module that loads it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from metaloom.exchange.arrays import leaf_names
from metaloom.exchange.extras import optional
from metaloom.lineage.sender import CALM
from metaloom_registry import (
    BOOL,
    FLOAT,
    GRID,
    INT,
    TEXT,
    Constructed,
    Manifest,
    Portable,
    Refused,
    Tensor,
    Type,
    parse_type,
    read_graph,
    taught,
    uncurried,
    write_portable,
)
from metaloom_registry.graph import output_specs
from metaloom_registry.graph.checking import sample_sizes
from metaloom_registry.manifest import GRAPH_FILE

LOADER = "metaloom.exchange.served"
"""The module whose `_load_pyfunc` MLflow calls."""

BLOCK_FOLDER = "block"
NEEDED = ("metaloom", "torch", "safetensors", "numpy")
"""What a server of the model installs."""

OPEN = "open"
"""Stands for a size that is left open."""


def write_mlflow(portable: Portable, target: Path, work: Path) -> None:
    """Write a folder that `mlflow models serve` serves; `work` is an empty folder to work in.

    Trained graphs take and give arrays; programs take one column an argument.  Raises MissingExtra,
    or Refused for a program whose type MLflow has no schema for, or that learns from examples
    first.
    """
    _require_answers(portable)
    for name, value in CALM.items():
        os.environ.setdefault(name, value)
    pyfunc = optional("mlflow.pyfunc", "mlflow", "an MLflow model")
    written = write_portable(portable, work / BLOCK_FOLDER)
    signature = _signature(portable)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for an example, which the signature stands for
        pyfunc.save_model(
            str(target),
            loader_module=LOADER,
            data_path=str(written),
            pip_requirements=[_pinned(name) for name in NEEDED],
            signature=signature,
            metadata={"metaloom": {"block": str(portable.digest)}},
        )


def _require_answers(portable: Portable) -> None:
    manifest = portable.manifest
    if manifest.kind == "program" and taught(_served_type(manifest)) is not None:
        raise Refused(
            f"a program of type {manifest.signature} learns from examples first, which a server "
            "does not give; adapt it to a task, publish the solution, and export that"
        )


def _served_type(manifest: Manifest) -> Type:
    """The type of what is asked: without the support, where a solution carries one."""
    facts = manifest.facts.get("solution")
    if isinstance(facts, Mapping) and isinstance(text := facts.get("type"), str):
        return parse_type(text)
    return manifest.signature


def _signature(portable: Portable) -> Any:
    models = optional("mlflow.models", "mlflow", "an MLflow model")
    types = optional("mlflow.types", "mlflow", "an MLflow model")
    if portable.manifest.kind == "graph":
        inputs, outputs = _graph_schema(portable.files[GRAPH_FILE], types)
    else:
        arguments, result = uncurried(_served_type(portable.manifest))
        names = leaf_names((tuple(arguments),), "input")
        given = [_column(t, n, types) for t, n in zip(arguments, names, strict=True)]
        inputs = types.Schema(given)
        outputs = types.Schema([_column(result, "output", types)])
    return models.ModelSignature(inputs=inputs, outputs=outputs)


def _graph_schema(document: bytes, types: Any) -> tuple[Any, Any]:
    """The arrays that a graph takes and gives; an open size is -1."""
    graph = read_graph(document)
    small, large = (output_specs(graph, sizes) for sizes in sample_sizes(graph))
    given = [(leaf.dtype, leaf.shape) for leaf in graph.leaves]
    gives = [
        (a.dtype, tuple(x if x == y else OPEN for x, y in zip(a.shape, b.shape, strict=True)))
        for a, b in zip(small, large, strict=True)
    ]
    return (
        _arrays(given, leaf_names(graph.inputs, "input"), types),
        _arrays(gives, leaf_names((graph.outputs,), "output"), types),
    )


def _arrays(
    specs: Sequence[tuple[str, tuple[int | str, ...]]], names: Sequence[str], types: Any
) -> Any:
    numpy = optional("numpy", "mlflow", "an MLflow model")
    alone = len(specs) == 1
    return types.Schema(
        [
            types.TensorSpec(
                numpy.dtype("float32" if dtype == "bfloat16" else dtype),
                tuple(-1 if isinstance(size, str) else size for size in shape),
                None if alone else name,
            )
            for (dtype, shape), name in zip(specs, names, strict=True)
        ]
    )


def _column(type_: Type, name: str, types: Any) -> Any:
    return types.ColSpec(_data_type(type_, type_, types), name)


def _data_type(type_: Type, whole: Type, types: Any) -> Any:
    """What MLflow calls a type: lists, and tensors item by item, are arrays."""
    plain = {INT: "long", FLOAT: "double", BOOL: "boolean", TEXT: "string"}
    if type_ in plain:
        return getattr(types.DataType, plain[type_])
    if type_ == GRID:
        return types.schema.Array(types.schema.Array(types.DataType.long))
    if isinstance(type_, Tensor):
        number = types.DataType.double if type_.dtype == "float32" else types.DataType.long
        for _ in () if type_.kind == "label" else type_.dimensions:
            number = types.schema.Array(number)
        return number
    if isinstance(type_, Constructed) and type_.name == "list":
        return types.schema.Array(_data_type(type_.arguments[0], whole, types))
    raise Refused(
        f"{type_} in {whole} has no place in an MLflow schema; numbers, texts, truth values, "
        "tensors and lists of them have one. Export the program as a portable folder instead"
    )


def _pinned(distribution: str) -> str:
    """The installed version of a distribution as a requirement, without its local part."""
    try:
        return f"{distribution}=={version(distribution).partition('+')[0]}"
    except PackageNotFoundError:
        return distribution
