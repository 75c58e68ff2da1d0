"""A plugin of Metaloom: primitives on lists, integers and truth values.

They are total where Python's own expression is (the tail of an empty list is empty) and have no
value where it raises.  Integers are int64: an overflow is an EvaluationError.  Those tagged
`dreamcoder` make up the base library of DreamCoder's list domain (Ellis et al. 2021).
"""

from metaloom_lists.forms import with_forms
from metaloom_lists.functions import FUNCTIONS
from metaloom_lists.logic import LOGIC
from metaloom_lists.numbers import NUMBERS
from metaloom_lists.sequences import SEQUENCES

__all__ = ["PRIMITIVES"]

PRIMITIVES = tuple(map(with_forms, (*NUMBERS, *LOGIC, *SEQUENCES, *FUNCTIONS)))
"""Every primitive of the plugin."""
