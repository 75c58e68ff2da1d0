"""Which of the listed types fit: narrowed by the index, decided by unification."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among
from metaloom_registry.catalogue.search import shapes
from metaloom_registry.composition import taught
from metaloom_registry.errors import TypeMismatch
from metaloom_registry.types import (
    Arrow,
    Type,
    Variable,
    function,
    is_closed,
    parse_type,
    uncurried,
    unhashable_key,
)
from metaloom_registry.unification import Fresh, Substitution, fits, unify

MAX_PARSED = 50_000
MAX_ANSWERS = 200
"""How many questions are remembered with their answers."""


@dataclass(frozen=True)
class Wanted:
    """The type a block shall have, in whole or in part.

    `whole` is its entire type, `gives` what it returns once applied, and `takes` something that
    one of its arguments accepts.  Variables are shared between `takes` and `gives`.  `after` is
    what `>>` is to give it, `before` what it is to give to the right of `>>`.
    """

    whole: Type | None = None
    takes: Type | None = None
    gives: Type | None = None
    after: Type | None = None
    before: Type | None = None

    @property
    def parts(self) -> tuple[Type | None, ...]:
        """Every part in order."""
        return self.whole, self.takes, self.gives, self.after, self.before

    def __bool__(self) -> bool:
        return self != Wanted()


class Fitting:
    """The listed types that fit what is wanted: narrowed by the index, each decided when asked.

    What is wanted may leave much open, and then most types may fit: a question that is answered by
    a few of them reads those alone.
    """

    def __init__(
        self,
        wanted: Wanted,
        narrowed: Sequence[int],
        read: Callable[[Connection, Iterable[int]], Mapping[int, Type]],
    ) -> None:
        self.wanted = wanted
        self.narrowed = tuple(narrowed)
        """Types that may fit, in the order in which they were first listed; all others do not."""
        self._read = read
        self._open = set(narrowed)
        self._why: dict[int, tuple[str, ...]] = {}

    def among(
        self, connection: Connection, signatures: Iterable[int]
    ) -> dict[int, tuple[str, ...]]:
        """Why each of these types fits, without those that do not."""
        asked = dict.fromkeys(signatures)
        new = [id_ for id_ in asked if id_ in self._open]
        if new:
            types = self._read(connection, new)
            decided = {id_: explained(types[id_], self.wanted) for id_ in new}
            self._why |= {id_: why for id_, why in decided.items() if why is not None}
            self._open.difference_update(new)
        return {id_: self._why[id_] for id_ in asked if id_ in self._why}

    def all(self, connection: Connection) -> list[int]:
        """Every type that fits, in the order in which they were first listed."""
        return list(self.among(connection, self.narrowed))


class AnyFitting:
    """The listed types that fit one of several things that are wanted."""

    def __init__(self, fittings: Sequence[Fitting]) -> None:
        self._fittings = fittings
        self.narrowed = tuple(dict.fromkeys(id_ for one in fittings for id_ in one.narrowed))

    def among(self, connection: Connection, signatures: Iterable[int]) -> set[int]:
        """Those of these types that fit one of them."""
        asked = dict.fromkeys(signatures)
        return {id_ for one in self._fittings for id_ in one.among(connection, asked)}

    def all(self, connection: Connection) -> list[int]:
        """Every type that fits one of them."""
        return list(dict.fromkeys(id_ for one in self._fittings for id_ in one.all(connection)))


class TypeIndex:
    """The types that blocks have; remembers those it read, and what fitted until there are more.

    Types are few beside blocks and are never taken away.
    """

    def __init__(self) -> None:
        self._parsed: dict[int, Type] = {}
        self._listed: tuple[int, int | None] = (0, None)
        self._answers: dict[Wanted, Fitting] = {}

    def fitting(self, connection: Connection, wanted: Wanted) -> Fitting:
        """The listed types that fit."""
        count, newest = connection.execute(_LISTED).one()
        listed = count, newest
        if listed != self._listed:
            self._listed, self._answers = listed, {}
        answer = self._answers.get(wanted)
        if answer is None:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.pop(next(iter(self._answers)))
            query = select(_signature.c.id).where(
                *(_signature.c.id.in_(condition) for condition in _conditions(wanted))
            )
            ids = connection.execute(query.order_by(_signature.c.id)).scalars().all()
            answer = self._answers[wanted] = Fitting(wanted, ids, self.read)
        return answer

    def read(self, connection: Connection, ids: Iterable[int]) -> dict[int, Type]:
        """These types."""
        ids = tuple(ids)
        if len(self._parsed) > MAX_PARSED:
            self._parsed = {}
        parsed = self._parsed
        missing = [id_ for id_ in ids if id_ not in parsed]
        if missing:
            rows = connection.execute(_TEXTS, {"ids": missing})
            parsed.update((id_, parse_type(text)) for id_, text in rows)
        return {id_: parsed[id_] for id_ in ids}


_signature, _part = (tables.METADATA.tables[name] for name in ("signature", "signature_part"))
_LISTED = select(func.count(), func.max(_signature.c.id)).select_from(_signature)
_TEXTS = select(_signature.c.id, _signature.c.text).where(Among(_signature.c.id))


def explained(type_: Type, wanted: Wanted) -> tuple[str, ...] | None:
    """Why a type fits what is wanted, or None where it does not."""
    why: list[str] = []
    if wanted.whole is not None:
        if not fits(type_, wanted.whole):
            return None
        why.append(f"is {_can_be(type_, wanted.whole)}")
    joined = _joined(type_, wanted)
    if joined is None:
        return None
    why += joined
    if wanted.takes is None and wanted.gives is None:
        return tuple(why)
    arguments, result = uncurried(type_)
    positions: Iterable[int | None] = [None] if wanted.takes is None else range(len(arguments))
    for position in positions:
        for given in _results(arguments, result, wanted.gives):
            pairs = [] if position is None else [(arguments[position], wanted.takes)]
            if wanted.gives is not None:
                pairs.append((given, wanted.gives))
            if fits(function(*(g for g, _ in pairs)), function(*(w for _, w in pairs if w))):
                return (*why, *_words(pairs, position))
    return None


def joint(type_: Type) -> tuple[Type, Type] | None:
    """What `>>` gives to a function and what it takes from it; None of what is no function.

    What takes examples first, as a head does, is given what they are examples of.
    """
    model = taught(type_) or type_
    return (model.argument, model.result) if isinstance(model, Arrow) else None


def given_by(type_: Type) -> Type:
    """What a function gives to the right of `>>`. Raises TypeMismatch where it is none."""
    return _function(type_)[1]


def taken_by(type_: Type) -> Type:
    """What a function takes from the left of `>>`. Raises TypeMismatch where it is none."""
    return _function(type_)[0]


def _function(type_: Type) -> tuple[Type, Type]:
    ends = joint(type_)
    if ends is None:
        raise TypeMismatch(
            f"{type_} is no function, and only functions stand beside another in `>>`; "
            "look for what takes or gives that type instead"
        )
    return ends


def _joined(type_: Type, wanted: Wanted) -> list[str] | None:
    """Why a type fits between two others, as `>>` has it; None where it does not."""
    if wanted.after is None and wanted.before is None:
        return []
    ends = joint(type_)
    if ends is None:
        return None
    pairs = [
        (part, end, said)
        for part, end, said in zip(
            (wanted.after, wanted.before), ends, ("takes", "gives"), strict=True
        )
        if part is not None
    ]
    if not _composes(type_, [end for _, end, _ in pairs], [part for part, _, _ in pairs]):
        return None
    return [f"{said} {_can_be(end, part)}" for part, end, said in pairs]


def _composes(type_: Type, ends: Sequence[Type], others: Sequence[Type]) -> bool:
    """Whether a function's ends are of the types of others, and its keys can be keys then."""
    fresh, found = Fresh(), Substitution()
    own = fresh.instantiate(function(*ends, type_))
    try:
        unify(own, fresh.instantiate(function(*others, Variable("whole"))), found)
        return unhashable_key(found.resolve(own)) is None
    except TypeMismatch:
        return False


