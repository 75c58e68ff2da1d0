"""The state of a training in one file of safetensors, its plain values as JSON in the header.

Tensors: `model.NAME`, `average.NAME`, `best.NAME`, `optimiser.PLACE.KEY`, `random.*`, `losses`.
The file is written beside its place and moved there, so that a crash leaves the one before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from metaloom_registry import InvalidTask

FORMAT = "metaloom.training/1"


@dataclass(frozen=True)
class Checkpoint:
    """Where the state of a training is kept, and every how many steps it is written.

    Where the file exists, training goes on from it, bit for bit as if it had never stopped (on one
    CPU, by steps).  It is written at the end and on Ctrl-C too.
    """

    path: str | Path
    every: int = 100

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InvalidTask(f"a checkpoint every {self.every} steps is none; give at least 1")


@dataclass(frozen=True)
class State:
    """Named tensors, and plain JSON values beside them."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def keep(self, prefix: str, tensors: Mapping[str, Tensor]) -> None:
        """Take up tensors under names that begin with `prefix`."""
        for name, value in tensors.items():
            # a copy: two names may share one memory, which safetensors refuses
            self.tensors[f"{prefix}.{name}"] = value.detach().clone().contiguous()

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors that were kept under a prefix."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): value
            for name, value in self.tensors.items()
            if name.startswith(start)
        }


def write_state(path: Path, state: State) -> None:
    """Write a state, replacing what is there at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    header = {"format": FORMAT, "values": json.dumps(state.values)}
    try:
        save_file(state.tensors, beside, header)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_state(path: Path) -> State:
    """Read a state. Raises InvalidTask for a file that is none."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise InvalidTask(
                    f"{path.name} is no checkpoint of a training but of the format "
                    f"{header.get('format', 'unknown')!r}; give another place for the checkpoint"
                )
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return State(tensors, json.loads(header["values"]))
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InvalidTask(
            f"{path.name} is no checkpoint that can be read: {error}; remove it to begin anew"
        ) from None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What an optimiser remembers of each parameter: tensors, and plain numbers."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for place, kept in optimiser.state_dict()["state"].items():
        for key, value in kept.items():
            if isinstance(value, Tensor):
                tensors[f"{place}.{key}"] = value
            elif value is None or isinstance(value, int | float | bool):
                numbers[f"{place}.{key}"] = value
            else:
                raise InvalidTask(
                    f"{type(optimiser).__name__} remembers a {type(value).__name__} as {key!r}, "
                    "which a checkpoint cannot hold; train without one"
                )
    return tensors, numbers


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> None:
    """Give an optimiser back what it remembered; its settings stay as they are."""
    kept: dict[int, dict[str, Any]] = {}
    for name, value in (*tensors.items(), *numbers.items()):
        place, key = name.split(".", 1)
        kept.setdefault(int(place), {})[key] = value
    whole = optimiser.state_dict()
    optimiser.load_state_dict({"state": kept, "param_groups": whole["param_groups"]})


def restore_module(module: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Put tensors into a module in place. Raises InvalidTask where they are not its own."""
    own = tensors_of(module)
    if own.keys() != tensors.keys():
        odd = ", ".join(sorted(own.keys() ^ tensors.keys())[:5])
        raise InvalidTask(f"the checkpoint {name} is of another model: only one has {odd}")
    with torch.no_grad():
        for key, value in own.items():
            if value.shape != tensors[key].shape or value.dtype != tensors[key].dtype:
                raise InvalidTask(
                    f"the checkpoint {name} is of another model: {key} is "
                    f"{list(tensors[key].shape)} there and {list(value.shape)} here"
                )
            value.copy_(tensors[key])


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by name, those outside the state dict included."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
