"""Namespaces moved between registries: written into one archive, and read out of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import Session, col, select

from metaloom_registry.canonical import Json
from metaloom_registry.catalogue.naming import versions
from metaloom_registry.catalogue.naming.aliases import (
    AliasMove,
    add_moves,
    microseconds,
    move_alias,
    moves_of,
)
from metaloom_registry.catalogue.naming.versions import described
from metaloom_registry.catalogue.publish import custody, publishing, sealing
from metaloom_registry.catalogue.publish.admission import keep
from metaloom_registry.catalogue.publish.custody import By
from metaloom_registry.catalogue.publish.drafts import Draft, check_ancestry
from metaloom_registry.catalogue.publish.outbox import announce, published
from metaloom_registry.catalogue.publish.putting import put_and_write
from metaloom_registry.catalogue.registry import Registry
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.upkeep.archives import (
    Contents,
    reading_archive,
    required,
    rows,
    write_archive,
)
from metaloom_registry.digest import Digest
from metaloom_registry.errors import AlreadyExists, NotFound, Refused, StorageError
from metaloom_registry.keys import PublicKey
from metaloom_registry.manifest import Manifest
from metaloom_registry.names import BlockName, Reference
from metaloom_registry.workers import Verdict

MAX_NUMBER = 999_999_999
LAST_MOMENT = 253_402_300_799_999_999
"""The end of the year 9999 in microseconds since 1970."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What an archive holds: names, their versions, and blocks, those they came from included."""

    namespace: str
    names: int
    versions: int
    blocks: int


def export_namespace(registry: Registry, namespace: str, path: Path | str) -> Moved:
    """Write every version in a namespace, with all it came from, into a new archive.

    Versions that were taken away for good are left out; their numbers are not given again.  Raises
    NotFound where the namespace has no version, or one came from what was taken away for good, and
    AlreadyExists where something is at the path.
    """
    target = Path(path)
    if target.exists():
        raise AlreadyExists(f"{target} is there already; choose another path or remove it first")
    with registry.database.reading() as session:
        index, wanted = _index(session, namespace)
    try:
        manifests = _with_ancestors(registry, wanted)
    except NotFound as error:
        raise NotFound(
            f"the namespace {namespace} cannot be exported whole: {error}; "
            "take away for good what came of it, too"
        ) from None
    seals = {d: found for d in manifests if (found := registry.seals(d))}
    contents = Contents(index, tuple(manifests.values()), seals)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, written = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(handle)
        try:
            write_archive(Path(written), index, contents, registry.blobs.get)
            os.chmod(written, 0o644)
            os.replace(written, target)
        except BaseException:
            os.unlink(written)
            raise
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}; choose another path"
        ) from error
    return Moved(namespace, len(rows(index, "names")), len(rows(index, "versions")), len(manifests))


def _index(session: Session, namespace: str) -> tuple[dict[str, Json], list[Digest]]:
    space = publishing.find_namespace(session, namespace)
    found = session.exec(
        select(tables.Name, tables.Version, tables.Node.key)
        .join(tables.Version, col(tables.Version.name_id) == tables.Name.id)
        .join(tables.Node, col(tables.Node.id) == tables.Version.block_id)
        .join(tables.Block, col(tables.Block.id) == tables.Version.block_id)
        .where(tables.Name.namespace_id == (space.id if space else 0))
        .where(col(tables.Block.tombstone).is_(None))
        .order_by(col(tables.Name.key), col(tables.Version.number))
    ).all()
    if not found:
        raise NotFound(f"the namespace {namespace} has no version that could be exported")
    aliases = session.exec(
        select(tables.Alias.alias, tables.Name.spelling, tables.Version.number)
        .join(tables.Name, col(tables.Name.id) == tables.Alias.name_id)
        .join(tables.Version, col(tables.Version.id) == tables.Alias.version_id)
        .where(col(tables.Alias.version_id).in_([version.id for _, version, _ in found]))
        .order_by(col(tables.Name.key), col(tables.Alias.alias))
    )
    newest = {name.spelling: name.newest for name, _, _ in found}
    names = {name.id: name for name, _, _ in found}.values()
    moves = moves_of(session, list(names), {version.id or 0 for _, version, _ in found})
    index: dict[str, Json] = {
        "namespace": namespace,
        "owners": [str(key) for key in custody.owners(session, namespace)],
        "names": [{"name": name, "newest": number} for name, number in newest.items()],
        "versions": [
            {
                "name": name.spelling,
                "number": version.number,
                "block": f"sha256:{key}",
                "yanked": None if version.yanked is None else version.yank_reason or "",
                "deprecation": version.deprecation,
                "successor": version.successor,
            }
            for name, version, key in found
        ],
        "aliases": [{"alias": a, "name": n, "number": number} for a, n, number in aliases],
        "alias_moves": [
            {
                "alias": move.alias,
                "name": name,
                "number": move.number,
                "when": microseconds(move.when),
            }
            for name in sorted(moves)
            for move in moves[name]
        ],
    }
    return index, [Digest(key) for _, _, key in found]


