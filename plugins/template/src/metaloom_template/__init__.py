"""A plugin of Metaloom to start from: one primitive, and what declares it."""

from metaloom_registry import Primitive
from metaloom_template.clamp import clamp

__all__ = ["PRIMITIVES", "clamp"]

PRIMITIVES = (
    Primitive(
        name="template/clamp",
        version=1,
        type="int -> int -> int -> int",
        doc="The number nearest to n that is no less than low and no more than high.",
        parameters=("low", "high", "n"),
        scalar=clamp,
        source="max(low, min(high, n))",
        examples=(
            ("(clamp 0 9 12)", 9),
            ("(clamp 0 9 -3)", 0),
            ("(clamp 0 9 5)", 5),
        ),
    ),
)
"""What the entry point in pyproject.toml names."""