def _results(arguments: tuple[Type, ...], result: Type, gives: Type | None) -> list[Type]:
    """What a function may be said to give: its result, or a function where one is asked for."""
    if not isinstance(gives, Arrow):
        return [result]
    starts = range(min(1, len(arguments)), len(arguments) + 1)
    return [function(*arguments[start:], result) for start in reversed(starts)]


def _words(pairs: Sequence[tuple[Type, Type | None]], position: int | None) -> list[str]:
    described = [_can_be(given, wanted) for given, wanted in pairs]
    why = [] if position is None else [f"takes {described.pop(0)} as argument {position + 1}"]
    return [*why, *(f"gives {text}" for text in described)]


def _can_be(type_: Type, wanted: Type | None) -> str:
    """A type, and what it is here where it leaves that open."""
    if wanted is None or is_closed(type_) or shapes.canonical(wanted) == type_:
        return str(type_)
    return f"{type_} (here {wanted})"


def _conditions(wanted: Wanted) -> list[Select[tuple[int]]]:
    """Queries of the ids of types that may fit; a type that fits is in all of them."""
    found = []
    if wanted.whole is not None:
        arguments, result = uncurried(wanted.whole)
        if arguments:
            found.append(_at(_part.c.position == 0, arguments[0]))
        found.append(_at(_part.c.position == shapes.RESULT, result))
    if wanted.after is not None:
        # The first argument, or that after the examples, which is of the type of theirs.
        found.append(_at(_part.c.position.in_((0, 1)), wanted.after))
    if wanted.before is not None:
        result = uncurried(wanted.before)[1]
        found.append(_at(_part.c.position == shapes.RESULT, result))
    if wanted.takes is not None:
        found.append(_at(_part.c.position >= 0, wanted.takes))
    if wanted.gives is not None:
        result = uncurried(wanted.gives)[1]
        found.append(_at(_part.c.position == shapes.RESULT, result))
    return [condition for condition in found if condition is not None]


def _at(position: ColumnElement[bool], type_: Type) -> Select[tuple[int]] | None:
    """Types with a part at a position that may unify with this one; None if that is all of them."""
    if isinstance(type_, Variable):
        return None
    query = select(_part.c.signature_id).where(position)
    keys = shapes.generalisations(type_)
    if keys is not None:
        return query.where(_part.c.key.in_(keys))
    heads = [shapes.head(type_), shapes.ANY]
    return query.where(or_(*(_part.c.head == head for head in heads)))
