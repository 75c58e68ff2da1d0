"""What a wrong output costs where the value that a program gives helps to write it out.

A list with one wrong item is nearly told by the list that the program gives.  Two codes beside
that of `coding`, which writes the whole output; the shortest counts:

    by its items   where the lengths agree: how many items are wrong, which, and what they are
    by a run       where the wrong run of the value begins, how long it is, and what stands there

A correction bears a mark of `CORRECTION` nats where an exception bears `EXCEPTION`.  The marks are
those of one code: e^-EXCEPTION + 2 e^-CORRECTION < 1, and what is left says that a value is right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from metaloom_metalearn.search.coding import description_length
from metaloom_registry import Constructed, Type
from metaloom_registry.types import INT, TEXT

CORRECTION = 5.0


def correction_cost(value: Any, wanted: Any, type_: Type, examples: int) -> float:
    """The nats of one wrong output among so many examples; infinite where no value helps."""
    return CORRECTION + math.log(examples) + _edits(value, wanted, type_)


def _edits(value: Any, wanted: Any, type_: Type) -> float:
    """The nats of a sequence as another with some of its items replaced."""
    if not isinstance(type_, Constructed) or type(value) is not type(wanted):
        return math.inf
    if type_ == TEXT:
        types: Sequence[Type] = [TEXT] * max(len(wanted), 1)
    elif type_.name == "list":
        types = type_.arguments * max(len(wanted), 1)
    elif type_.name == "tuple":
        types = type_.arguments
    else:
        return math.inf
    return min(_by_items(value, wanted, types), _by_run(value, wanted, type_))


def _by_items(value: Sequence[Any], wanted: Sequence[Any], types: Sequence[Type]) -> float:
    if len(value) != len(wanted):
        return math.inf
    wrong = [place for place, item in enumerate(wanted) if value[place] != item]
    nats = description_length(len(wrong), INT) + len(wrong) * math.log(max(1, len(wanted)))
    for place in wrong:
        whole = _item(wanted[place], types[place])
        if types[place] != TEXT:
            whole = min(whole, CORRECTION + _edits(value[place], wanted[place], types[place]))
        nats += whole
    return nats


def _by_run(value: Sequence[Any], wanted: Sequence[Any], type_: Constructed) -> float:
    if type_.name == "tuple":
        return math.inf
    least = min(len(value), len(wanted))
    start = next((i for i in range(least) if value[i] != wanted[i]), least)
    end = next((i for i in range(least - start) if value[-1 - i] != wanted[-1 - i]), least - start)
    new = wanted[start : len(wanted) - end]
    where = math.log(len(value) + 1) + math.log(len(value) - start + 1)
    return where + description_length(new, type_)


def _item(item: Any, type_: Type) -> float:
    """The nats of an item; that of a text is one character, whose length needs no saying."""
    nats = description_length(item, type_)
    return nats - description_length(1, INT) if type_ == TEXT and len(item) == 1 else nats
