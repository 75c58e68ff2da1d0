"""How near a wrong value is to the one wanted: partial credit, for searches that climb.

1 for the value itself, below 1 for any other, 0 for none.  A score never depends on it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Any

from metaloom_metalearn.search.grammar.application import FAILED

WRONG = 0.9
"""The most that a wrong value is worth."""

ITEMS = 64
"""So many items of a list are looked at."""


def nearness(value: Any, wanted: Any) -> float:
    """Numbers by the logarithm of their distance; lists and texts by places, items and length."""
    if value is FAILED:
        return 0.0
    if isinstance(wanted, bool) or isinstance(value, bool):
        return float(value == wanted)
    if isinstance(wanted, int | float) and isinstance(value, int | float):
        return 1.0 if value == wanted else WRONG / (1 + math.log1p(abs(value - wanted)))
    if isinstance(wanted, tuple | str) and isinstance(value, tuple | str):
        return 1.0 if value == wanted else WRONG * _of_sequences(value, wanted)
    return float(bool(value == wanted))


def _of_sequences(value: Sequence[Any], wanted: Sequence[Any]) -> float:
    """Half for items at their places, a third for items anywhere, the rest for the length."""
    longest, shortest = max(len(value), len(wanted)), min(len(value), len(wanted))
    if longest == 0:
        return 1.0
    pairs = islice(zip(value, wanted, strict=False), ITEMS)
    places = sum(nearness(v, w) if type(v) is not str else float(v == w) for v, w in pairs)
    one, other = Counter(value[:ITEMS]), Counter(wanted[:ITEMS])
    anywhere = sum((one & other).values()) / max(1, sum((one | other).values()))
    return places / min(longest, ITEMS) / 2 + anywhere / 3 + shortest / longest / 6
