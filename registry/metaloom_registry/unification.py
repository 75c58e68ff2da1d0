"""Hindley-Milner unification of types: the substitution under which two types are one.

Robinson 1965; Milner 1978.  Type variables and dimension variables are two separate sorts.  Domain
tags are ignored: they rank, they never forbid.  Library variables are renamed apart before unifying
(`Fresh.instantiate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metaloom_registry.errors import TypeMismatch
from metaloom_registry.types import (
    Arrow,
    Constructed,
    Dimension,
    DimensionVariable,
    Tensor,
    Type,
    Variable,
    mapped,
    parts,
)

MAX_PARTS = 5_000
MAX_NESTING = 200
MAX_WORK = 200_000


@dataclass(slots=True)
class Substitution:
    """What stands for each variable; grows as types are unified.

    `work` counts the pairs of types compared; beyond `MAX_WORK` they no longer unify.
    """

    types: dict[str, Type] = field(default_factory=dict)
    dimensions: dict[str, Dimension] = field(default_factory=dict)
    work: int = 0

    def copy(self) -> Substitution:
        return Substitution(dict(self.types), dict(self.dimensions), self.work)

    def resolve(self, type_: Type) -> Type:
        """The type with every bound variable replaced, all the way down.

        Raises TypeMismatch where that type has more than `MAX_PARTS` parts or nests deeper than
        `MAX_NESTING`, as the types of hostile terms do.
        """
        return self._resolve(type_, [MAX_PARTS], 0)

    def _resolve(self, type_: Type, left: list[int], level: int) -> Type:
        while isinstance(type_, Variable):
            bound = self.types.get(type_.name)
            if bound is None:
                return type_
            type_ = bound
        left[0] -= 1
        if left[0] < 0 or level > MAX_NESTING:
            raise TypeMismatch(
                f"a type has more than {MAX_PARTS} parts or {MAX_NESTING} levels; "
                "write the term with smaller types"
            )
        if isinstance(type_, Tensor):
            if not any(isinstance(d, DimensionVariable) for d in type_.dimensions):
                return type_
            return Tensor(type_.kind, tuple(map(self.dimension, type_.dimensions)), type_.domain)
        if isinstance(type_, Arrow):
            return Arrow(
                self._resolve(type_.argument, left, level + 1),
                self._resolve(type_.result, left, level + 1),
            )
        if not type_.arguments:
            return type_
        return Constructed(
            type_.name, tuple(self._resolve(a, left, level + 1) for a in type_.arguments)
        )

    def dimension(self, dimension: Dimension) -> Dimension:
        while isinstance(dimension, DimensionVariable):
            bound = self.dimensions.get(dimension.name)
            if bound is None:
                return dimension
            dimension = bound
        return dimension


@dataclass(slots=True)
class Fresh:
    """A source of variables that nothing else uses."""

    count: int = 0

    def variable(self) -> Variable:
        self.count += 1
        return Variable(f"t{self.count}")

    def dimension(self) -> DimensionVariable:
        self.count += 1
        return DimensionVariable(f"d{self.count}")

    def instantiate(self, type_: Type) -> Type:
        """The type with each of its variables renamed to a new one."""
        types: dict[str, Type] = {}
        dimensions: dict[str, Dimension] = {}
        for part in parts(type_):
            if isinstance(part, Variable) and part.name not in types:
                types[part.name] = self.variable()
            elif isinstance(part, Tensor):
                for dimension in part.dimensions:
                    if (
                        isinstance(dimension, DimensionVariable)
                        and dimension.name not in dimensions
                    ):
                        dimensions[dimension.name] = self.dimension()
        return renamed(type_, types, dimensions) if types or dimensions else type_


def renamed(type_: Type, types: Mapping[str, Type], dimensions: Mapping[str, Dimension]) -> Type:
    """Replace variables by name, all at once."""

    def change(part: Type) -> Type:
        if isinstance(part, Variable):
            return types.get(part.name, part)
        if isinstance(part, Tensor):
            return Tensor(
                part.kind,
                tuple(
                    dimensions.get(d.name, d) if isinstance(d, DimensionVariable) else d
                    for d in part.dimensions
                ),
                part.domain,
            )
        return part

    return mapped(type_, change)


def generalised(type_: Type) -> Type:
    """The same type with its variables named a, b, c ... and n, m, k ... in order of appearance."""
    types: dict[str, Type] = {}
    dimensions: dict[str, Dimension] = {}
    for part in parts(type_):
        if isinstance(part, Variable) and part.name not in types:
            index = len(types)
            types[part.name] = Variable("abcdefghij"[index] if index < 10 else f"a{index}")
        elif isinstance(part, Tensor):
            for dimension in part.dimensions:
                if isinstance(dimension, DimensionVariable) and dimension.name not in dimensions:
                    index = len(dimensions)
                    name = "nmkpqr"[index] if index < 6 else f"n{index}"
                    dimensions[dimension.name] = DimensionVariable(name)
    return renamed(type_, types, dimensions)


def unify(given: Type, wanted: Type, substitution: Substitution) -> None:
    """Extend `substitution` so that both types become one.

    Raises TypeMismatch naming the innermost parts that differ; the substitution is then in an
    unspecified state, so copy it first where it is still needed.
    """
    clash = _unify(given, wanted, substitution)
    if clash is None:
        return
    whole_given, whole_wanted = substitution.resolve(given), substitution.resolve(wanted)
    message = f"{whole_given} does not fit where {whole_wanted} is wanted"
    if clash != (str(whole_given), str(whole_wanted)):
        message += f": {clash[0]} is not {clash[1]}"
    raise TypeMismatch(message)


def fits(given: Type, wanted: Type) -> bool:
    """Whether a value of type `given` can stand where `wanted` is wanted, their variables apart."""
    if _apart(given, wanted):
        return False
    fresh = Fresh()
    return _unify(fresh.instantiate(given), fresh.instantiate(wanted), Substitution()) is None


def _apart(given: Type, wanted: Type) -> bool:
    """Whether two types differ where neither has a variable, and so cannot become one."""
    if isinstance(given, Variable) or isinstance(wanted, Variable):
        return False
    if isinstance(given, Arrow) and isinstance(wanted, Arrow):
        return _apart(given.argument, wanted.argument) or _apart(given.result, wanted.result)
    if isinstance(given, Constructed) and isinstance(wanted, Constructed):
        return (
            given.name != wanted.name
            or len(given.arguments) != len(wanted.arguments)
            or any(map(_apart, given.arguments, wanted.arguments))
        )
    if isinstance(given, Tensor) and isinstance(wanted, Tensor):
        return (
            given.kind != wanted.kind
            or len(given.dimensions) != len(wanted.dimensions)
            or any(
                isinstance(one, int) and isinstance(other, int) and one != other
                for one, other in zip(given.dimensions, wanted.dimensions, strict=True)
            )
        )
    return True


def _unify(given: Type, wanted: Type, s: Substitution) -> tuple[str, str] | None:
    """None, or the texts of the two parts that do not go together."""
    s.work += 1
    if s.work > MAX_WORK:
        raise TypeMismatch(f"types take more than {MAX_WORK} steps to compare; write smaller ones")
    while isinstance(given, Variable) and given.name in s.types:
        given = s.types[given.name]
    while isinstance(wanted, Variable) and wanted.name in s.types:
        wanted = s.types[wanted.name]
    if isinstance(given, Variable):
        return _bind(given, wanted, s)
    if isinstance(wanted, Variable):
        return _bind(wanted, given, s)
    if isinstance(given, Arrow) and isinstance(wanted, Arrow):
        return _unify(given.argument, wanted.argument, s) or _unify(given.result, wanted.result, s)
    if isinstance(given, Constructed) and isinstance(wanted, Constructed):
        if given.name == wanted.name and len(given.arguments) == len(wanted.arguments):
            for one, other in zip(given.arguments, wanted.arguments, strict=True):
                if clash := _unify(one, other, s):
                    return clash
            return None
    elif (
        isinstance(given, Tensor)
        and isinstance(wanted, Tensor)
        and given.kind == wanted.kind
        and len(given.dimensions) == len(wanted.dimensions)
    ):
        for i, (left, right) in enumerate(zip(given.dimensions, wanted.dimensions, strict=True)):
            if not _unify_dimension(left, right, s):
                place = f"dimension {i + 1} of " if len(given.dimensions) > 1 else ""
                return f"{place}{s.resolve(given)}", f"{place}{s.resolve(wanted)}"
        return None
    return str(s.resolve(given)), str(s.resolve(wanted))


def _bind(variable: Variable, type_: Type, s: Substitution) -> tuple[str, str] | None:
    if variable == type_:
        return None
    resolved = s.resolve(type_)
    if resolved == variable:
        return None
    if variable in parts(resolved):
        return str(variable), f"{resolved}, which contains it"
    s.types[variable.name] = resolved
    return None


def _unify_dimension(given: Dimension, wanted: Dimension, s: Substitution) -> bool:
    given, wanted = s.dimension(given), s.dimension(wanted)
    if isinstance(given, DimensionVariable):
        if given != wanted:
            s.dimensions[given.name] = wanted
        return True
    if isinstance(wanted, DimensionVariable):
        s.dimensions[wanted.name] = given
        return True
    return given == wanted
