"""What a search did: what was generated, distinct, failed; the best so far; what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Improvement:
    """A candidate that was better than all before it."""

    seconds: float
    arm: str
    term: str
    score: float
    right: int


@dataclass
class Account:
    """The account of one arm.

    `counts` are by what happened (`generated`, `distinct`, `failed`, `trained` ...), `levels` by
    cost level in nats, `notes` say in words what was cut and why the arm stopped, `warnings` what
    is wrong with the examples or the library, `engine` what evaluated the terms of an enumeration.
    `settled` says that nothing better than what was found is to be expected of any arm.
    """

    arm: str
    counts: Counter[str] = field(default_factory=Counter)
    levels: dict[float, Counter[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    engine: str = ""
    seconds: float = 0.0
    settled: bool = False

    def note(self, text: str) -> None:
        """Keep a sentence once."""
        if text not in self.notes:
            self.notes.append(text)

    def warn(self, text: str) -> None:
        """Keep a sentence that the user should see whether or not there is a solution."""
        if text not in self.warnings:
            self.warnings.append(text)


@dataclass
class Trace:
    """The account of a whole solve, arm by arm; arms write into it as they go."""

    arms: dict[str, Account] = field(default_factory=dict)
    best: list[Improvement] = field(default_factory=list)

    def arm(self, name: str) -> Account:
        """The account of this arm, begun on first use."""
        return self.arms.setdefault(name, Account(name))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of all arms, each once."""
        said = (text for account in self.arms.values() for text in account.warnings)
        return tuple(dict.fromkeys(said))

    @property
    def tried(self) -> int:
        """Candidates of the wanted type that were scored."""
        return sum(account.counts["scored"] for account in self.arms.values())
