"""A made-up value of a type, written as Python; of a function type, as a term."""

from __future__ import annotations

from metaloom_registry import (
    BOOL,
    FLOAT,
    GRID,
    INT,
    TEXT,
    Constructed,
    Tensor,
    Type,
    Variable,
    uncurried,
)

OPEN_SIZE = 4
"""What stands for a size that a type leaves open."""

ROUNDS: tuple[dict[Type, str], ...] = (
    {INT: "1", TEXT: '"some words"'},
    {INT: "0", TEXT: '"42"'},
    {INT: "2", TEXT: '"a"'},
)
"""What is tried in turn; type variables stand for integers."""

_PLAIN: dict[Type, str] = {FLOAT: "1.5", BOOL: "True", GRID: "[[0, 1], [2, 3]]"}
_LITERALS: dict[Type, str] = {INT: "1", FLOAT: "1.5", BOOL: "false", TEXT: '"some words"'}


def value(type_: Type, turn: int = 0) -> str | None:
    """A value as `hub.run` takes it; None where there is none."""
    type_ = closed(type_)
    plain = ROUNDS[turn].get(type_, _PLAIN.get(type_))
    if plain is not None:
        return plain
    if isinstance(type_, Tensor):
        if type_.kind == "label":
            return "0"
        return f"torch.rand({', '.join(map(str, _sizes(type_)))}).tolist()"
    return _container(type_, turn) if isinstance(type_, Constructed) else None


def batch(type_: Type, count: int = 1) -> str | None:
    """So many random items of a tensor type, or of a tuple of such; None for other types."""
    if isinstance(type_, Constructed) and type_.name == "tuple":
        items = [batch(one, count) for one in type_.arguments]
        return None if None in items else f"({', '.join(map(str, items))})"
    if not isinstance(type_, Tensor):
        return None
    if type_.kind == "label":
        return f"torch.zeros({count}, dtype=torch.int64)"
    return f"torch.rand({', '.join(map(str, (count, *_sizes(type_))))})"


def function(type_: Type) -> str | None:
    """A function as a term: what it takes last of the type it gives, else a constant."""
    takes, gives = uncurried(type_)
    alike = [i for i, one in enumerate(takes) if closed(one) == closed(gives)]
    body = f"${len(takes) - 1 - alike[-1]}" if alike else literal(gives)
    return None if body is None else "(lam " * len(takes) + body + ")" * len(takes)


def literal(type_: Type) -> str | None:
    """A constant as a term; None of a type that has no literals."""
    return _LITERALS.get(closed(type_))


def closed(type_: Type) -> Type:
    """The type, integers for a variable."""
    return INT if isinstance(type_, Variable) else type_


def _container(type_: Constructed, turn: int) -> str | None:
    items = [value(one, turn) for one in type_.arguments]
    if None in items:
        return None
    if type_.name in ("list", "set"):
        return "[3, 1, 2]" if closed(type_.arguments[0]) == INT else f"[{items[0]}]"
    if type_.name == "tuple":
        return f"({', '.join(map(str, items))})"
    if type_.name == "dict":
        return f"{{{items[0]}: {items[1]}}}"
    if type_.name == "graph":
        whole = closed(type_.arguments[0]) == INT
        return "[(1, 2), (2, 3)]" if whole else f"[({items[0]}, {items[0]})]"
    return None


def _sizes(type_: Tensor) -> list[int]:
    return [size if isinstance(size, int) else OPEN_SIZE for size in type_.dimensions]
