"""Verification: every byte of a block read again, and everything it came from found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaloom_registry.digest import Digest
from metaloom_registry.errors import MetaloomError, NotFound

if TYPE_CHECKING:
    from metaloom_registry.catalogue.reading import Reader  # loads sqlmodel


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


def examine(blocks: Iterable[Digest], reader: Reader, listed: Callable[[Digest], bool]) -> Report:
    """Read every file of these blocks and look for their parents.

    What is taken away for good meanwhile is no problem.
    """
    checked, files, size = 0, 0, 0
    problems: list[Problem] = []
    for block in blocks:
        checked += 1
        try:
            found = reader.read_manifest(block)
        except NotFound:
            continue
        except MetaloomError as error:
            problems.append(Problem(block, str(error)))
            continue
        size += len(found.to_bytes())
        for path, file in found.files.items():
            files += 1
            try:
                size += len(reader.read_file(block, path, file.digest))
            except NotFound:
                continue
            except MetaloomError as error:
                problems.append(Problem(block, str(error)))
        for parent in found.parents:
            if not listed(parent.digest):
                message = f"its parent {parent.digest} is not listed; pull it from its origin"
                problems.append(Problem(block, message))
    return Report(checked, files, size, tuple(problems))
