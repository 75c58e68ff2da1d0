"""A tensor as a value of the hard engine: compared and hashed by what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch

from metaloom_registry import FrozenDict


class Item:
    """One tensor without a batch axis, not to be changed; equal where shape, dtype and bytes are.

    `tensor` is detached and lies on the CPU.
    """

    __slots__ = ("_key", "tensor")

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor.detach().cpu()
        self._key: tuple[object, ...] | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two items equal: shape, dtype and the BLAKE2 of the bytes."""
        if self._key is None:
            data = self.tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
            digest = hashlib.blake2b(data.tobytes(), digest_size=16).digest()
            self._key = (tuple(self.tensor.shape), self.tensor.dtype, digest)
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Item) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Item({str(self.tensor.dtype).removeprefix('torch.')}{list(self.tensor.shape)})"


def wrapped(value: Any) -> Any:
    """The value with every tensor in it as an item."""
    if isinstance(value, torch.Tensor):
        return Item(value)
    return _rebuilt(value, wrapped)


def unwrapped(value: Any) -> Any:
    """The value with every item in it as a tensor."""
    if isinstance(value, Item):
        return value.tensor
    return _rebuilt(value, unwrapped)


def _rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with what it holds changed; keys hold no tensors."""
    if isinstance(value, tuple):
        return tuple(map(change, value))
    if isinstance(value, FrozenDict):
        return FrozenDict((key, change(item)) for key, item in value.items())
    return value