def _with_ancestors(registry: Registry, wanted: Iterable[Digest]) -> dict[Digest, Manifest]:
    """The manifests of blocks and of all they came from, parents before children."""
    found: dict[Digest, Manifest] = {}
    waiting = [(digest, False) for digest in wanted]
    while waiting:
        digest, expanded = waiting.pop()
        if digest in found:
            continue
        manifest = registry.manifest(digest)
        if expanded:
            found[digest] = manifest
        else:
            waiting.append((digest, True))
            waiting += [(parent.digest, False) for parent in manifest.parents]
    with registry.database.reading() as session:
        custody.require_bytes(session, found)  # a manifest may be remembered
    return found


def import_namespace(
    registry: Registry, path: Path | str, *, namespace: str | None = None, by: By = None
) -> Moved:
    """Publish what an archive holds, under the same names and numbers: all of it or nothing.

    Blocks are validated as of unknown origin.  What is there already stays; the archive's aliases
    are set.  `namespace` is the one that is wanted.  Raises AlreadyExists where a number stands for
    another block here, NotOwner where somebody else owns the namespace, and as `reading_archive`
    and validation do.
    """
    source = Path(path)
    with reading_archive(source) as (contents, _):
        arriving = _Arriving.of(contents)
    if namespace not in (None, arriving.namespace):
        raise Refused(f"{source} holds the namespace {arriving.namespace}, not {namespace}")
    for manifest in contents.manifests:
        sealing.check_seals(manifest, contents.seals.get(manifest.digest, ()))
    drafts = [Draft(manifest) for manifest in contents.manifests]
    verdicts: dict[Digest, Verdict | None] = {}

    def require_allowed(session: Session) -> None:
        custody.require_owner(session, arriving.namespace, [by])
        check_ancestry(session, drafts, None)
        arriving.require_free(session)

    def put() -> Iterable[Digest]:
        with reading_archive(source) as (_, blobs):
            for data in blobs:
                registry.blobs.put(data)
        for manifest in contents.manifests:
            registry.blobs.put(manifest.to_bytes())
            if manifest.digest not in verdicts:
                files = {p: registry.blobs.get(f.digest) for p, f in manifest.files.items()}
                verdicts[manifest.digest] = registry.check(Draft(manifest, files))
        return (*contents.blobs, *verdicts)

    def change(session: Session) -> Moved:
        require_allowed(session)
        now = int(registry.now() * 1_000_000)
        for digest, verdict in verdicts.items():
            if verdict is not None:
                keep(session, digest, verdict, now)
        return arriving.publish(session, contents, registry.manifest, now)

    with registry.database.reading() as session:
        require_allowed(session)
    return put_and_write(registry.database, registry.blobs, put, change)


