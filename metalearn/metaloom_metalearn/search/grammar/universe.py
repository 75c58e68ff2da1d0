"""The types a search works in: a bounded set of closed types, and a signature's instances in it.

Library types are polymorphic; a search enumerates terms of closed types alone.  Its universe holds
the parts of the task's own types, `int` and `bool`, the lists of all these (one level deeper than
the task nests them), the tensors that blocks make out of what is there, and the plain values that
they make out of tensors.  Text made out of numbers alone is of no use to a task on numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from metaloom_registry import (
    Arrow,
    Constructed,
    Fresh,
    Substitution,
    Tensor,
    Type,
    TypeMismatch,
    is_closed,
    uncurried,
    unify,
)
from metaloom_registry.types import (
    BOOL,
    INT,
    KEYED,
    dict_of,
    list_of,
    parts,
    set_of,
    tuple_of,
    without_domains,
)

MAX_TYPES = 20
MAX_INSTANCES = 64
_OPAQUE = ("examples", "store")


@dataclass(frozen=True)
class Universe:
    """Closed types, each with a weight: 1 where the task speaks of it or it is int or bool.

    Other types weigh `RARE`: instances at them are taken to be less likely.  `left_out` are types
    that `MAX_TYPES` kept out.
    """

    weights: dict[Type, float]
    left_out: tuple[Type, ...] = ()

    def __contains__(self, type_: Type) -> bool:
        return type_ in self.weights

    def __iter__(self) -> Iterator[Type]:
        return iter(self.weights)


RARE = 0.1


def universe_of(given: Iterable[Type], want: Type, signatures: Iterable[Type]) -> Universe:
    """The types of a search from `given` to `want` with blocks of these signatures."""
    weights: dict[Type, float] = {}
    for type_ in (*given, want, INT, BOOL):
        for part in parts(without_domains(type_)):
            if not isinstance(part, Arrow) and is_closed(part) and not _is_opaque(part):
                weights.setdefault(part, 1.0)
    deepest = 1 + max(_nesting(type_) for type_ in weights)
    for type_ in tuple(weights):
        weights.update(dict.fromkeys(_companions(type_), 1.0))
    for type_ in tuple(weights):
        if _nesting(type_) < deepest and not isinstance(type_, Tensor):
            weights.setdefault(list_of(type_), RARE)
    left_out: dict[Type, None] = {}
    blocks = [s for s in map(without_domains, signatures) if _makes_something_new(s)]
    for _ in range(4):
        for signature in blocks:
            for instance in instances(signature, Universe(weights), open_result=True):
                result = uncurried(instance)[1]
                if result in weights or not is_closed(result) or _nesting(result) > deepest:
                    continue
                if _is_foreign(result, instance):
                    continue
                if len(weights) >= MAX_TYPES:
                    left_out[result] = None
                else:
                    weights[result] = 1.0
    return Universe(weights, tuple(left_out))


def instances(signature: Type, universe: Universe, open_result: bool = False) -> Iterator[Type]:
    """The closed types that `signature` takes when its variables stand for types of the universe.

    Every argument, every part of an argument that is a function, and the result are in the
    universe; with `open_result` the result need not be.  At most `MAX_INSTANCES`.
    """
    signature = Fresh().instantiate(without_domains(signature))
    arguments, result = uncurried(signature)
    places: list[Type] = [] if open_result else [result]
    for argument in arguments:
        taken, made = uncurried(argument)
        places += [*taken, made]
    if any(isinstance(place, Arrow) for place in places):
        return
    for substitution in islice(_filled(places, 0, Substitution(), universe), MAX_INSTANCES):
        yield substitution.resolve(signature)


def instance_weight(signature: Type, universe: Universe) -> float:
    """The product of the weights of the types that an instance is made at."""
    weight = 1.0
    arguments, result = uncurried(signature)
    seen = {result}
    for argument in arguments:
        taken, made = uncurried(argument)
        seen.update((*taken, made))
    for type_ in seen:
        weight *= universe.weights.get(type_, 1.0)
    return weight


def _filled(
    places: list[Type], index: int, substitution: Substitution, universe: Universe
) -> Iterator[Substitution]:
    if index == len(places):
        yield substitution
        return
    place = substitution.resolve(places[index])
    if is_closed(place):
        if place in universe:
            yield from _filled(places, index + 1, substitution, universe)
        return
    for type_ in tuple(universe):
        attempt = substitution.copy()
        try:
            unify(type_, place, attempt)
        except TypeMismatch:
            continue
        yield from _filled(places, index + 1, attempt, universe)


def _companions(type_: Type) -> tuple[Type, ...]:
    """The types that the parts of a dictionary, set or graph come in."""
    if not isinstance(type_, Constructed) or type_.name not in KEYED:
        return ()
    key = type_.arguments[0]
    if type_.name == "set":
        return (key, list_of(key))
    if type_.name == "dict":
        return (key, list_of(key), tuple_of(*type_.arguments), list_of(tuple_of(*type_.arguments)))
    pair = tuple_of(key, key)
    return (key, list_of(key), set_of(key), dict_of(key, INT), pair, list_of(pair))


def _makes_something_new(signature: Type) -> bool:
    """Whether the result may be a tensor or plain value that the task does not speak of."""
    arguments, result = uncurried(signature)
    if not arguments or any(_is_opaque(part) for part in parts(signature)):
        return False
    return isinstance(result, Tensor) or (isinstance(result, Constructed) and not result.arguments)


def _is_foreign(result: Type, instance: Type) -> bool:
    """Whether plain values of a type the task does not speak of are made of plain values alone."""
    return not isinstance(result, Tensor) and not any(
        isinstance(part, Tensor) for part in parts(instance)
    )


def _nesting(type_: Type) -> int:
    if isinstance(type_, Constructed):
        return (type_.name == "list") + max(map(_nesting, type_.arguments), default=0)
    return 0


def _is_opaque(type_: Type) -> bool:
    return isinstance(type_, Constructed) and type_.name in _OPAQUE


def is_bounded(type_: Type) -> bool:
    """Whether a block of this type that takes functions can only call them once an item of a list.

    `map` and `fold` are bounded by a list they are given; `unfold : (a -> bool) -> ... -> a` is
    not.
    """
    arguments = uncurried(type_)[0]
    if not any(isinstance(argument, Arrow) for argument in arguments):
        return True
    return any(isinstance(argument, Constructed) and argument.arguments for argument in arguments)
