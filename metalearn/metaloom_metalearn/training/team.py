"""Processes that train one model together, each on its share of every batch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor

from metaloom_registry import InvalidTask


class Team(Protocol):
    """What processes tell each other; every one makes the same calls in the same order."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Set each tensor to its mean over the processes."""
        ...

    def largest(self, values: Tensor) -> Tensor:
        """The largest of each value over the processes."""
        ...


@dataclass(frozen=True)
class Alone:
    """A team of one process."""

    rank: int = 0
    size: int = 1

    def average(self, tensors: Iterable[Tensor]) -> None:
        del tensors

    def largest(self, values: Tensor) -> Tensor:
        return values


class Processes:
    """The processes of a group of torch.distributed, by default of all there are.

    Raises InvalidTask where no group was begun: `torch.distributed.init_process_group` does, with
    `gloo` on CPUs and `nccl` on GPUs.  `device` is where small messages are put together, a GPU
    for `nccl`.
    """

    def __init__(
        self, group: dist.ProcessGroup | None = None, device: torch.device | str = "cpu"
    ) -> None:
        if not dist.is_available() or not dist.is_initialized():
            raise InvalidTask(
                "there is no process group; call torch.distributed.init_process_group first, or "
                "start with torchrun"
            )
        self.group, self.device = group, torch.device(device)
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """One message for each dtype and device."""
        kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for tensor in tensors:
            kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        for same in kinds.values():
            flat = torch.cat([tensor.reshape(-1) for tensor in same])
            dist.all_reduce(flat, group=self.group)
            parts = torch.split(flat / self.size, [tensor.numel() for tensor in same])
            for tensor, part in zip(same, parts, strict=True):
                tensor.copy_(part.reshape(tensor.shape))

    def largest(self, values: Tensor) -> Tensor:
        sent = values.to(self.device)
        dist.all_reduce(sent, op=dist.ReduceOp.MAX, group=self.group)
        return sent.to(values.device)


def share_of(team: Team, batch: int) -> slice:
    """This process's part of a batch. Raises InvalidTask where the batch cannot be shared out."""
    if batch % team.size:
        raise InvalidTask(
            f"a batch of {batch} is not shared out evenly to {team.size} processes; "
            f"take {batch + team.size - batch % team.size}"
        )
    size = batch // team.size
    return slice(team.rank * size, (team.rank + 1) * size)
