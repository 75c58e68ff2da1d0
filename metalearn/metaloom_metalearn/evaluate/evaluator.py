"""The hard engine: compiles a term once, into nested Python functions over an environment.

Values are int, bool, float, str, tuples for lists and tuples, functions of one argument, and
`Item`s for tensors.  Nothing is generated as text and nothing is executed but the primitives that
plugins declare and the graphs that the registry loads.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from metaloom_metalearn.evaluate.limits import Limits
from metaloom_metalearn.evaluate.meter import Meter, Run, failure, meter
from metaloom_registry import (
    Apply,
    Bound,
    Constructed,
    EvaluationError,
    Hole,
    Lambda,
    Let,
    Literal,
    Loaded,
    Primitive,
    Reference,
    Term,
    Use,
    spine,
)

if TYPE_CHECKING:
    from metaloom_metalearn.evaluate.blocks import Blocks

_TERMS = (Bound, Lambda, Apply, Let, Literal, Use, Hole)


class Evaluator:
    """Evaluates terms whose blocks `resolve` finds; one for each thread.

    What a block compiles to is kept, and so are the outputs of trained blocks, by content.
    """

    def __init__(
        self,
        resolve: Callable[[Reference], Loaded],
        limits: Limits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self._resolve = resolve
        self._meter: Meter = meter(self.limits, now)
        self._blocks: Blocks | None = None
        self._primitives: dict[Reference, Primitive | None] = {}
        self._values: dict[Reference, Any] = {}
        self._programs: dict[Reference, Term] = {}
        self._open: list[Reference] = []

    def compile(self, term: Term) -> Callable[..., Any]:
        """The term as a function of its arguments, to be called many times.

        With no arguments it gives the term's value.  Arguments and results are plain values with
        tensors as `Item`s.  Calling it raises EvaluationError where there is no value; so does
        compiling a hole or a block that has none, and NotFound comes from `resolve`.
        """
        body, arity = term, 0
        while isinstance(body, Lambda):
            body, arity = body.body, arity + 1
        try:
            run = self._compile(body, arity)[0]
        except RecursionError:
            raise EvaluationError("the term nests too deeply; write it in smaller blocks") from None
        start = self._meter.start

        def call(*arguments: Any) -> Any:
            start()
            environment: Any = None
            try:
                if len(arguments) == arity:
                    for argument in arguments:
                        environment = (argument, environment)
                    return run(environment)
                result = self._compile(term, 0)[0](None)
                for argument in arguments:
                    result = result(argument)
                return result
            except (RecursionError, MemoryError) as error:
                raise EvaluationError(f"it needs too much memory: {type(error).__name__}") from None

        if arity != 1:
            return call

        def call_one(argument: Any, *more: Any) -> Any:
            if more:
                return call(argument, *more)
            start()
            try:
                return run((argument, None))
            except (RecursionError, MemoryError) as error:
                raise EvaluationError(f"it needs too much memory: {type(error).__name__}") from None

        return call_one

    def value(self, term: Term, *arguments: Any) -> Any:
        """The value of a term applied to arguments; tensors go in and come out as tensors.

        Raises EvaluationError where there is none.
        """
        compiled = self.compile(term)
        if self._blocks is None and "torch" in sys.modules:
            self._blocks = self._with_torch()
        if self._blocks is None:
            return compiled(*arguments)
        return self._blocks.unwrapped(compiled(*map(self._blocks.wrapped, arguments)))

    def warm(self, reference: Reference, items: Sequence[Any]) -> None:
        """Run a trained block on many items in one batch, and keep what it gives."""
        self._use(reference)
        if self._blocks is not None:
            self._blocks.warm(reference, items)

    # Compiling: `_compile(term, scope)` gives the code and how many variables of the scope it
    # reaches; code that reaches none is a constant, once it is known not to fail.

    def _compile(self, term: Term, scope: int) -> tuple[Run, int]:
        if isinstance(term, Bound):
            return _variable(term.index, scope), term.index + 1
        if isinstance(term, Literal):
            return _constant(term.value), 0
        if isinstance(term, Lambda):
            body, reach = self._compile(term.body, scope + 1)
            make = self._meter.closure(body)
            return (_constant(make(None)), 0) if reach <= 1 else (make, reach - 1)
        if isinstance(term, Let):
            value, value_reach = self._compile(term.value, scope)
            body, reach = self._compile(term.body, scope + 1)
            return self._meter.enter(value, body), max(value_reach, reach - 1)
        if isinstance(term, Hole):
            raise EvaluationError(f"the hole of type {term.type} is not filled, so has no value")
        if isinstance(term, Use):
            return _constant(self._use(term.reference)), 0
        return self._application(term, scope)

    def _application(self, term: Apply, scope: int) -> tuple[Run, int]:
        head, arguments = spine(term)
        if isinstance(head, Lambda):
            value, value_reach = self._compile(arguments[0], scope)
            body, reach = self._compile(head.body, scope + 1)
            run, reach = self._meter.enter(value, body), max(value_reach, reach - 1)
            return self._applied(run, reach, arguments[1:], scope)
        if isinstance(head, Use):
            primitive = self._primitive(head.reference)
            if primitive is not None and primitive.parameters:
                count = len(primitive.parameters)
                if len(arguments) >= count:
                    run, reach = self._saturated(
                        primitive, head.reference, arguments[:count], scope
                    )
                    return self._applied(run, reach, arguments[count:], scope)
        run, reach = self._compile(head, scope)
        return self._applied(run, reach, arguments, scope)

    def _applied(
        self, run: Run, reach: int, arguments: Sequence[Term], scope: int
    ) -> tuple[Run, int]:
        for argument in arguments:
            value, value_reach = self._compile(argument, scope)
            run, reach = _applied(run, value), max(reach, value_reach)
        return run, reach

    def _saturated(
        self, primitive: Primitive, reference: Reference, arguments: Sequence[Term], scope: int
    ) -> tuple[Run, int]:
        compiled = [self._compile(argument, scope) for argument in arguments]
        runs = tuple(run for run, _ in compiled)
        reach = max(reach for _, reach in compiled)
        scalar = self._scalar(primitive, reference)
        if primitive.choose is not None:
            return _chosen(primitive, runs), reach
        if _makes_items(primitive):
            return self._meter.sized(primitive, scalar, runs), reach
        return _called(primitive, scalar, runs), reach

    # Blocks

    def _primitive(self, reference: Reference) -> Primitive | None:
        if reference not in self._primitives:
            loaded = self._resolve(reference)
            self._primitives[reference] = loaded if isinstance(loaded, Primitive) else None
            if not isinstance(loaded, Primitive):
                self._load(reference, loaded)
        return self._primitives[reference]

    def _load(self, reference: Reference, loaded: Loaded) -> None:
        if isinstance(loaded, _TERMS):
            self._programs[reference] = loaded
        else:
            self._blocks = self._blocks or self._with_torch()
            self._values[reference] = self._blocks.function(reference, loaded)

    def _use(self, reference: Reference) -> Any:
        """The value of a block: a function, or what a constant is."""
        if reference not in self._values:
            primitive = self._primitive(reference)
            if primitive is not None:
                self._values[reference] = self._primitive_value(primitive, reference)
            elif reference in self._programs:
                self._values[reference] = self._program_value(reference)
        return self._values[reference]

    def _program_value(self, reference: Reference) -> Any:
        if reference in self._open:
            raise EvaluationError(f"the program {reference} uses itself, so it has no value")
        self._open.append(reference)
        try:
            run, reach = self._compile(self._programs[reference], 0)
        finally:
            self._open.pop()
        if reach > 0:
            raise EvaluationError(f"the program {reference} has free variables")
        return run(None)

    def _primitive_value(self, primitive: Primitive, reference: Reference) -> Any:
        scalar = self._scalar(primitive, reference)
        makes_items = _makes_items(primitive)
        if not primitive.parameters:
            return scalar()
        return _curried(
            self._meter.counted(primitive, scalar, makes_items), len(primitive.parameters)
        )

    def _scalar(self, primitive: Primitive, reference: Reference) -> Callable[..., Any]:
        if primitive.scalar is not None:
            return primitive.scalar
        self._blocks = self._blocks or self._with_torch()
        return self._blocks.scalar(primitive)

    def _with_torch(self) -> Blocks:
        from metaloom_metalearn.evaluate.blocks import Blocks  # noqa: PLC0415 - costs a second

        return Blocks()


def _makes_items(primitive: Primitive) -> bool:
    """Whether what the primitive returns is a list or text that it may have made."""
    type_ = primitive.signature
    for _ in primitive.parameters:
        type_ = type_.result  # type: ignore[union-attr]
    return isinstance(type_, Constructed) and type_.name in ("list", "text")


def _constant(value: Any) -> Run:
    return lambda environment: value


def _variable(index: int, scope: int) -> Run:
    if index >= scope:
        raise EvaluationError(f"${index} is bound by nothing: {scope} variables are in scope there")
    if index == 0:
        return itemgetter(0)
    if index == 1:
        return lambda environment: environment[1][0]
    if index == 2:
        return lambda environment: environment[1][1][0]

    def run(environment: Any) -> Any:
        for _ in range(index):
            environment = environment[1]
        return environment[0]

    return run


def _applied(function: Run, argument: Run) -> Run:
    def run(environment: Any) -> Any:
        called = function(environment)
        value = argument(environment)
        try:
            return called(value)
        except EvaluationError:
            raise
        except RecursionError:
            raise EvaluationError("it calls functions within functions too deeply") from None
        except TypeError as error:
            raise EvaluationError(f"{called!r} cannot be applied: {error}") from error

    return run


def _chosen(primitive: Primitive, runs: tuple[Run, ...]) -> Run:
    """The code of a primitive that gives one of its arguments and needs no other."""
    choose, first = primitive.choose, runs[0]
    assert choose is not None

    def run(environment: Any) -> Any:
        value = first(environment)
        index = choose(value)
        return value if index == 0 else runs[index](environment)

    return run


def _called(primitive: Primitive, scalar: Callable[..., Any], runs: tuple[Run, ...]) -> Run:
    """The code of a primitive on all of its arguments."""
    if len(runs) == 1:
        (only,) = runs

        def run_one(environment: Any) -> Any:
            try:
                return scalar(only(environment))
            except EvaluationError:
                raise
            except Exception as error:
                raise failure(primitive, error) from error

        return run_one
    if len(runs) == 2:
        first, second = runs

        def run_two(environment: Any) -> Any:
            try:
                return scalar(first(environment), second(environment))
            except EvaluationError:
                raise
            except Exception as error:
                raise failure(primitive, error) from error

        return run_two

    def run(environment: Any) -> Any:
        try:
            return scalar(*[argument(environment) for argument in runs])
        except EvaluationError:
            raise
        except Exception as error:
            raise failure(primitive, error) from error

    return run


def _curried(function: Callable[..., Any], arity: int) -> Callable[[Any], Any]:
    """A function of `arity` arguments as a function of one that returns functions."""
    if arity == 1:
        return function
    if arity == 2:
        return lambda first: partial(function, first)
    return lambda first: _curried(partial(function, first), arity - 1)
