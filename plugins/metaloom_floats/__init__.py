"""A plugin of Metaloom: primitives on floats.

Their values are finite: what overflows, or is no number, has no value.  They have a scalar form
alone, and a search that speaks of floats runs in Python: the compiled engine knows none.  Their
short names are not those of the integers' primitives, so that each means one thing.
"""

from metaloom_floats.arithmetic import ARITHMETIC
from metaloom_floats.rounding import ROUNDING
from metaloom_floats.samples import SAMPLES

__all__ = ["PRIMITIVES"]

PRIMITIVES = (*ARITHMETIC, *ROUNDING, *SAMPLES)
"""Every primitive of the plugin."""
