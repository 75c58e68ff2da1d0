"""A block in a repository: its manifests first, then the files that they list and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from metaloom.exchange.model_card import MAX_CARD_BYTES, card_in
from metaloom.exchange.repositories import ADDRESS, Remote, Repository, Snapshot
from metaloom_registry import Corrupt, Digest, MetaloomError, NotFound, manifest, seals
from metaloom_registry.manifest import File
from metaloom_registry.portable import ANCESTORS, listed_files

CARD_FILE = "README.md"
_FIRST = {
    manifest.MANIFEST_FILE: manifest.MAX_BYTES,
    manifest.SIGNATURE_FILE: seals.MAX_BYTES,
    f"{ANCESTORS}/*/{manifest.MANIFEST_FILE}": manifest.MAX_BYTES,
    f"{ANCESTORS}/*/{manifest.SIGNATURE_FILE}": seals.MAX_BYTES,
    CARD_FILE: MAX_CARD_BYTES,
}


def pulled_folder(repository: Repository, remote: Remote, wanted: Digest | None = None) -> Path:
    """The portable folder of a block that a repository holds, of which `wanted` is the digest.

    What the cache has is checked, and fetched again where it is damaged.  Raises StorageError,
    NotFound where there is no block, and Corrupt where it is another than was wanted, or other
    bytes than its manifest lists.
    """
    snapshot = Snapshot.of(repository, remote, _FIRST)
    _require_block(snapshot)
    try:
        files = _checked_names(snapshot.folder, wanted)
    except MetaloomError:
        if snapshot.sizes is None:
            raise
        snapshot.fetch(_FIRST, again=True)
        files = _checked_names(snapshot.folder, wanted)
    _require_sizes(snapshot, files)
    if files:
        snapshot.fetch(files)
    damaged = [path for path, file in files.items() if not _is_whole(snapshot.folder / path, file)]
    if damaged and snapshot.sizes is not None:
        snapshot.fetch(damaged, again=True)
    return snapshot.folder


def require_named(found: Digest, folder: Path, wanted: Digest | None) -> None:
    """Raise Corrupt where it is another block than was wanted, or than README.md says."""
    if wanted is not None and found != wanted:
        raise Corrupt(
            f"the block {wanted} was asked for, and {found} was served; ask for the "
            "revision at which it was pushed, or pull it from elsewhere"
        )
    card = folder / CARD_FILE
    if not card.is_file():
        return
    said = card_in(card).metaloom.get("digest")
    if said is not None and said != str(found):
        raise Corrupt(
            f"the card says that the block is {said[:80]}, and it is {found}; "
            "the repository was changed by hand: push the block again"
        )


def _require_block(snapshot: Snapshot) -> None:
    at = snapshot.repository
    if not (snapshot.folder / manifest.MANIFEST_FILE).is_file():
        raise NotFound(
            f"{at} has no {manifest.MANIFEST_FILE}, so it holds no block; weights of a class that "
            f"you have installed come by `metaloom import NAME {ADDRESS}{at} --class MODULE:CLASS "
            "--signature TYPE`"
        )


def _checked_names(folder: Path, wanted: Digest | None) -> Mapping[str, File]:
    """The files that the block consists of, if it is the one that was wanted."""
    found, files = listed_files(folder)
    require_named(found, folder, wanted)
    return files


def _require_sizes(snapshot: Snapshot, files: Mapping[str, File]) -> None:
    """Raise Corrupt before anything is fetched that cannot be what the manifest lists."""
    if snapshot.sizes is None:
        return
    for path, file in files.items():
        size = snapshot.sizes.get(path, 0)
        if size not in (None, file.size):
            raise Corrupt(
                f"{snapshot.repository} has {size} bytes of {path}, and its manifest lists "
                f"{file.size}; the repository was changed by hand: push the block again"
            )


def _is_whole(path: Path, file: File) -> bool:
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest() == file.digest.hex
