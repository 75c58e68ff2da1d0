"""`left >> right`: two programs become one, with a check that the one fits the other.

    f >> g            (lam (g (f $0)))                                    f : A -> B,  g : B -> C
    encoder >> head   (lam (lam (head (embed encoder $1) (encoder $0))))

A head `examples[B, Y] -> B -> Z` learns from labelled examples, so `encoder >> head` has the type
`examples[A, Y] -> A -> Z`: it takes the examples first.  What takes examples first goes on in the
same way: `(encoder >> head) >> argmax` applies argmax to what comes out in the end.
"""

from __future__ import annotations

from collections.abc import Callable

from metaloom_registry.errors import TypeMismatch
from metaloom_registry.inference import infer
from metaloom_registry.names import Reference
from metaloom_registry.terms import Apply, Bound, Lambda, Term, Use, apply, lambdas
from metaloom_registry.types import Arrow, Constructed, Type
from metaloom_registry.unification import Fresh, Substitution, unify


def compose(
    left: Term, right: Term, type_of: Callable[[Reference], Type], embed: Reference
) -> Term:
    """The program that gives what comes out of `left` to `right`; both are closed terms.

    `embed : (a -> b) -> examples[a, c] -> examples[b, c]` applies an encoder to examples.  Raises
    TypeMismatch that names both types and the part of them that does not fit.
    """
    first = _function(infer(left, type_of), "the left of >>")
    second = _function(infer(right, type_of), "the right of >>")
    model, head = taught(first), taught(second)
    if model is not None:
        _fit(first, model.result, second, second.argument, "which it takes")
        term = lambdas(2, Apply(right, apply(left, Bound(1), Bound(0))))
    elif head is not None:
        _fit(first, first.result, second, head.argument, "which its examples are of")
        encoded = Apply(left, Bound(0))
        term = lambdas(2, apply(right, apply(Use(embed), left, Bound(1)), encoded))
    else:
        _fit(first, first.result, second, second.argument, "which it takes")
        term = Lambda(Apply(right, Apply(left, Bound(0))))
    infer(term, type_of)  # dimensions that meet in more than one place
    return term


def taught(type_: Type) -> Arrow | None:
    """`A -> B` of `examples[A, Y] -> A -> B`: a head, or a model built on one; else None."""
    if (
        isinstance(type_, Arrow)
        and isinstance(type_.argument, Constructed)
        and type_.argument.name == "examples"
        and isinstance(type_.result, Arrow)
    ):
        return type_.result
    return None


def _function(type_: Type, place: str) -> Arrow:
    if not isinstance(type_, Arrow):
        raise TypeMismatch(f"{place} has the type {type_}, but >> composes functions alone")
    return type_


def _fit(left: Type, given: Type, right: Type, wanted: Type, role: str) -> None:
    """Check that `given`, which comes out of the left, can stand where the right wants `wanted`."""
    fresh = Fresh()
    try:
        unify(fresh.instantiate(given), fresh.instantiate(wanted), Substitution())
    except TypeMismatch as clash:
        raise TypeMismatch(
            f"{left} >> {right}: what comes out of the left is {given}, but the right wants "
            f"{wanted}, {role}; {clash}"
        ) from None
