"""A plugin of Metaloom: recursion that no list bounds, each loop within `MAX_ROUNDS` rounds.

With these the language computes whatever can be computed, and programs may not end; so a search
tries them only for tasks that allow `recursion`.
"""

from metaloom_recursion.loops import LOOPS, MAX_ROUNDS

__all__ = ["MAX_ROUNDS", "PRIMITIVES"]

PRIMITIVES = LOOPS
"""Every primitive of the plugin."""
