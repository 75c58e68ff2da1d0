"""A plugin of Metaloom: primitives on text.

A text is a sequence of Unicode code points, as Python's `str` is: what a reader sees as one
character may be several of them (a letter and its accent, an emoji and its skin tone).  Nothing is
normalised.  Places count from 0, and below 0 from the end, as Python's slices do.  No primitive
makes a text of more than `MAX_CHARACTERS` or a list of more than `MAX_ITEMS` items.

The runs of one kind of character (digits, letters, capitals ...) take the place of the regular
expressions and token positions of FlashFill (Gulwani 2011): they are lists, so that the place of a
run is an index into one.
"""

from metaloom_text.changing import CHANGING
from metaloom_text.conversion import CONVERSION
from metaloom_text.finding import FINDING
from metaloom_text.limits import MAX_CHARACTERS, MAX_ITEMS
from metaloom_text.runs import RUNS
from metaloom_text.slices import SLICES
from metaloom_text.splitting import SPLITTING

__all__ = ["MAX_CHARACTERS", "MAX_ITEMS", "PRIMITIVES"]

PRIMITIVES = (*SLICES, *FINDING, *SPLITTING, *RUNS, *CHANGING, *CONVERSION)
"""Every primitive of the plugin."""
