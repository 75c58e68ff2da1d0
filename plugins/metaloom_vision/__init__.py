"""A plugin of Metaloom: encoders and image tasks."""

from typing import TYPE_CHECKING

from metaloom_registry import lazy_names

if TYPE_CHECKING:
    from metaloom_vision.augmentation import affine as affine
    from metaloom_vision.declarations import PRIMITIVES as PRIMITIVES
    from metaloom_vision.encoders import classifier as classifier
    from metaloom_vision.encoders import conv4 as conv4
    from metaloom_vision.handwriting import digits as digits
    from metaloom_vision.recipes import ENCODER_PLAN as ENCODER_PLAN
    from metaloom_vision.recipes import READER_PLAN as READER_PLAN
    from metaloom_vision.recipes import character_encoder as character_encoder
    from metaloom_vision.recipes import train_character_encoder as train_character_encoder
    from metaloom_vision.recipes import train_digit_reader as train_digit_reader
    from metaloom_vision.strokes import Characters as Characters
    from metaloom_vision.strokes import Style as Style
    from metaloom_vision.strokes import draw as draw
    from metaloom_vision.strokes import invent as invent
    from metaloom_vision.strokes import invented_characters as invented_characters
    from metaloom_vision.tasks import digit_tasks as digit_tasks
    from metaloom_vision.tasks import stroke_tasks as stroke_tasks
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "augmentation": ("affine",),
            "declarations": ("PRIMITIVES",),
            "encoders": (
                "classifier",
                "conv4",
            ),
            "handwriting": ("digits",),
            "recipes": (
                "ENCODER_PLAN",
                "READER_PLAN",
                "character_encoder",
                "train_character_encoder",
                "train_digit_reader",
            ),
            "strokes": (
                "Characters",
                "Style",
                "draw",
                "invent",
                "invented_characters",
            ),
            "tasks": (
                "digit_tasks",
                "stroke_tasks",
            ),
        },
    )
