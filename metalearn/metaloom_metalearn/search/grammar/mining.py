"""The pieces of text that examples have in common: separators, and words that come again.

A program on text needs what stands between its parts (", ", "-", "@") far more than any other
literal.  So the pieces that are mined are single symbols and spaces, runs of them, and words and
numbers that occur in two examples or more.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

LONGEST = 64
"""Characters of the longest piece."""

READ = 2000
"""Characters of an example that are looked at."""

_PIECES = re.compile(r"[^\W_]+|(?:[\W_])+")


def pieces_of(text: str) -> set[str]:
    """The words, symbols and runs of symbols of a text."""
    found: set[str] = set()
    for piece in _PIECES.findall(text[:READ]):
        if len(piece) <= LONGEST:
            found.add(piece)
        if not piece[0].isalnum():
            found.update(piece)
    return found


def common_pieces(examples: Sequence[tuple[Iterable[str], Iterable[str]]]) -> list[str]:
    """Pieces by how many distinct examples they occur in, the most frequent first.

    `examples` have the texts of the inputs and those of the output; a piece of an output counts
    twice, because the program has to write it.  Ties go to the shorter.
    """
    distinct = {(tuple(inputs), tuple(outputs)) for inputs, outputs in examples}
    counted: Counter[str] = Counter()
    examples_with: Counter[str] = Counter()
    for inputs, outputs in distinct:
        read = set[str]().union(*map(pieces_of, inputs))
        written = set[str]().union(*map(pieces_of, outputs))
        examples_with.update(read | written)
        counted.update([*read, *written, *written])
    often = [piece for piece in counted if examples_with[piece] > 1 or not piece[0].isalnum()]
    return sorted(often, key=lambda piece: (-counted[piece], len(piece), piece))
