"""A plugin of Metaloom: encoders and image tasks."""

from typing import TYPE_CHECKING

from metaloom_registry import lazy_names

if TYPE_CHECKING:
    from metaloom_vision.declarations import PRIMITIVES as PRIMITIVES
    from metaloom_vision.encoders import conv4 as conv4
    from metaloom_vision.handwriting import digits as digits
    from metaloom_vision.strokes import Characters as Characters
    from metaloom_vision.strokes import Style as Style
    from metaloom_vision.strokes import draw as draw
    from metaloom_vision.strokes import invent as invent
    from metaloom_vision.strokes import invented_characters as invented_characters
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "declarations": ("PRIMITIVES",),
            "encoders": ("conv4",),
            "handwriting": ("digits",),
            "strokes": (
                "Characters",
                "Style",
                "draw",
                "invent",
                "invented_characters",
            ),
        },
    )
