"""A block as people hold it: what it is called, what it is, and `>>` to build on it."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from metaloom import exchange
from metaloom_registry import (
    Digest,
    Json,
    Loaded,
    Primitive,
    Reference,
    Term,
    Type,
    Use,
)

if TYPE_CHECKING:
    from metaloom.hub import Hub
    from metaloom_registry import Manifest
    from metaloom_registry.catalogue import Version


@dataclass(frozen=True, repr=False)
class Block:
    """A published block of a hub, or a primitive of a plugin; two are equal if their digests are.

    `reference` is what people call it, `version` its place in the registry (None for a primitive),
    `why` the reasons for which a search found it.
    """

    digest: Digest
    reference: Reference = field(compare=False)
    kind: str = field(compare=False)
    signature: Type = field(compare=False)
    hub: Hub = field(compare=False)
    version: Version | None = field(default=None, compare=False)
    primitive: Primitive | None = field(default=None, compare=False)
    why: tuple[str, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """The last part of its name: `conv4` of `vision/conv4@3`; some digits where it has none."""
        return self.digest.short if self.reference.name is None else self.reference.name.name

    @property
    def exactly(self) -> Reference:
        """How terms name it: a primitive's reference, any other block's `@sha256:...`."""
        return Reference(None, self.digest) if self.primitive is None else self.reference

    @property
    def term(self) -> Term:
        """The block as a program: a reference to it."""
        return Use(self.exactly)

    @cached_property
    def manifest(self) -> Manifest | None:
        """All that is stored about it; None for a primitive, which its plugin declares."""
        return None if self.primitive else self.hub.registry.manifest(self.digest)

    @property
    def card(self) -> str:
        """What its author wrote about it; Markdown."""
        if self.primitive is not None:
            return self.primitive.doc
        return "" if self.manifest is None else self.manifest.card

    @property
    def facts(self) -> Mapping[str, Json]:
        """What was measured of it."""
        return {} if self.manifest is None else self.manifest.facts

    @property
    def license(self) -> str | None:
        return None if self.manifest is None else self.manifest.licence

    @property
    def tags(self) -> tuple[str, ...]:
        if self.primitive is not None:
            return self.primitive.tags
        return () if self.manifest is None else self.manifest.tags

    @property
    def seen(self) -> frozenset[Digest]:
        """The classes it was trained on."""
        return frozenset() if self.manifest is None else self.manifest.seen

    @cached_property
    def body(self) -> Term | None:
        """The term of a program; None for the other kinds."""
        loaded = self.hub.library.load(self.digest) if self.kind == "program" else None
        return loaded if isinstance(loaded, Term) else None

    @property
    def source(self) -> str:
        """A program or primitive as Python; empty for a trained graph."""
        if self.primitive is not None:
            return self.primitive.source
        return "" if self.body is None else self.hub.source(self.body, str(self.reference))

    def load(self) -> Loaded:
        """An `nn.Module` of your own, a Term or a Primitive. Raises Corrupt or Refused."""
        loaded = self.hub.library.load(self.digest)
        return copy.deepcopy(loaded) if self.kind == "graph" else loaded

    def export(self, to: str | os.PathLike[str], form: str | None = None) -> Path:
        """Write it in a form that others read, which the suffix tells: see `metaloom.exchange`.

        Without a suffix it is a folder that any Metaloom imports, and `load_block` loads.
        """
        return exchange.export_block(self, to, form)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> Path:
        """Write it as a repository of the Hugging Face Hub has it, with a model card."""
        return exchange.save_pretrained(self, folder)

    def push_to_hub(
        self, repository: str, *, private: bool | None = None, message: str | None = None
    ) -> str:
        """Send it to a repository such as `org/name`; the address of the commit."""
        return exchange.push_to_hub(self, repository, private=private, message=message)

    def __rshift__(self, right: Block | Composition | Term | str) -> Composition:
        """Give what comes out to another. Raises TypeMismatch where it does not fit."""
        return self.hub.compose(self, right)

    def __rrshift__(self, left: Term | str) -> Composition:
        return self.hub.compose(left, self)

    def __str__(self) -> str:
        return f"{self.reference} : {self.signature}"

    def __repr__(self) -> str:
        return f"Block({self})"


@dataclass(frozen=True, repr=False)
class Composition:
    """Blocks put together and type-checked, not published: what `>>` gives."""

    term: Term
    signature: Type
    hub: Hub = field(compare=False)

    @property
    def source(self) -> str:
        """The program as Python."""
        return self.hub.source(self.term)

    def __rshift__(self, right: Block | Composition | Term | str) -> Composition:
        """Give what comes out to another. Raises TypeMismatch where it does not fit."""
        return self.hub.compose(self, right)

    def __rrshift__(self, left: Term | str) -> Composition:
        return self.hub.compose(left, self)

    def __str__(self) -> str:
        return f"{self.hub.show(self.term)} : {self.signature}"

    def __repr__(self) -> str:
        return f"Composition({self})"


def is_term_text(text: str) -> bool:
    """Whether a text is written as a program rather than as a reference."""
    return text.lstrip().startswith("(")
