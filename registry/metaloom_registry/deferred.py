"""A function that is imported when it is first called, so that naming it costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Deferred:
    """The function `name` of `module`, imported on the first call.

    What a plugin declares its primitives with, so that listing them does not import torch.
    """

    module: str
    name: str

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    @property
    def function(self) -> Any:
        """The function itself, imported now."""
        return getattr(import_module(self.module), self.name)
