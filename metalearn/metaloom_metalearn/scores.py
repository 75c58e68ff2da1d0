"""How good predictions are: a measure, its value and its 95 % confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metaloom_metalearn.search.scoring import same
from metaloom_registry import Json, Tensor, Type
from metaloom_registry.types import FLOAT, INT

_Z = 1.96


@dataclass(frozen=True)
class Score:
    """What was measured on some examples.

    `measure` is `exact match` or `accuracy` (shares, 0 to 1) or `RMSE`; `low` and `high` bound its
    95 % confidence interval, `examples` is how many it was measured on.
    """

    measure: str
    value: float
    low: float
    high: float
    examples: int

    def __str__(self) -> str:
        if self.measure == "RMSE":
            return f"RMSE {self.value:.4g} [{self.low:.4g}, {self.high:.4g}], n = {self.examples}"
        shares = f"{self.value:.1%} [{self.low:.1%}, {self.high:.1%}]"
        return f"{self.measure} {shares}, n = {self.examples}"

    def to_json(self) -> Json:
        return {
            "measure": self.measure,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "examples": self.examples,
        }

    @classmethod
    def from_json(cls, value: Any) -> Score:
        return cls(
            str(value["measure"]),
            float(value["value"]),
            float(value["low"]),
            float(value["high"]),
            int(value["examples"]),
        )


def share(right: Sequence[bool], measure: str = "exact match") -> Score:
    """The share of examples that are right, with Wilson's interval (1927)."""
    n, good = len(right), sum(right)
    p, z2 = good / n, _Z * _Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if good == 0 else max(0.0, middle - half)
    high = 1.0 if good == n else min(1.0, middle + half)
    return Score(measure, p, low, high, n)


def rmse(predicted: Sequence[float], wanted: Sequence[float]) -> Score:
    """The root of the mean squared error; the interval is that of the mean, normal (1.96 s.e.)."""
    squares = [(p - w) ** 2 for p, w in zip(predicted, wanted, strict=True)]
    n = len(squares)
    mean = sum(squares) / n
    error = math.sqrt(sum((s - mean) ** 2 for s in squares) / max(1, n - 1) / n)
    low, high = max(0.0, mean - _Z * error), mean + _Z * error
    return Score("RMSE", math.sqrt(mean), math.sqrt(low), math.sqrt(high), n)


def measure_of(type_: Type) -> str:
    """How predictions of a type are measured."""
    if isinstance(type_, Tensor):
        return "accuracy" if type_.kind == "label" else "RMSE"
    return "RMSE" if type_ == FLOAT else "exact match"


def scored(predicted: Any, wanted: Any, type_: Type) -> Score:
    """The predictions for some examples, two `Values`, by the measure of their type.

    A value that could not be computed is None: it counts as wrong, and as an infinite error.
    """
    measure, n = measure_of(type_), len(wanted)
    pairs = [(predicted[i], wanted[i]) for i in range(n)]
    if measure == "RMSE":
        numbers = [_numbers(p, w) for p, w in pairs]
        return rmse([p for row, _ in numbers for p in row], [w for _, row in numbers for w in row])
    if measure == "accuracy":
        return share([p is not None and int(p) == int(w) for p, w in pairs], measure)
    return share([p is not None and same(p, w, type_) for p, w in pairs], measure)


def rmse_of_integers(predicted: Any, wanted: Any, type_: Type) -> Score | None:
    """The RMSE of integer predictions, beside their share of exact ones; None for other types."""
    if type_ != INT:
        return None
    known = [math.inf if p is None else float(p) for p in predicted]
    return rmse(known, [float(w) for w in wanted]) if math.inf not in known else None


def _numbers(predicted: Any, wanted: Any) -> tuple[list[float], list[float]]:
    row = wanted.reshape(-1).tolist() if hasattr(wanted, "reshape") else [float(wanted)]
    if predicted is None:
        return [math.inf] * len(row), row
    made = predicted.reshape(-1).tolist() if hasattr(predicted, "reshape") else [float(predicted)]
    return made, row