@dataclass(frozen=True)
class _Arriving:
    """The index of an archive, read and checked."""

    namespace: str
    owners: tuple[PublicKey, ...]
    newest: Mapping[BlockName, int]
    versions: Mapping[BlockName, Mapping[int, Mapping[str, Any]]]
    aliases: Sequence[tuple[BlockName, str, int]]
    moves: Mapping[BlockName, Sequence[AliasMove]]

    @classmethod
    def of(cls, contents: Contents) -> _Arriving:
        index = contents.index
        namespace: str = required(index, "namespace", str)
        publishing.check_namespace(namespace)
        blocks = {str(manifest.digest) for manifest in contents.manifests}
        newest = {_name(row, namespace): _number(row, "newest") for row in rows(index, "names")}
        versions: dict[BlockName, dict[int, Mapping[str, Any]]] = {}
        for row in rows(index, "versions"):
            name, number = _name(row, namespace), _number(row, "number")
            own = versions.setdefault(name, {})
            if row.get("block") not in blocks or number in own:
                raise Refused(f"the archive lists {name}@{number} twice, or without its block")
            if any(row["block"] == other["block"] for other in own.values()):
                raise Refused(f"the archive lists the block of {name}@{number} under two numbers")
            if number > newest.get(name, 0):
                raise Refused(f"the archive lists {name}@{number}, which is none of its numbers")
            for field in ("yanked", "deprecation", "successor"):
                said = row.get(field)
                if (
                    not isinstance(said, str | None)
                    or len(said or "") > 2000
                    or "\0" in (said or "")
                ):
                    raise Refused(f"the archive says no text of {name}@{number} as {field!r}")
            if row.get("successor") is not None:
                Reference.parse(row["successor"])
            own[number] = row
        aliases = []
        for row in rows(index, "aliases"):
            name, number = _name(row, namespace), _number(row, "number")
            if number not in versions.get(name, {}):
                raise Refused(f"the archive gives an alias to {name}@{number}, which is not in it")
            aliases.append((name, _alias(row, name), number))
        moves: dict[BlockName, list[AliasMove]] = {}
        for row in rows(index, "alias_moves") if "alias_moves" in index else ():
            name = _name(row, namespace)
            to = None if row.get("number") is None else _number(row, "number")
            if to is not None and to not in versions.get(name, {}):
                raise Refused(f"the archive moves an alias to {name}@{to}, which is not in it")
            moves.setdefault(name, []).append(AliasMove(_alias(row, name), to, _when(row)))
        owners = tuple(PublicKey.parse(str(key)) for key in required(index, "owners", list))
        return cls(namespace, owners, newest, versions, aliases, moves)

    def require_free(self, session: Session) -> None:
        """Raise AlreadyExists where a number stands for another block here."""
        for name, arriving in self.versions.items():
            publishing.check_spelling(session, name)
            numbers = {row["block"]: number for number, row in arriving.items()}
            there = session.exec(
                select(tables.Version.number, tables.Node.key)
                .join(tables.Name, col(tables.Name.id) == tables.Version.name_id)
                .join(tables.Node, col(tables.Node.id) == tables.Version.block_id)
                .where(tables.Name.key == name.key)
            )
            for taken, key in there:
                block = f"sha256:{key}"
                other = arriving[taken]["block"] if taken in arriving else block
                number = taken if other != block else numbers.get(block, taken)
                if other != block or number != taken:
                    raise AlreadyExists(
                        f"{name}@{taken} is the block {block} here, and {name}@{number} is "
                        f"{other} in the archive; numbers are never given again, so import the "
                        "archive into a library that has not this name"
                    )

    def publish(
        self,
        session: Session,
        contents: Contents,
        manifest: Callable[[Digest], Manifest],
        now: int,
    ) -> Moved:
        """The rows of it all; `manifest` gives that of a block that was here before."""
        arrived = {one.digest: one for one in contents.manifests}
        custody.require_bytes(session, arrived, hold=True)
        blocks = {d: publishing.add_block(session, one, now) for d, one in arrived.items()}
        for digest, seals in contents.seals.items():
            sealing.add_seals(session, blocks[digest], seals)
        for name, newest in self.newest.items():
            row = _row_of(session, name, now)
            row.newest = max(row.newest, newest)
            session.add(row)
            for number, listed in sorted(self.versions.get(name, {}).items()):
                one = arrived[Digest.parse(listed["block"])]
                _add_version(session, row, number, listed, one, blocks[one.digest], now)
            publishing.offer_newest(session, row, lambda d: arrived.get(d) or manifest(d))
        for name, moves in self.moves.items():
            row = _row_of(session, name, now)
            there = {version.number: version for version in versions.rows_of(session, row)}
            add_moves(session, row, moves, there)
        for name, alias, number in self.aliases:
            row = _row_of(session, name, now)
            move_alias(session, row, alias, versions.numbered(session, row, number), now)
        space = publishing.add_namespace(session, self.namespace, now)
        for key in self.owners:
            custody.add_owner(session, space.id, key, now)
        count = sum(map(len, self.versions.values()))
        return Moved(self.namespace, len(self.newest), count, len(blocks))


def _row_of(session: Session, name: BlockName, now: int) -> tables.Name:
    """The row of a name, which is added where it is new. Raises InvalidName for a twin."""
    return session.get_one(tables.Name, publishing.add_name(session, name, now).id)


def _add_version(
    session: Session,
    name: tables.Name,
    number: int,
    listed: Mapping[str, Any],
    manifest: Manifest,
    block: int,
    now: int,
) -> None:
    """A version with the number it had, unless it is here already."""
    if versions.numbered(session, name, number) is not None:
        return
    assert name.id is not None
    version = tables.Version(
        name_id=name.id,
        number=number,
        block_id=block,
        created=now,
        yanked=None if listed.get("yanked") is None else now,
        yank_reason=listed.get("yanked"),
        deprecation=listed.get("deprecation"),
        successor=listed.get("successor"),
    )
    session.add(version)
    session.flush()
    found = described(session, [(name, version, block)])[0]
    announce(session, "publish", published(found, manifest, (), None), now)


def _name(row: Mapping[str, Any], namespace: str) -> BlockName:
    name = BlockName.parse(str(row.get("name")))
    if name.namespace != namespace:
        raise Refused(f"the archive of the namespace {namespace} lists {name}")
    return name


def _number(row: Mapping[str, Any], field: str) -> int:
    found = row.get(field)
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= MAX_NUMBER:
        raise Refused(f"the archive gives {str(found)[:40]!r} as a number of a version")
    return found


def _alias(row: Mapping[str, Any], name: BlockName) -> str:
    alias = row.get("alias")
    if not isinstance(alias, str):
        raise Refused(f"the archive gives {str(alias)[:40]!r} as an alias of {name}")
    Reference(name, alias)  # raises InvalidName
    return alias


def _when(row: Mapping[str, Any]) -> datetime:
    found = row.get("when")
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found <= LAST_MOMENT:
        raise Refused(f"the archive gives {str(found)[:40]!r} as the time of a move of an alias")
    return versions.moment(found)
