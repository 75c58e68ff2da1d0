"""The primitives of this plugin, declared; their code is imported when it is called."""

from __future__ import annotations

from metaloom_registry import Deferred, Primitive

PRIMITIVES = (
    Primitive(
        name="vectors/plus",
        version=1,
        type="vec[n] -> vec[n] -> vec[n]",
        doc="The sum of two vectors.",
        parameters=("x", "y"),
        batched=Deferred("metaloom_vectors.joining", "add"),
        soft=Deferred("metaloom_vectors.joining", "add"),
        source="x + y",
    ),
    Primitive(
        name="vectors/gate",
        version=1,
        type="vec[n] -> vec[n] -> vec[n] -> vec[n]",
        doc="A mixture of two vectors, number by number: the first where the switch is high.",
        parameters=("switch", "on", "off"),
        batched=Deferred("metaloom_vectors.joining", "gate"),
        soft=Deferred("metaloom_vectors.joining", "gate"),
        source="off.lerp(on, switch.sigmoid())",
    ),
    Primitive(
        name="vectors/mix",
        version=1,
        type="float -> vec[n] -> vec[n] -> vec[n]",
        doc="A mixture of two vectors: this share of the first, and the rest of the second.",
        parameters=("share", "x", "y"),
        batched=Deferred("metaloom_vectors.joining", "mix"),
        soft=Deferred("metaloom_vectors.joining", "mix"),
        source="share * x + (1 - share) * y",
    ),
)
