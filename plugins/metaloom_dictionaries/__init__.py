"""A plugin of Metaloom: primitives on dictionaries and sets.

A dictionary keeps its keys in the order they were put in, as Python's does; a set has no order, and
lists its items sorted.  Keys and items are integers, truth values, floats, texts, or tuples of
these.  None of them makes a dictionary or set of more than `MAX_ITEMS` items.

They have a scalar form alone.  A batch holds tensors and lists of them; a dictionary has keys,
which are found by being equal, so that it has neither a batched nor a soft form: a key that is a
distribution would be under every key at once.  The compiled engine knows integers, truth values,
lists and pairs of these; a search that speaks of dictionaries or sets runs in Python.
"""

from metaloom_dictionaries.dictionaries import DICTIONARIES
from metaloom_dictionaries.grouping import GROUPING
from metaloom_dictionaries.limits import MAX_ITEMS
from metaloom_dictionaries.sets import SETS

__all__ = ["MAX_ITEMS", "PRIMITIVES"]

PRIMITIVES = (*DICTIONARIES, *GROUPING, *SETS)
"""Every primitive of the plugin."""
