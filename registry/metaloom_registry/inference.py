"""The type of a term: Hindley-Milner inference with let-polymorphism.

Milner 1978, algorithm J; Damas and Milner 1982.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from metaloom_registry.errors import TypeMismatch
from metaloom_registry.names import Reference
from metaloom_registry.sexpr import print_term
from metaloom_registry.terms import Apply, Bound, Hole, Lambda, Let, Literal, Term, Use, spine
from metaloom_registry.types import (
    KEYED,
    Arrow,
    Constructed,
    Dimension,
    DimensionVariable,
    Tensor,
    Type,
    Variable,
    parts,
    unhashable_key,
)
from metaloom_registry.unification import Fresh, Substitution, generalised, renamed, unify

TypeOf: TypeAlias = Callable[[Reference], Type]
"""The type of a block; it raises NotFound where there is none."""


def infer(term: Term, type_of: TypeOf, given: Sequence[Type] = ()) -> Type:
    """The most general type of a term, its variables named a, b, ... and n, m, ...

    `given[i]` is the type of the free variable `$i`.  A hole has the type it names.  Raises
    TypeMismatch naming the innermost part that fits nowhere, and what was wanted there.
    """
    inference = _Inference(type_of)
    return generalised(inference.run(term, given))


def check(term: Term, wanted: Type, type_of: TypeOf) -> Type:
    """The most general type of a closed term, which is at least as general as `wanted`.

    Raises TypeMismatch where it is not: `(lam $0)` is an `int -> int`, but `(lam (add 1 $0))` is no
    `a -> a`.
    """
    inference = _Inference(type_of)
    found = inference.run(term, ())
    general = generalised(found)
    try:
        unify(found, wanted := inference.fresh.instantiate(wanted), inference.substitution)
    except TypeMismatch as error:
        raise TypeMismatch(f"{short(term)}: {error}") from None
    _refuse_less_general(term, general, wanted, inference.substitution)
    return general


def short(term: Term, width: int = 60) -> str:
    """A term as text for a message, cut to `width` characters."""
    text = print_term(term)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _refuse_less_general(
    term: Term, general: Type, wanted: Type, substitution: Substitution
) -> None:
    """Each variable of `wanted` has to stay a variable, and no two may become one."""
    names: set[str] = set()
    for part in dict.fromkeys(parts(wanted)):
        variables: list[tuple[str, Type | Dimension]] = []
        if isinstance(part, Variable):
            variables.append((str(part), substitution.resolve(part)))
        elif isinstance(part, Tensor):
            variables += [
                (str(d), substitution.dimension(d))
                for d in dict.fromkeys(part.dimensions)
                if isinstance(d, DimensionVariable)
            ]
        for name, found in variables:
            if name in names:
                continue
            names.add(name)
            if not isinstance(found, Variable | DimensionVariable) or f"={found}" in names:
                raise TypeMismatch(
                    f"{short(term)} has type {general}, which is less general than "
                    f"{generalised(wanted)} is wanted to be"
                )
            names.add(f"={found}")


@dataclass(frozen=True, slots=True)
class _Scheme:
    """The type of a variable in scope, and which of its variables each use has for itself."""

    type: Type
    variables: frozenset[str] = frozenset()
    dimensions: frozenset[str] = frozenset()


_Scope: TypeAlias = "tuple[_Scheme, _Scope] | None"


@dataclass
class _Inference:
    """One run of algorithm J; `keyed` are the uses of blocks whose types speak of keys."""

    type_of: TypeOf
    fresh: Fresh = field(default_factory=Fresh)
    substitution: Substitution = field(default_factory=Substitution)
    known: dict[Reference, Type] = field(default_factory=dict)
    keyed: list[tuple[Reference, Type]] = field(default_factory=list)

    def run(self, term: Term, given: Sequence[Type]) -> Type:
        scope: _Scope = None
        for type_ in reversed(given):
            scope = (_Scheme(type_), scope)
        for type_ in given:
            self._reserve(type_)
        try:
            found = self.infer(term, scope)
            self.refuse_unhashable_keys()
            return self.substitution.resolve(found)
        except RecursionError:
            raise TypeMismatch(
                "a term or its type nests too deeply to be checked; write it in smaller blocks"
            ) from None

    def _reserve(self, type_: Type) -> None:
        """Keep fresh variables apart from those that the caller's types already use."""
        for part in parts(type_):
            names = [part.name] if isinstance(part, Variable) else []
            if isinstance(part, Tensor):
                names = [d.name for d in part.dimensions if isinstance(d, DimensionVariable)]
            for name in names:
                if name[1:].isdigit():
                    self.fresh.count = max(self.fresh.count, int(name[1:]))

    def infer(self, term: Term, scope: _Scope) -> Type:
        if isinstance(term, Bound):
            return self.bound(term, scope)
        if isinstance(term, Literal):
            return term.type
        if isinstance(term, Use):
            return self.instance(term.reference)
        if isinstance(term, Hole):
            return self.fresh.instantiate(term.type)
        if isinstance(term, Lambda):
            argument = self.fresh.variable()
            return Arrow(argument, self.infer(term.body, (_Scheme(argument), scope)))
        if isinstance(term, Let):
            value = self.generalise(self.infer(term.value, scope), scope)
            return self.infer(term.body, (value, scope))
        return self.application(term, scope)

    def bound(self, term: Bound, scope: _Scope) -> Type:
        count = 0
        while scope is not None:
            scheme, scope = scope
            if count == term.index:
                return self.instantiate(scheme)
            count += 1
        raise TypeMismatch(
            f"${term.index} is bound by nothing: {count} variables are in scope there"
        )

    def instance(self, reference: Reference) -> Type:
        """The type of one use of a block; noted where it speaks of keys."""
        type_ = self.block(reference)
        instance = self.fresh.instantiate(type_)
        if any(isinstance(part, Constructed) and part.name in KEYED for part in parts(type_)):
            self.keyed.append((reference, instance))
        return instance

    def refuse_unhashable_keys(self) -> None:
        for reference, instance in self.keyed:
            key = unhashable_key(self.substitution.resolve(instance))
            if key is not None:
                raise TypeMismatch(
                    f"{reference} is used with keys of the type {generalised(key)}; keys are int, "
                    "bool, float, text, or tuples of these"
                )

    def block(self, reference: Reference) -> Type:
        found = self.known.get(reference)
        if found is None:
            found = self.known[reference] = self.type_of(reference)
        return found

    def application(self, term: Apply, scope: _Scope) -> Type:
        head, arguments = spine(term)
        type_ = self.infer(head, scope)
        for i, argument in enumerate(arguments):
            given = self.infer(argument, scope)
            while isinstance(type_, Variable) and type_.name in self.substitution.types:
                type_ = self.substitution.types[type_.name]
            if isinstance(type_, Variable):
                arrow = Arrow(given, self.fresh.variable())
                self.unify(arrow, type_, term)
                type_ = arrow.result
            elif isinstance(type_, Arrow):
                place = f"{short(argument)}, argument {i + 1} of {short(head, 40)}"
                self.unify(given, type_.argument, argument, place)
                type_ = type_.result
            else:
                takes = f"takes {i} argument{'' if i == 1 else 's'}" if i else "is no function"
                raise TypeMismatch(
                    f"{short(head)} of type {self.substitution.resolve(self.infer(head, scope))} "
                    f"{takes}, but {short(term)} gives it {len(arguments)}"
                )
        return type_

    def unify(self, given: Type, wanted: Type, term: Term, place: str = "") -> None:
        try:
            unify(given, wanted, self.substitution)
        except TypeMismatch as error:
            raise TypeMismatch(f"{place or short(term)}: {error}") from None

    def generalise(self, type_: Type, scope: _Scope) -> _Scheme:
        """The scheme of a let: what the scope does not fix, each use has for itself."""
        type_ = self.substitution.resolve(type_)
        variables, dimensions = _free(type_)
        while scope is not None and (variables or dimensions):
            scheme, scope = scope
            fixed = _free(self.substitution.resolve(scheme.type))
            variables -= fixed[0] - scheme.variables
            dimensions -= fixed[1] - scheme.dimensions
        return _Scheme(type_, frozenset(variables), frozenset(dimensions))

    def instantiate(self, scheme: _Scheme) -> Type:
        if not scheme.variables and not scheme.dimensions:
            return scheme.type
        types: dict[str, Type] = {name: self.fresh.variable() for name in scheme.variables}
        sizes: dict[str, Dimension] = {name: self.fresh.dimension() for name in scheme.dimensions}
        return renamed(scheme.type, types, sizes)


def _free(type_: Type) -> tuple[set[str], set[str]]:
    """The names of a resolved type's variables and dimension variables."""
    variables: set[str] = set()
    dimensions: set[str] = set()
    for part in parts(type_):
        if isinstance(part, Variable):
            variables.add(part.name)
        elif isinstance(part, Tensor):
            dimensions |= {d.name for d in part.dimensions if isinstance(d, DimensionVariable)}
    return variables, dimensions
