"""How a solution or a trained model of this process came about, known as long as it lives."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from metaloom_registry import Digest
    from metaloom_registry.catalogue import Leak

Made = TypeVar("Made")


@dataclass(frozen=True)
class Origin:
    """What a hub knows of how a solution came about: the run, the task and its classes.

    `leaks` are the blocks in it that were trained on some of the classes.
    """

    run: Digest | None = None
    task: Digest | None = None
    classes: frozenset[Digest] = frozenset()
    leaks: tuple[Leak, ...] = ()


class Origins:
    """The origins of things, which are told apart by identity and kept alive by nobody here."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Origin]] = {}

    def of(self, what: object) -> Origin:
        """The origin of a thing; an empty one of what was not remembered."""
        return self._known.get(id(what), (None, Origin()))[1]

    def remember(self, what: Made, origin: Origin) -> Made:
        """The thing, whose origin is known from now on."""
        key = id(what)
        self._known[key] = (weakref.ref(what, lambda _: self._known.pop(key, None)), origin)
        return what
