"""The state of a loop, which it goes on from: what the words of it are.

Where it is, how many terms are stored, the first free place of what is kept, how many cells are
left; counts; how many terms were emitted; how many nodes there are; and from `CHOSEN` on the
arguments of the combination that it is at.
"""

from __future__ import annotations

POSITION, COUNT, TOP, LEFT, GENERATED, FAILED, OVERSIZED, DISTINCT, EMITTED, NODES, CHOSEN = range(
    11
)
