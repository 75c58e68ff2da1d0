"""Programs of the library as the compiled engine runs them: trees of calls of compiled primitives.

A program is read once, when a grammar is made, and the programs that it uses with it.  Variables
become places: parameters come first, and those of a function follow all that it can see.

No tree have programs with `let`, with functions that are computed, of primitives that have no
compiled form, and of loops that no list bounds, whose steps Python counts by other rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from metaloom_metalearn.search.grammar.universe import is_bounded
from metaloom_registry import (
    Arrow,
    Bound,
    Lambda,
    Literal,
    Loaded,
    Primitive,
    Reference,
    Term,
    Type,
    Use,
    spine,
    uncurried,
)

MOST_PARAMETERS = 4
"""How many a primitive or a program may have."""

MOST_OF_FUNCTION = 2
"""How many a function may have that is given to one of them."""

DEEPEST = 50
"""How deep programs may use programs."""

_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Parameter:
    """The variable at a place."""

    place: int


@dataclass(frozen=True, slots=True)
class Written:
    """A literal, or a constant of a plugin."""

    value: Any


@dataclass(frozen=True, slots=True)
class Call:
    """A primitive's compiled form on all its arguments."""

    kernel: Callable[..., Any]
    arguments: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which argument is taken where the first is false, and where it is true."""

    if_false: int
    if_true: int
    arguments: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Inner:
    """A program on all its arguments."""

    program: Program
    arguments: tuple[Body, ...]


@dataclass(frozen=True, slots=True)
class Closure:
    """A function whose `count` parameters stand from `base` on."""

    base: int
    count: int
    body: Body


Body: TypeAlias = "Parameter | Written | Call | Choice | Inner | Closure"


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A program of so many parameters."""

    parameters: int
    body: Body

    def kernels(self) -> Iterator[tuple[Callable[..., Any], int]]:
        """The compiled forms that it calls, each with how many arguments it takes."""
        waiting: list[Body] = [self.body]
        while waiting:
            one = waiting.pop()
            if isinstance(one, Call):
                yield one.kernel, len(one.arguments)
            if isinstance(one, Inner):
                waiting.append(one.program.body)
            if isinstance(one, Closure):
                waiting.append(one.body)
            if isinstance(one, Call | Choice | Inner):
                waiting.extend(one.arguments)


class _Unfit(Exception):
    """What is read has no tree."""


class Programs:
    """Reads programs, each once; `resolve` and `type_of` say what a reference means."""

    def __init__(
        self, resolve: Callable[[Reference], Loaded], type_of: Callable[[Reference], Type]
    ) -> None:
        self.resolve = resolve
        self.type_of = type_of
        self.known: dict[Reference, Program | None] = {}
        self.depth = 0

    def read(self, reference: Reference) -> Program | None:
        """The tree of a program of the library; None where it has none."""
        if reference not in self.known:
            self.known[reference] = None
            term = self.resolve(reference)
            self.depth += 1
            try:
                if isinstance(term, Term) and self.depth < DEEPEST:
                    self.known[reference] = self._program(term, self.type_of(reference))
            except _Unfit:
                pass
            finally:
                self.depth -= 1
        return self.known[reference]

    def _program(self, term: Term, type_: Type) -> Program:
        count = len(uncurried(type_)[0])
        if not 0 < count <= MOST_PARAMETERS or not is_bounded(type_):
            raise _Unfit
        return Program(count, self._body(term, count, (), 0))

    def _body(self, term: Term, count: int, scope: tuple[int, ...], base: int) -> Body:
        """What is within so many lambdas, of which some may be left out: `f` for `(lam (f $0))`."""
        places = tuple(range(base, base + count))
        written = 0
        while isinstance(term, Lambda) and written < count:
            term, written = term.body, written + 1
        more = tuple(Parameter(place) for place in places[written:])
        return self._value(term, scope + places[:written], base + count, more)

    def _value(
        self, term: Term, scope: tuple[int, ...], base: int, more: tuple[Body, ...] = ()
    ) -> Body:
        """A term applied to some more arguments, whose free places begin at `base`."""
        head, arguments = spine(term)
        if isinstance(head, Use):
            return self._applied(head.reference, arguments, scope, base, more)
        if arguments or more:
            raise _Unfit
        if isinstance(head, Bound) and head.index < len(scope):
            return Parameter(scope[-1 - head.index])
        if isinstance(head, Literal) and isinstance(head.value, int):
            return _written(head.value)
        raise _Unfit

    def _applied(
        self,
        reference: Reference,
        arguments: Sequence[Term],
        scope: tuple[int, ...],
        base: int,
        more: tuple[Body, ...],
    ) -> Body:
        type_ = self.type_of(reference)
        taken = uncurried(type_)[0]
        if len(arguments) + len(more) != len(taken) or len(taken) > MOST_PARAMETERS:
            raise _Unfit
        loaded = self.resolve(reference)
        given = [
            self._argument(argument, wanted, scope, base)
            for argument, wanted in zip(arguments, taken, strict=False)
        ]
        bodies = (*given, *more)
        if not isinstance(loaded, Primitive):
            program = self.read(reference)
            if program is None:
                raise _Unfit
            return Inner(program, bodies)
        if loaded.choose is not None:
            return Choice(loaded.choose(False), loaded.choose(True), bodies)
        if not bodies and loaded.scalar is not None and not loaded.parameters:
            return _written(loaded.scalar())
        if loaded.kernel is None or not bodies or not is_bounded(type_):
            raise _Unfit
        return Call(loaded.kernel, bodies)

    def _argument(self, term: Term, wanted: Type, scope: tuple[int, ...], base: int) -> Body:
        if not isinstance(wanted, Arrow):
            return self._value(term, scope, base)
        if isinstance(term, Bound):
            return self._value(term, scope, base)
        count = len(uncurried(wanted)[0])
        if count > MOST_OF_FUNCTION:
            raise _Unfit
        return Closure(base, count, self._body(term, count, scope, base))


def _written(value: Any) -> Written:
    if not _fits(value):
        raise _Unfit
    return Written(value)


def _fits(value: Any) -> bool:
    """Whether the compiled engine knows such values."""
    if isinstance(value, tuple):
        return all(map(_fits, value))
    return isinstance(value, int) and -_INT64 <= value < _INT64
