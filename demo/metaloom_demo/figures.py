"""What the demo measured, in the form that `metaloom demo --json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metaloom_registry import Json, Reference, Term


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, in the unit of the thing measured."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class EpisodePicture:
    """One few-shot episode to look at: the support by class and some queries with their answers."""

    support: tuple[tuple[str, tuple[str, ...]], ...]
    queries: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class FewShot:
    """Accuracy in percent of the library and its controls over the same episodes, paired."""

    setting: str
    episodes: int
    library: Estimate
    pixels: Estimate
    random: Estimate
    scratch: Estimate
    gain: Estimate
    best_control: str
    excluded: tuple[str, ...]
    chosen: Mapping[str, int]
    seconds: float
    source: str
    term: Term
    picture: EpisodePicture


@dataclass(frozen=True)
class Sum:
    """A program on lists of digit images, and its controls: RMSE on lists of `length` images."""

    term: Term
    source: str
    seconds: float
    tried: int
    length: int
    rmse_library: float
    rmse_frozen: float
    rmse_scratch: float
    picture: tuple[tuple[tuple[str, ...], int, int], ...]


@dataclass(frozen=True)
class Symbolic:
    """A program on integer lists: what it is, how long it took, and its score on fresh inputs.

    `exact` is the share of `fresh` new inputs on which it is right.  `control` says what the same
    search found in the same budget without the published blocks, where that was tried.
    """

    description: str
    examples: tuple[tuple[object, object], ...]
    term: Term
    source: str
    seconds: float
    tried: int
    fresh: int
    exact: float
    control: str = ""


@dataclass(frozen=True)
class Figures:
    """Everything the demo shows."""

    few_shot: tuple[FewShot, ...]
    sum: Sum
    list: Symbolic
    reuse: Symbolic
    lineage: tuple[tuple[int, str], ...]
    labels: Mapping[Reference, tuple[str, str]]
    seconds: float
    seed: int
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> Json:
        """The keys of the benchmark contract; accuracies from 0 to 100."""
        return {
            "few_shot": {
                row.setting: {
                    "library": round(row.library.mean, 2),
                    "scratch": round(row.scratch.mean, 2),
                    "pixels": round(row.pixels.mean, 2),
                    "random": round(row.random.mean, 2),
                    "gain": round(row.gain.mean, 2),
                    "gain_ci95": [round(row.gain.low, 2), round(row.gain.high, 2)],
                    "episodes": row.episodes,
                }
                for row in self.few_shot
            },
            "sum": {
                "program": self.sum.source,
                "rmse_library": round(self.sum.rmse_library, 4),
                "rmse_frozen": round(self.sum.rmse_frozen, 4),
                "rmse_scratch": round(self.sum.rmse_scratch, 4),
                "seconds": round(self.sum.seconds, 2),
            },
            "list": _symbolic_json(self.list),
            "reuse": _symbolic_json(self.reuse),
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
        }


def _symbolic_json(row: Symbolic) -> dict[str, Json]:
    return {
        "program": row.source,
        "seconds": round(row.seconds, 3),
        "exact": row.exact,
        "fresh": row.fresh,
        "control": row.control,
    }
