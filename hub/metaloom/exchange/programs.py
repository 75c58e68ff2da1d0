"""A block taken out of its library with all it came from, and a program run without any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from metaloom.solving.storing import FACT, told
from metaloom_metalearn import Solution
from metaloom_registry import (
    Digest,
    Entry,
    MemoryLibrary,
    NotFound,
    Portable,
    Reference,
    Refused,
    Term,
    discover,
    load_primitives,
    primitive_entry,
    read_portable,
    references,
)
from metaloom_registry.catalogue.publish.kinds import module_of, term_of, validate_block

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom_registry.catalogue import Registry


def portable_of(block: Block) -> Portable:
    """A block of a library with its files and all its ancestors. Raises Refused for a primitive."""
    if block.primitive is not None:
        raise Refused(
            f"{block.reference} is a primitive: its code is a plugin's, which is installed and not "
            "exported; a program that uses it may be"
        )
    registry = block.hub.registry
    ancestors = tuple(_one(registry, digest) for digest in _ancestors(registry, block.digest))
    main = _one(registry, block.digest)
    return replace(main, ancestors=ancestors)


def _one(registry: Registry, digest: Digest) -> Portable:
    return Portable(registry.manifest(digest), registry.files(digest), (), registry.seals(digest))


def _ancestors(registry: Registry, block: Digest) -> Iterator[Digest]:
    """The blocks a block came from, each after its own parents."""
    known: set[Digest] = set()
    waiting = [(block, False)]
    while waiting:
        digest, expanded = waiting.pop()
        if expanded and digest != block:
            yield digest
        elif not expanded and digest not in known:
            known.add(digest)
            waiting.append((digest, True))
            waiting += [(parent.digest, False) for parent in registry.manifest(digest).parents]


def load_program(path: Path | str) -> Solution:
    """The program in a portable folder or archive, ready to predict, without any library.

    The plugins that ship its primitives have to be installed.  Raises as `read_portable`, NotFound
    where a block or primitive is missing, Refused where it is no program.
    """
    portable = read_portable(path)
    manifest = portable.manifest
    if manifest.kind != "program":
        raise Refused(f"{path} holds a {manifest.kind}; metaloom_registry.load_block loads it")
    validate_block(manifest, portable.files)
    term = term_of(manifest, portable.files)
    library, entries = _library(portable, term)
    plain = Solution(
        name=Path(path).stem,
        type=manifest.signature,
        term=term,
        term_type=manifest.signature,
        library=library,
        entries=entries,
    )
    facts = manifest.facts.get(FACT)
    return plain if facts is None else told(plain, facts, dict(portable.files))[0]


def _library(portable: Portable, term: Term) -> tuple[MemoryLibrary, tuple[Entry, ...]]:
    """All that a program uses, itself or through the programs it uses; loaded, and as entries."""
    primitives, _ = load_primitives(discover("metaloom.primitives"))
    beside = {one.digest: one for one in portable.ancestors}
    library = MemoryLibrary()
    entries: dict[Reference, Entry] = {}
    waiting = [term]
    while waiting:
        for reference in references(waiting.pop()):
            if reference in entries:
                continue
            if not isinstance(reference.selector, Digest):
                primitive = primitives[reference]
                entries[reference] = primitive_entry(primitive)
                library.add(entries[reference], primitive)
                continue
            found = beside.get(reference.selector)
            if found is None:
                raise NotFound(
                    f"the program uses the block {reference}, which is not in the folder; "
                    "export the program again, with its ancestors"
                )
            validate_block(found.manifest, found.files)
            entry = Entry(
                reference=reference,
                digest=found.digest,
                kind=found.manifest.kind,
                type=found.manifest.signature,
                name=str(reference),
            )
            entries[reference] = entry
            if found.manifest.kind == "program":
                body = term_of(found.manifest, found.files)
                library.add(entry, body)
                waiting.append(body)
            else:
                library.add(entry, module_of(found.files, found.manifest.facts))
    return library, tuple(entries.values())
