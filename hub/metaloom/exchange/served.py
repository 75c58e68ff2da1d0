"""What an MLflow model of a block does when it is loaded: read a portable folder, and predict.

MLflow imports this module by its name, which stands in the model beside the folder; nothing in the
model is pickled and none of it is code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from metaloom.exchange.arrays import leaf_names, unflattened
from metaloom.exchange.programs import load_program
from metaloom_metalearn import Solution
from metaloom_metalearn.sources.plain import read_values
from metaloom_registry import (
    GraphModule,
    InvalidTask,
    Tensor,
    Term,
    load_block,
    uncurried,
)
from metaloom_registry.graph.examples import tensors_of


class GraphService:
    """A trained graph that takes and gives arrays by name, a batch axis in front of each."""

    def __init__(self, module: GraphModule) -> None:
        self.module = module.eval()
        self.inputs = leaf_names(module.graph.value.inputs, "input")
        self.outputs = leaf_names((module.graph.value.outputs,), "output")

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """One array, or arrays by name where there are several. Raises InvalidTask."""
        given = _by_name(data, self.inputs)
        graph = self.module.graph.value
        tensors = [
            torch.as_tensor(given[name]).to(getattr(torch, leaf.dtype))
            for name, leaf in zip(self.inputs, graph.leaves, strict=True)
        ]
        with torch.no_grad():
            outputs = tensors_of(self.module(*unflattened(graph.inputs, tensors)))
        arrays = [_array(tensor) for tensor in outputs]
        return arrays[0] if len(arrays) == 1 else dict(zip(self.outputs, arrays, strict=True))


class ProgramService:
    """A program that takes one column an argument, and gives one output a row."""

    def __init__(self, solution: Solution) -> None:
        self.solution = solution
        self.types, _ = uncurried(solution.type)
        self.inputs = leaf_names((tuple(self.types),), "input")

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        """An output a row, None where the program has no value. Raises InvalidTask."""
        given = _by_name(data, self.inputs)
        columns = [
            _column(given[name], type_, name)
            for name, type_ in zip(self.inputs, self.types, strict=True)
        ]
        outputs = self.solution.predict_many(*columns)
        return _array(outputs) if isinstance(outputs, torch.Tensor) else [*map(_plain, outputs)]


def _load_pyfunc(path: str) -> GraphService | ProgramService:
    """What MLflow calls with the path of the portable folder."""
    block = load_block(path)
    if isinstance(block, Term):
        return ProgramService(load_program(path))
    assert isinstance(block, GraphModule)
    return GraphService(block)


def _by_name(data: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """The inputs by name: of a mapping, of the columns of a data frame, or one array alone."""
    columns = getattr(data, "columns", None)
    if columns is None and not isinstance(data, Mapping):
        if len(names) != 1:
            raise InvalidTask(f"one array is given where the inputs {', '.join(names)} are wanted")
        return {names[0]: data}
    there = list(data.keys() if columns is None else columns)
    if missing := [name for name in names if name not in there]:
        raise InvalidTask(f"the input {missing[0]!r} is missing; given are {there}")
    return {name: data[name] if columns is None else data[name].tolist() for name in names}


def _column(values: Any, type_: Any, name: str) -> Any:
    if isinstance(type_, Tensor) and hasattr(values, "dtype") and values.dtype != object:
        return torch.as_tensor(values).to(getattr(torch, type_.dtype))
    return read_values([_plain(v) for v in values], type_, lambda row: f"{name}, row {row + 1}")


def _plain(value: Any) -> Any:
    """Arrays and tensors as nested lists."""
    tolist = getattr(value, "tolist", None)
    if callable(tolist):
        return _plain(tolist())
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _array(tensor: torch.Tensor) -> Any:
    """The tensor as numpy has it, which knows no bfloat16."""
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()
