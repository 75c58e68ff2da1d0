"""The ranking of a solution and its rivals: how long each is, and how far they agree on new inputs.

Programs that are as right on the examples may differ on other inputs.  Where they agree, a
prediction is sure; where they differ, another example decides between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from metaloom_metalearn.search.examples import holds_tensors
from metaloom_metalearn.search.scoring import same
from metaloom_metalearn.solution import Solution
from metaloom_metalearn.tasks import Examples, Values
from metaloom_registry import Constructed, InvalidTask, Json, Type, uncurried
from metaloom_registry.types import BOOL, FLOAT, INT, TEXT

MOST = 40
"""How many new inputs are invented."""


@dataclass(frozen=True)
class Ranked:
    """A candidate for a task: its program, its description length in nats, and how it did.

    `right` of `examples` support outputs are right.  `agreement` is the share of the new inputs on
    which it gives what the solution gives; None where there was no new input.
    """

    source: str
    term: str
    score: float
    right: int
    examples: int
    agreement: float | None

    def to_json(self) -> Json:
        return {
            "source": self.source,
            "term": self.term,
            "score": self.score,
            "right": self.right,
            "examples": self.examples,
            "agreement": self.agreement,
        }


def ranked(
    solution: Solution, support: Examples, count: int = 5, inputs: Sequence[Values] | None = None
) -> tuple[Ranked, ...]:
    """The solution and the next best candidates, `count` in all, by description length.

    Programs that differ on new inputs are shown before those that only look unlike.  `inputs` are
    the new inputs, one column an argument; without them some are invented from those of the support
    (`new_inputs`).  Raises InvalidTask where no candidate is wanted.
    """
    if count < 1:
        raise InvalidTask(f"{count} candidates leave nothing to show; ask for 1 or more")
    want = uncurried(solution.type)[1]
    columns = new_inputs(support, solution.type) if inputs is None else tuple(inputs)
    several = bool(columns) and len(columns[0]) > 0
    mine = solution.predict_many(*columns) if several else ()
    first = Ranked(
        solution.source,
        solution.text,
        solution.score,
        solution.right,
        len(support),
        1.0 if several else None,
    )
    found: list[tuple[Values, Ranked]] = [(mine, first)]
    for scored in solution.alternatives if count > 1 else ():
        rival = solution.rival(scored)
        theirs = rival.predict_many(*columns) if several else ()
        agreeing = _agreeing(mine, theirs, want)
        found.append(
            (
                theirs,
                Ranked(
                    rival.source,
                    rival.text,
                    scored.score,
                    sum(scored.right),
                    len(scored.right),
                    sum(agreeing) / len(agreeing) if agreeing else None,
                ),
            )
        )
    return tuple(found[place][1] for place in _unlike([each for each, _ in found], count, want))


def _unlike(outputs: Sequence[Values], count: int, want: Type) -> list[int]:
    """The places of `count` programs in order, as many as can be of unlike outputs.

    Those that give what one before them gives on every new input come in where room is left.
    """
    kinds: list[int] = []
    others: list[int] = []
    for place, values in enumerate(outputs):
        known = len(values) > 0 and any(all(_agreeing(values, outputs[i], want)) for i in kinds)
        (others if known else kinds).append(place)
    return sorted([*kinds, *others][:count])


def _agreeing(one: Values, other: Values, want: Type) -> list[bool]:
    """On which of some inputs two programs give the same."""
    return [
        a is b if a is None or b is None else same(a, b, want)
        for a, b in zip(one, other, strict=True)
    ]


def new_inputs(examples: Examples, type_: Type) -> tuple[Values, ...]:
    """Inputs that are like those of the examples and none of them; none where there are tensors.

    Each is made of two examples: numbers moved; lists, texts and dictionaries cut, turned round and
    put together.
    """
    given = uncurried(type_)[0]
    if any(map(holds_tensors, given)) or len(examples) == 0:
        return ()
    rows = [tuple(column[i] for column in examples.inputs) for i in range(len(examples))]
    known = set(map(_frozen, rows))
    found: dict[Any, tuple[Any, ...]] = {}
    for row in islice(_varied(rows, given), 4 * MOST):
        key = _frozen(row)
        if key not in known:
            found.setdefault(key, row)
    chosen = list(found.values())[:MOST]
    return tuple(zip(*chosen, strict=True)) if chosen else ()


def _varied(rows: Sequence[tuple[Any, ...]], given: Sequence[Type]) -> Iterator[tuple[Any, ...]]:
    for turn in range(4):
        for i, row in enumerate(rows):
            other = rows[(i + turn + 1) % len(rows)]
            yield tuple(
                _variation(value, another, type_, turn)
                for value, another, type_ in zip(row, other, given, strict=True)
            )


def _variation(value: Any, other: Any, type_: Type, turn: int) -> Any:
    """A value of the type made of two."""
    if type_ == BOOL:
        return value if turn % 2 else not value
    if type_ == INT:
        return (value + 1, other - 1, 2 * value + 1, value + other + 2)[turn]
    if type_ == FLOAT:
        return (value + 0.5, other / 2, 2.0 * value, value + other)[turn]
    if type_ == TEXT or (isinstance(type_, Constructed) and type_.name == "list"):
        half, rest = len(value) // 2, len(other) // 2
        return (value[:half] + other[rest:], other + value, value[1:], value[::-1])[turn]
    if isinstance(value, dict) and isinstance(type_, Constructed) and type_.name == "dict":
        mine, its = list(value.items()), list(other.items())
        return dict((mine + its, mine[1:], its[:-1], mine[::-1] + its[1:])[turn])
    return value if turn % 2 else other


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return repr(value) if isinstance(value, dict | set) else value
