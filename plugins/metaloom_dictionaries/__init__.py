"""A plugin of Metaloom: primitives on dictionaries and sets.

A dictionary keeps its keys in the order they were put in, as Python's does; a set has no order, and
lists its items sorted.  Keys and items are integers, truth values, floats, texts, or tuples of
these.  None of them makes a dictionary or set of more than `MAX_ITEMS` items.
"""

from metaloom_dictionaries.dictionaries import DICTIONARIES
from metaloom_dictionaries.grouping import GROUPING
from metaloom_dictionaries.limits import MAX_ITEMS
from metaloom_dictionaries.sets import SETS

__all__ = ["MAX_ITEMS", "PRIMITIVES"]

PRIMITIVES = (*DICTIONARIES, *GROUPING, *SETS)
"""Every primitive of the plugin."""
