"""Compiled code: what a part of a term becomes, with shorter ways for what is known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, TypeAlias

from metaloom_registry import EvaluationError, Primitive

Environment: TypeAlias = "tuple[Any, Environment] | None"
"""The values of `$0`, `$1`, ...: the innermost first, as linked pairs."""

Run: TypeAlias = Callable[[Any], Any]
"""A compiled term: from an environment to its value."""


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled term: its function, and how many variables of its scope it reaches.

    A constant also says its `value`.
    """

    run: Run
    reach: int
    constant: bool = False
    value: Any = None

    @property
    def is_innermost(self) -> bool:
        """Whether it is the variable `$0`."""
        return self.run is _INNERMOST


_INNERMOST = itemgetter(0)


def constant(value: Any) -> Code:
    """The code of a value that is known."""
    return Code(lambda environment: value, 0, True, value)


def variable(index: int, scope: int) -> Code:
    """The code of `$index` among `scope` variables. Raises EvaluationError where it is free."""
    if index >= scope:
        raise EvaluationError(f"${index} is bound by nothing: {scope} variables are in scope there")
    if index == 0:
        return Code(_INNERMOST, 1)
    if index == 1:
        return Code(lambda environment: environment[1][0], 2)
    if index == 2:
        return Code(lambda environment: environment[1][1][0], 3)

    def run(environment: Any) -> Any:
        for _ in range(index):
            environment = environment[1]
        return environment[0]

    return Code(run, index + 1)


def applied(function: Code, argument: Code) -> Code:
    """The code of a function value on one argument."""
    run_function, run_argument = function.run, argument.run

    def run(environment: Any) -> Any:
        called = run_function(environment)
        value = run_argument(environment)
        try:
            return called(value)
        except EvaluationError:
            raise
        except RecursionError:
            raise EvaluationError("it calls functions within functions too deeply") from None
        except TypeError as error:
            raise EvaluationError(f"{called!r} cannot be applied: {error}") from error

    return Code(run, max(function.reach, argument.reach))


def chosen(primitive: Primitive, arguments: tuple[Code, ...]) -> Code:
    """The code of a primitive that gives one of its arguments and needs no other."""
    choose = primitive.choose
    runs = tuple(argument.run for argument in arguments)
    first = runs[0]
    assert choose is not None

    def run(environment: Any) -> Any:
        value = first(environment)
        index = choose(value)
        return value if index == 0 else runs[index](environment)

    return Code(run, _reach(arguments))


def called(primitive: Primitive, scalar: Callable[..., Any], arguments: tuple[Code, ...]) -> Code:
    """The code of a primitive on all of its arguments."""
    if len(arguments) == 1:
        run = _on_one(primitive, scalar, arguments[0])
    elif len(arguments) == 2 and arguments[0].constant:
        run = _on_one(primitive, partial(scalar, arguments[0].value), arguments[1])
    elif len(arguments) == 2 and arguments[1].constant:
        run = _on_one_before(primitive, scalar, arguments[0], arguments[1].value)
    elif len(arguments) == 2:
        run = _on_two(primitive, scalar, *arguments)
    else:
        run = _on_many(primitive, scalar, arguments)
    return Code(run, _reach(arguments))


def _reach(arguments: tuple[Code, ...]) -> int:
    return max(argument.reach for argument in arguments)


def _on_one(primitive: Primitive, scalar: Callable[..., Any], argument: Code) -> Run:
    if argument.is_innermost:

        def run_innermost(environment: Any) -> Any:
            try:
                return scalar(environment[0])
            except EvaluationError:
                raise
            except Exception as error:
                raise failure(primitive, error) from error

        return run_innermost
    only = argument.run

    def run(environment: Any) -> Any:
        try:
            return scalar(only(environment))
        except EvaluationError:
            raise
        except Exception as error:
            raise failure(primitive, error) from error

    return run


def _on_one_before(
    primitive: Primitive, scalar: Callable[..., Any], argument: Code, last: Any
) -> Run:
    if argument.is_innermost:

        def run_innermost(environment: Any) -> Any:
            try:
                return scalar(environment[0], last)
            except EvaluationError:
                raise
            except Exception as error:
                raise failure(primitive, error) from error

        return run_innermost
    only = argument.run

    def run(environment: Any) -> Any:
        try:
            return scalar(only(environment), last)
        except EvaluationError:
            raise
        except Exception as error:
            raise failure(primitive, error) from error

    return run


def _on_two(primitive: Primitive, scalar: Callable[..., Any], one: Code, other: Code) -> Run:
    first, second = one.run, other.run

    def run(environment: Any) -> Any:
        try:
            return scalar(first(environment), second(environment))
        except EvaluationError:
            raise
        except Exception as error:
            raise failure(primitive, error) from error

    return run


def _on_many(primitive: Primitive, scalar: Callable[..., Any], arguments: tuple[Code, ...]) -> Run:
    runs = tuple(argument.run for argument in arguments)

    def run(environment: Any) -> Any:
        try:
            return scalar(*[one(environment) for one in runs])
        except EvaluationError:
            raise
        except Exception as error:
            raise failure(primitive, error) from error

    return run


def curried(function: Callable[..., Any], arity: int) -> Callable[[Any], Any]:
    """A function of `arity` arguments as a function of one that returns functions."""
    if arity == 1:
        return function
    if arity == 2:
        return lambda first: partial(function, first)
    return lambda first: curried(partial(function, first), arity - 1)


def failure(primitive: Primitive, error: Exception) -> EvaluationError:
    """What a primitive raised, as the error of an evaluation."""
    if isinstance(error, RecursionError):
        return EvaluationError("it calls functions within functions too deeply")
    return EvaluationError(f"{primitive.name} fails: {type(error).__name__}: {error}")
