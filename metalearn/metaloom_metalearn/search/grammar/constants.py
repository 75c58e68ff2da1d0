"""The literals a search may write: small integers, truth values, and what the examples speak of.

No literal may equal a whole input or output of an example, unless every output is that value: a
program that spells out an example has learned nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from metaloom_metalearn.search.grammar.fitting import fitted_numbers
from metaloom_metalearn.search.grammar.mining import common_pieces
from metaloom_registry import Constructed, Literal, Type
from metaloom_registry.types import (
    BOOL,
    FLOAT,
    INT,
    TEXT,
    dict_of,
    function,
    list_of,
    parts,
    tuple_of,
)


@dataclass(frozen=True)
class Constants:
    """Which literals a search may write, and how likely each is.

    `small` are integers of the language itself with their weights.  At most `mined` more of each
    type come from the examples, of magnitude `largest` at most: one more than the largest integer
    (what a modulus would be), and then the most frequent; the i-th weighs 1 / (2 + i).  Without
    `strict`, small integers may equal a whole input or output, and so may a text that is the output
    of several examples, such as the name of a class.  Texts are mined as pieces, `pieces`
    of them (`mining`), after the `texts` that the caller offers.  Where the task speaks of floats
    there are `floats` of the language, and the numbers of lines through the examples (`fitting`).
    """

    small: tuple[tuple[int, float], ...] = (
        (0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5), (5, 0.5),
    )  # fmt: skip
    floats: tuple[tuple[float, float], ...] = (
        (0.5, 0.5), (1.0, 1.0), (2.0, 1.0), (10.0, 0.5), (100.0, 0.5),
    )  # fmt: skip
    mined: int = 5
    pieces: int = 8
    texts: tuple[str, ...] = ()
    largest: int = 1000
    strict: bool = True

    def of(
        self,
        examples: Sequence[tuple[Sequence[Any], Any]],
        given: Sequence[Type],
        want: Type,
    ) -> dict[Type, tuple[tuple[Literal, float], ...]]:
        """Literals by type, each with its probability; `examples` are inputs and an output each."""
        whole = _whole(examples, given, want)
        shared = _shared(examples, want)
        found: dict[Type, dict[Literal, float]] = {INT: {}, BOOL: {}}
        for number, weight in self.small:
            literal = Literal(number)
            if not self.strict or literal not in whole or literal == shared:
                found[INT][literal] = weight
        if FLOAT in parts(function(*given, want)):
            fitted = fitted_numbers(examples, given, want)
            found[FLOAT] = {
                Literal(number): weight
                for number, weight in (*fitted.items(), *self.floats)
                if not self.strict or Literal(number) not in whole
            }
        for value in (False, True):
            if Literal(value) not in whole or Literal(value) == shared:
                found[BOOL][Literal(value)] = 1.0
        for type_ in (INT, FLOAT, TEXT):
            mined = 0
            most = self.mined
            if type_ == TEXT:
                most = self.pieces
                again = () if self.strict else _repeated(examples, want)
                whole = whole - set(map(Literal, again))
                pieces = _pieces(examples, given, want)
                offered = [*map(Literal, dict.fromkeys((*self.texts, *again, *pieces)))]
            else:
                counted = _counted(examples, given, want, type_)
                offered = _beyond(counted, type_) + [lit for lit, _ in counted.most_common()]
            for literal in offered:
                if mined == most:
                    break
                if literal in found.get(type_, {}) or not self._permitted(literal):
                    continue
                if literal in whole and literal != shared:
                    continue
                found.setdefault(type_, {})[literal] = 1.0 / (2 + mined)
                mined += 1
        return {type_: _normalised(weights) for type_, weights in found.items() if weights}

    def _permitted(self, literal: Literal) -> bool:
        value = literal.value
        if isinstance(value, str):
            return 0 < len(value) <= 64
        return abs(value) <= self.largest


def _normalised(weights: dict[Literal, float]) -> tuple[tuple[Literal, float], ...]:
    total = sum(weights.values())
    return tuple((literal, weight / total) for literal, weight in weights.items())


def _whole(
    examples: Sequence[tuple[Sequence[Any], Any]], given: Sequence[Type], want: Type
) -> set[Literal]:
    """The plain values that are a whole input or output."""
    found = set()
    for inputs, output in examples:
        for value, type_ in zip((*inputs, output), (*given, want), strict=True):
            if type_ in (INT, BOOL, FLOAT, TEXT):
                found.add(Literal(value))
    return found


def _shared(examples: Sequence[tuple[Sequence[Any], Any]], want: Type) -> Literal | None:
    """The value that every output is, if there is one; a single example shares nothing."""
    if want not in (INT, BOOL, FLOAT, TEXT) or len(examples) < 2:
        return None
    outputs = {Literal(output) for _, output in examples}
    return outputs.pop() if len(outputs) == 1 else None


def _counted(
    examples: Sequence[tuple[Sequence[Any], Any]],
    given: Sequence[Type],
    want: Type,
    type_: Type,
) -> Counter[Literal]:
    """In how many examples each plain value of the type occurs; in an output it counts double."""
    counter: Counter[Literal] = Counter()
    for inputs, output in examples:
        sources = [(value, t, 1) for value, t in zip(inputs, given, strict=True)]
        for value, held, weight in (*sources, (output, want, 2)):
            if not _may_hold(held, type_):
                continue
            for item in {Literal(part) for part in values_within(value, held, type_)}:
                counter[item] += weight
    return counter


def _may_hold(held: Type, wanted: Type) -> bool:
    """Whether a value of a type has parts of the wanted type; a graph holds integers, its weights.

    Told from the types: a list of 10^5 items is not walked for nothing.
    """
    within = tuple(parts(held))
    graphs = any(isinstance(part, Constructed) and part.name == "graph" for part in within)
    return wanted in within or (graphs and wanted == INT)


def _repeated(examples: Sequence[tuple[Sequence[Any], Any]], want: Type) -> tuple[str, ...]:
    """The texts that are the output of two examples of different inputs, or of more."""
    if want != TEXT:
        return ()
    counted = Counter(output for _, output in {(tuple(i), o) for i, o in examples})
    return tuple(text for text, count in counted.most_common() if count > 1)


def _pieces(
    examples: Sequence[tuple[Sequence[Any], Any]], given: Sequence[Type], want: Type
) -> list[str]:
    """The pieces of all texts of the examples."""
    return common_pieces(
        [
            (
                [t for v, held in zip(inputs, given, strict=True) for t in _texts(v, held)],
                list(_texts(output, want)),
            )
            for inputs, output in examples
        ]
    )


def _texts(value: Any, held: Type) -> Iterator[str]:
    return values_within(value, held, TEXT)


def _beyond(counted: Counter[Literal], type_: Type) -> list[Literal]:
    """One more than the largest integer of the examples, where 64 bits hold it."""
    if type_ != INT or not counted:
        return []
    beyond = 1 + max(int(literal.value) for literal in counted)
    return [Literal(beyond)] if beyond < 1 << 63 else []


def values_within(value: Any, held: Type, wanted: Type) -> Iterator[Any]:
    """The parts of a value that are of the wanted type, itself included.

    Those of a dictionary are its items in pairs, those of a graph its rows and its edges.
    """
    if held == wanted:
        yield value
    if not isinstance(held, Constructed):
        return
    if held.name in ("list", "set"):
        for item in sorted(value) if held.name == "set" else value:
            yield from values_within(item, held.arguments[0], wanted)
    elif held.name == "tuple":
        for item, type_ in zip(value, held.arguments, strict=True):
            yield from values_within(item, type_, wanted)
    elif held.name == "dict":
        items = list_of(tuple_of(*held.arguments))
        yield from values_within(tuple(value.items()), items, wanted)
    elif held.name == "graph":
        (node,) = held.arguments
        edges = tuple([(start, end) for start, row in value.items() for end in row])
        yield from values_within(value, dict_of(node, dict_of(node, INT)), wanted)
        yield from values_within(edges, list_of(tuple_of(node, node)), wanted)
