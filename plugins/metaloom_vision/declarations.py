"""The primitives of this plugin, declared; their code is imported when it is called."""

from __future__ import annotations

from metaloom_registry import Deferred, Primitive

PRIMITIVES = (
    Primitive(
        name="vision/flatten",
        version=1,
        type="image[c,h,w] -> vec[n]",
        doc="The pixels as a vector; n is c h w, which types cannot say, so it stays open.",
        parameters=("image",),
        batched=Deferred("metaloom_vision.pixels", "flatten"),
        soft=Deferred("metaloom_vision.pixels", "flatten"),
        source="image.flatten()",
    ),
    Primitive(
        name="vision/invert",
        version=1,
        type="image[c,h,w] -> image[c,h,w]",
        doc="Ink becomes paper and paper ink.",
        parameters=("image",),
        batched=Deferred("metaloom_vision.pixels", "invert"),
        soft=Deferred("metaloom_vision.pixels", "invert"),
        source="1 - image",
    ),
)
