"""Verification: every byte of a block read again, and everything it came from found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from metaloom_registry.digest import Digest
from metaloom_registry.errors import MetaloomError
from metaloom_registry.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a block; the message says how to put it right."""

    block: Digest
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification saw: blocks, their files, the bytes of both, and what is wrong."""

    blocks: int
    files: int
    size: int
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        return not self.problems


def examine(
    blocks: Iterable[Digest],
    manifest: Callable[[Digest], Manifest],
    read: Callable[[Digest, str], bytes],
    listed: Callable[[Digest], bool],
) -> Report:
    """Read every file of these blocks and look for their parents."""
    checked, files, size = 0, 0, 0
    problems: list[Problem] = []
    for block in blocks:
        checked += 1
        try:
            found = manifest(block)
        except MetaloomError as error:
            problems.append(Problem(block, str(error)))
            continue
        size += len(found.to_bytes())
        for path in found.files:
            files += 1
            try:
                size += len(read(block, path))
            except MetaloomError as error:
                problems.append(Problem(block, str(error)))
        for parent in found.parents:
            if not listed(parent.digest):
                message = f"its parent {parent.digest} is not listed; pull it from its origin"
                problems.append(Problem(block, message))
    return Report(checked, files, size, tuple(problems))
