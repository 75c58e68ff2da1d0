"""Which of the listed types fit: narrowed by the index, decided by unification."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, or_
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from metaloom_registry.catalogue import shapes, tables
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


@dataclass(frozen=True)
class Fit:
    """A listed type that fits, and why."""

    signature: int
    type: Type
    why: tuple[str, ...]


class TypeIndex:
    """The types that blocks have; remembers those it read, and what fitted until there are more.

    Types are few beside blocks and are never taken away.
    """

    def __init__(self) -> None:
        self._parsed: dict[int, Type] = {}
        self._listed: tuple[int, int | None] = (0, None)
        self._answers: dict[Wanted, list[Fit]] = {}

    def fitting(self, session: Session, wanted: Wanted) -> list[Fit]:
        """Every listed type that fits, in the order in which they were first listed."""
        listed = session.exec(select(func.count(), func.max(tables.Signature.id))).one()
        if listed != self._listed:
            self._listed, self._answers = listed, {}
        answer = self._answers.get(wanted)
        if answer is None:
            if len(self._answers) >= MAX_ANSWERS:
                self._answers.pop(next(iter(self._answers)))
            answer = self._answers[wanted] = self._fitting(session, wanted)
        return answer

    def _fitting(self, session: Session, wanted: Wanted) -> list[Fit]:
        query = select(tables.Signature.id)
        for condition in _conditions(wanted):
            query = query.where(col(tables.Signature.id).in_(condition))
        ids = [id_ for id_ in session.exec(query.order_by(col(tables.Signature.id))) if id_]
        types = self._read(session, ids)
        found = []
        for id_ in ids:
            why = explained(types[id_], wanted)
            if why is not None:
                found.append(Fit(id_, types[id_], why))
        return found

    def _read(self, session: Session, ids: Sequence[int]) -> Mapping[int, Type]:
        if len(self._parsed) > MAX_PARSED:
            self._parsed = {}
        parsed = self._parsed
        missing = [id_ for id_ in ids if id_ not in parsed]
        for start in range(0, len(missing), 500):
            query = select(tables.Signature.id, tables.Signature.text)
            query = query.where(col(tables.Signature.id).in_(missing[start : start + 500]))
            parsed.update((id_, parse_type(text)) for id_, text in session.exec(query) if id_)
        return parsed


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


def _conditions(wanted: Wanted) -> list[SelectOfScalar[int]]:
    """Queries of the ids of types that may fit; a type that fits is in all of them."""
    found = []
    if wanted.whole is not None:
        arguments, result = uncurried(wanted.whole)
        if arguments:
            found.append(_at(col(tables.SignaturePart.position) == 0, arguments[0]))
        found.append(_at(col(tables.SignaturePart.position) == shapes.RESULT, result))
    if wanted.after is not None:
        # The first argument, or that after the examples, which is of the type of theirs.
        found.append(_at(col(tables.SignaturePart.position).in_((0, 1)), wanted.after))
    if wanted.before is not None:
        result = uncurried(wanted.before)[1]
        found.append(_at(col(tables.SignaturePart.position) == shapes.RESULT, result))
    if wanted.takes is not None:
        found.append(_at(col(tables.SignaturePart.position) >= 0, wanted.takes))
    if wanted.gives is not None:
        result = uncurried(wanted.gives)[1]
        found.append(_at(col(tables.SignaturePart.position) == shapes.RESULT, result))
    return [condition for condition in found if condition is not None]


def _at(position: ColumnElement[bool], type_: Type) -> SelectOfScalar[int] | None:
    """Types with a part at a position that may unify with this one; None if that is all of them."""
    if isinstance(type_, Variable):
        return None
    query = select(tables.SignaturePart.signature_id).where(position)
    keys = shapes.generalisations(type_)
    if keys is not None:
        return query.where(col(tables.SignaturePart.key).in_(keys))
    heads = [shapes.head(type_), shapes.ANY]
    return query.where(or_(*(col(tables.SignaturePart.head) == head for head in heads)))
