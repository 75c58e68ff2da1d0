"""What came of a validation: accepted or refused, why, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metaloom_registry.canonical import Json
from metaloom_registry.errors import MetaloomError, ParseError, Refused, TypeMismatch, WrongFact

VALIDATOR = 1
"""The version of the rules: raised whenever they get stricter, so blocks are validated again."""

OUTCOMES = ("accepted", "refused", "failed", "memory", "time", "crashed", "broken", "silent")
MAX_REASON = 2_000

_ERRORS: Mapping[str, type[MetaloomError]] = {
    "ParseError": ParseError,
    "Refused": Refused,
    "TypeMismatch": TypeMismatch,
    "WrongFact": WrongFact,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """A block to be validated: its graph, its weights, and its type where it claims one.

    `facts` are what its manifest claims was measured.
    """

    graph: bytes
    weights: bytes
    signature: str | None = None
    facts: Mapping[str, Json] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.graph) + len(self.weights)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a worker found, or what became of the worker.

    outcome: `accepted`; `refused` by a rule; `failed`, where a pass raised an ordinary error of
      torch; `memory` or `time`, where it took more than the limits; `crashed`, where the worker
      died; `broken`, where our own code raised what it should not; `silent`, where no answer came
      in time, which may be the machine's fault.
    reason: a sentence, empty where it was accepted.
    error: the error that a refusal raises.
    measured: the cost of a pass, the seconds and the bytes that the validation took.
    """

    outcome: str
    reason: str = ""
    error: str = "Refused"
    measured: Mapping[str, Json] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        return self.outcome == "accepted"

    @property
    def lasting(self) -> bool:
        """Whether another try would find the same."""
        return self.outcome in ("accepted", "refused", "failed", "memory")

    def require(self) -> None:
        """Raise the error of the refusal, unless the block was accepted."""
        if not self.accepted:
            raise _ERRORS.get(self.error, Refused)(self.reason)

    def to_json(self) -> dict[str, Json]:
        return {
            "outcome": self.outcome,
            "reason": self.reason[:MAX_REASON],
            "error": self.error,
            "measured": dict(self.measured),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Verdict:
        """Read what a worker answered, believing nothing. Raises ParseError."""
        texts = [value.get(key) for key in ("outcome", "reason", "error")]
        measured = value.get("measured")
        if (
            set(value) != {"outcome", "reason", "error", "measured"}
            or not all(isinstance(text, str) and len(text) <= MAX_REASON for text in texts)
            or texts[0] not in OUTCOMES
            or not isinstance(measured, dict)
            or not all(_plain(key, item) for key, item in measured.items())
        ):
            raise ParseError("the worker's answer is no verdict")
        return cls(str(texts[0]), str(texts[1]), str(texts[2]), measured)


def _plain(key: str, item: object) -> bool:
    return len(key) <= 40 and isinstance(item, int | float) and not isinstance(item, bool)
