"""What a term means, in the plainest way: the reference that faster engines are checked against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_registry.errors import EvaluationError
from metaloom_registry.names import Reference
from metaloom_registry.primitives import Primitive
from metaloom_registry.terms import Apply, Bound, Lambda, Let, Literal, Term, Use, spine


def interpret(
    term: Term, primitive: Callable[[Reference], Primitive], scope: tuple[Any, ...] = ()
) -> Any:
    """The value of a term over primitives alone; `scope[i]` is the value of `$i`.

    Nothing bounds it.  Raises what primitives raise, and EvaluationError on a hole.
    """
    if isinstance(term, Bound):
        return scope[term.index]
    if isinstance(term, Literal):
        return term.value
    if isinstance(term, Lambda):
        return lambda value: interpret(term.body, primitive, (value, *scope))
    if isinstance(term, Let):
        value = interpret(term.value, primitive, scope)
        return interpret(term.body, primitive, (value, *scope))
    if isinstance(term, Use):
        return _function(primitive(term.reference), ())
    if not isinstance(term, Apply):
        raise EvaluationError("a hole has no value")
    head, arguments = spine(term)
    if isinstance(head, Use):
        used = primitive(head.reference)
        if used.choose is not None and len(arguments) == len(used.parameters):
            index = used.choose(interpret(arguments[0], primitive, scope))
            return interpret(arguments[index], primitive, scope)
    function = interpret(term.function, primitive, scope)
    return function(interpret(term.argument, primitive, scope))


def _function(primitive: Primitive, given: tuple[Any, ...]) -> Any:
    """A primitive that has been given some of its arguments."""
    if len(given) < len(primitive.parameters):
        return lambda value: _function(primitive, (*given, value))
    if primitive.scalar is None:
        raise EvaluationError(f"{primitive.name} has no scalar form")
    return primitive.scalar(*given)
