"""Importers: ways in from other formats, each from something trained to a module to be published.

A distribution declares an importer in its own pyproject.toml:

    [project.entry-points."metaloom.importers"]
    learn2learn = "metaloom_learn2learn:IMPORTER"

Importing happens on the publisher's side, with the publisher's own classes and files.  What comes
out is exported and checked like any module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from metaloom_registry.canonical import Json

if TYPE_CHECKING:
    from torch import nn

Architecture: TypeAlias = "Callable[..., nn.Module]"
"""A class of modules, or a function that builds one from settings."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What the person who imports hands over beside the source itself.

    architecture: the class the stored state belongs to; it is named by the person, never by data.
    trust: whether formats that can run code while they are read may be read.
    """

    architecture: Architecture | None = None
    trust: bool = False


@dataclass(frozen=True)
class Imported:
    """A trained module, and what its origin tells of it.

    `signature` is a type as text, where the origin knows it; `license` an SPDX expression; `card`
    Markdown; `files` go into the block beside the graph, by their paths.
    """

    module: nn.Module
    signature: str | None = None
    license: str | None = None
    card: str = ""
    tags: tuple[str, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


class Importer(Protocol):
    """Reads one foreign format: a path (`pathlib.Path`), an address (`str`) or a live object."""

    def accepts(self, source: object) -> bool:
        """Whether the source is of this format, by a look that is cheap and runs nothing of it."""
        ...

    def read(self, source: object, consent: Consent) -> Imported:
        """The module in the source, which is left as it is.

        Raises NotFound, ParseError, TypeMismatch, MissingExtra, or Refused where the consent that
        it takes was not given.
        """
        ...
