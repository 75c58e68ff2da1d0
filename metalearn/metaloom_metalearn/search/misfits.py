"""What comes nearest to a type that nothing in the library makes."""

from __future__ import annotations

from collections.abc import Sequence

from metaloom_metalearn.tasks import Task
from metaloom_registry import (
    Entry,
    Fresh,
    Substitution,
    Tensor,
    Type,
    TypeMismatch,
    Variable,
    uncurried,
    unify,
)

NEAREST = 3


def nearest_misfits(task: Task, entries: Sequence[Entry]) -> list[str]:
    """Sentences on which type is missing and why the blocks that come nearest do not fit."""
    if not entries:
        return ["the library holds no block that may be used; publish blocks or install a plugin"]
    makers: list[str] = []
    takers: list[str] = []
    for entry in entries:
        arguments, result = uncurried(entry.type)
        if isinstance(result, Variable):
            continue
        misfit = clash(result, task.want)
        if misfit is None:
            makers.append(f"{entry.name} : {entry.type}")
        elif alike(result, task.want):
            takers.append(f"{entry.name} : {entry.type} makes {result}: {misfit}")
        elif any(clash(given, a) is None for given in task.given for a in arguments[:1]):
            takers.append(f"{entry.name} : {entry.type} takes the input, but makes {result}")
    said = []
    if makers:
        said.append(
            f"blocks that make {task.want}, whose inputs nothing makes: "
            + "; ".join(makers[:NEAREST])
        )
    else:
        said.append(f"no block makes {task.want}")
    if takers:
        said.append("nearest: " + "; ".join(takers[:NEAREST]))
    return said


def clash(given: Type, wanted: Type) -> str | None:
    """Why `given` does not fit `wanted`; None where it does."""
    fresh = Fresh()
    try:
        unify(fresh.instantiate(given), fresh.instantiate(wanted), Substitution())
    except TypeMismatch as error:
        return str(error)
    return None


def alike(one: Type, other: Type) -> bool:
    """Whether two types have the same outermost constructor."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.kind == other.kind
    return type(one) is type(other) and getattr(one, "name", 0) == getattr(other, "name", 1)
