"""Blocks that are not published yet: checked, and listed all at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlmodel import Session

from metaloom_registry.catalogue.naming import versions
from metaloom_registry.catalogue.naming.versions import Version
from metaloom_registry.catalogue.publish import custody, publishing, sealing
from metaloom_registry.catalogue.publish.outbox import announce, published
from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound, Refused
from metaloom_registry.manifest import Manifest
from metaloom_registry.names import BlockName
from metaloom_registry.seals import Seal


@dataclass(frozen=True)
class Draft:
    """A block that is not published yet: its manifest, the bytes of its files, who signed it.

    exported: a graph that this process exported from a live module; all others are of unknown
      origin, and are tried in a process of their own before they are published.
    """

    manifest: Manifest
    files: Mapping[str, bytes] = field(default_factory=dict)
    seals: tuple[Seal, ...] = ()
    exported: bool = False


def list_drafts(
    session: Session, name: BlockName, drafts: Sequence[Draft], run: Digest | None, now: int
) -> Version:
    """The one transaction of a publish."""
    check_ancestry(session, drafts, run)
    custody.require_bytes(session, [draft.manifest.digest for draft in drafts], hold=True)
    blocks = [publishing.add_block(session, draft.manifest, now) for draft in drafts]
    for block, draft in zip(blocks, drafts, strict=True):
        sealing.add_seals(session, block, draft.seals)
    if run is not None:
        publishing.add_edge(session, blocks[-1], run, "made-by")
    row = publishing.add_name(session, name, now)
    manifest = drafts[-1].manifest
    version, new = publishing.add_version(session, row, blocks[-1], manifest, now)
    session.flush()
    found = versions.listed_as(session, version)
    if new:
        parts = [draft.manifest.digest for draft in drafts[:-1]]
        announce(session, "publish", published(found, manifest, parts, run), now)
    return found


def check_ancestry(session: Session, drafts: Sequence[Draft], run: Digest | None) -> None:
    beside: list[Digest] = []
    for draft in drafts:
        publishing.check_parents(session, [p.digest for p in draft.manifest.parents], beside)
        beside.append(draft.manifest.digest)
    if run is not None and not publishing.nodes(session, [run.hex], "run"):
        raise NotFound(f"the run {run} is not recorded here; record it before its result")


def contents(drafts: Sequence[Draft]) -> dict[Digest, bytes]:
    """The bytes of the files and manifests of some blocks, each once."""
    found = {draft.manifest.digest: draft.manifest.to_bytes() for draft in drafts}
    for draft in drafts:
        found |= {file.digest: draft.files[path] for path, file in draft.manifest.files.items()}
    return found


def check_files(draft: Draft) -> None:
    """Raises Refused where the files are not those of the manifest."""
    promised, given = draft.manifest.files, draft.files
    if missing := sorted(set(promised) - set(given)):
        raise Refused(f"the manifest lists the file {missing[0]!r}, which is not given")
    if extra := sorted(set(given) - set(promised)):
        raise Refused(f"the file {extra[0]!r} is given, but the manifest does not list it")
    for path, data in given.items():
        if not draft.manifest.promises(path, data):
            raise Refused(
                f"the file {path!r} has {len(data)} bytes of digest {Digest.of(data)}, and the "
                f"manifest promises {promised[path].size} of {promised[path].digest}"
            )
