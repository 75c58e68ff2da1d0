"""Modules that this process converted, so that converting their like again is a look-up."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from metaloom_registry.canonical import Json
from metaloom_registry.manifest import GRAPH_FILE, WEIGHTS_FILE, File

if TYPE_CHECKING:
    from metaloom_registry.graph.document import Graph

T = TypeVar("T")
ARCHITECTURES_KEPT = 64
FINGERPRINTS_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Conversion:
    """What came of converting a module, but for its numbers: the graph, and what it can do."""

    graph: Graph
    written: bytes
    capabilities: Mapping[str, bool]

    @property
    def items_alone(self) -> bool:
        """Whether what an item gives depends neither on others nor on the mode nor on chance."""
        able = self.capabilities["batch_independent"] and self.capabilities["deterministic"]
        return able and not self.graph.mode_matters


class Conversions:
    """The graphs of architectures that were converted, and the fingerprints that were measured."""

    def __init__(self) -> None:
        self._conversions: dict[Hashable, Conversion] = {}
        self._fingerprints: dict[Hashable, Json] = {}

    def find(self, architecture: Hashable) -> Conversion | None:
        """The conversion of a module of this architecture, if one is remembered."""
        return self._conversions.get(architecture)

    def keep(self, architecture: Hashable, conversion: Conversion) -> None:
        """Remember a conversion; the oldest is forgotten where there are many."""
        _put(self._conversions, architecture, conversion, ARCHITECTURES_KEPT)

    def fingerprint(self, files: Mapping[str, File]) -> Json:
        """The fingerprint that was measured of these very files here, if one was."""
        return self._fingerprints.get(_pair(files))

    def measured(self, files: Mapping[str, File], fingerprint: Json) -> None:
        """Remember the fingerprint of a graph and its weights, so that nobody measures it again."""
        _put(self._fingerprints, _pair(files), fingerprint, FINGERPRINTS_KEPT)


def _put(kept: dict[Hashable, T], key: Hashable, value: T, most: int) -> None:
    kept.pop(key, None)
    if len(kept) >= most:
        kept.pop(next(iter(kept)))
    kept[key] = value


def _pair(files: Mapping[str, File]) -> Hashable:
    return files.get(GRAPH_FILE), files.get(WEIGHTS_FILE)
