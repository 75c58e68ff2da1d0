"""A dictionary as a value: not to be changed, hashable, in the order its keys were put in."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """What a `dict[K, V]` is in the hard engine, and with dictionaries as values a `graph[N]`.

    A `graph[N]` has for each node its successors and the weight of the edge to each, an integer.
    Two are equal where they hold the same items, in any order, as with Python's own; each of its
    keys and values is hashable.
    """

    __slots__ = ("_hash",)
    _hash: int

    def __hash__(self) -> int:  # type: ignore[override]
        try:
            return self._hash
        except AttributeError:
            self._hash = hash(frozenset(self.items()))
            return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenDict, (dict(self),)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("a FrozenDict cannot be changed; make another from its items")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse


def frozen_value(value: Any) -> Any:
    """The value as the hard engine has it: lists as tuples, dictionaries and sets frozen."""
    if isinstance(value, list | tuple):
        return tuple(map(frozen_value, value))
    if isinstance(value, dict):
        return FrozenDict({frozen_value(k): frozen_value(v) for k, v in value.items()})
    return frozenset(map(frozen_value, value)) if isinstance(value, set | frozenset) else value
