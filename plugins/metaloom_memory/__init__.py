"""A plugin of Metaloom: memory that persists between calls, as an effect in the type of a program.

A program with a memory takes it first, and gives it back beside its output:

    store[s] -> a -> (b, store[s])

`metaloom run` takes the memory from disk and puts it back there.  Nothing makes a memory out of
plain values, so a program whose type does not speak of one has none.
"""

from metaloom_memory.remembering import REMEMBERING

__all__ = ["PRIMITIVES"]

PRIMITIVES = REMEMBERING
"""Every primitive of the plugin."""
