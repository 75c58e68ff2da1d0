"""How much one evaluation may do: steps, items, seconds."""

from __future__ import annotations

from dataclasses import dataclass

from metaloom_metalearn.clock import Clock
from metaloom_registry import ParseError


@dataclass(frozen=True)
class Limits:
    """What an evaluation may spend before it has no value.

    `steps` counts calls of functions and items of lists made; `items` is the longest list or text;
    `seconds` is the time of one evaluation, `clock` a deadline that many share.  Time is looked at
    every few hundred steps.
    """

    steps: int = 1_000_000
    items: int = 100_000
    seconds: float = 10.0
    clock: Clock | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.items < 1 or not self.seconds > 0:
            raise ParseError(
                f"limits of {self.steps} steps, {self.items} items and {self.seconds} s leave "
                "nothing to compute with; each must be above 0"
            )
