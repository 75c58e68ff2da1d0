"""The primitives of this plugin, declared; their code is imported when it is called."""

from __future__ import annotations

from metaloom_registry import Deferred, Primitive

_HEAD = "examples[vec[n], label[k]] -> vec[n] -> logits[k]"


def _head(name: str, module: str, doc: str) -> Primitive:
    return Primitive(
        name=f"heads/{name}",
        version=1,
        type=_HEAD,
        doc=doc,
        parameters=("support", "query"),
        batched=Deferred(f"metaloom_heads.{module}", name),
        soft=Deferred(f"metaloom_heads.{module}", name),
        source=f"{name}(support, query)",
        imports=(f"from metaloom_heads import {name}",),
        tags=("head",),
    )


PRIMITIVES = (
    _head(
        "prototypes",
        "prototype",
        "Minus the squared distance to the mean of each class (Snell et al. 2017).",
    ),
    _head(
        "ridge",
        "ridge_regression",
        "Ridge regression onto the labels in closed form (Bertinetto et al. 2019, R2D2).",
    ),
    _head(
        "nearest",
        "neighbour",
        "Minus the squared distance to the nearest example of each class.",
    ),
    _head(
        "matching",
        "attention",
        "The labels of the support weighted by cosine attention (Vinyals et al. 2016).",
    ),
    _head(
        "cosine",
        "cosine_similarity",
        "The cosine to the mean direction of each class (Gidaris and Komodakis 2018).",
    ),
    _head(
        "svm",
        "support_vectors",
        "A multi-class support vector machine on the support (Lee et al. 2019, MetaOptNet).",
    ),
    Primitive(
        name="heads/ridge_of_strength",
        version=1,
        type=f"float -> {_HEAD}",
        doc="Ridge regression onto the labels, with lambda as an argument.",
        parameters=("strength", "support", "query"),
        batched=Deferred("metaloom_heads.settings", "ridge_of_strength"),
        soft=Deferred("metaloom_heads.settings", "ridge_of_strength"),
        source="ridge_of_strength(strength, support, query)",
        imports=("from metaloom_heads import ridge_of_strength",),
        tags=("head",),
    ),
    Primitive(
        name="heads/softmax_regression",
        version=1,
        type=f"float -> int -> {_HEAD}",
        doc="A linear classifier after gradient descent on the support: learning rate and steps.",
        parameters=("rate", "steps", "support", "query"),
        batched=Deferred("metaloom_heads.settings", "softmax_regression"),
        source="softmax_regression(rate, steps, support, query)",
        imports=("from metaloom_heads import softmax_regression",),
        tags=("head",),
    ),
    Primitive(
        name="heads/embed",
        version=1,
        type="(a -> b) -> examples[a, c] -> examples[b, c]",
        doc="The support with a function applied to its inputs.",
        parameters=("f", "support"),
        batched=Deferred("metaloom_heads.embedding", "embed"),
        soft=Deferred("metaloom_heads.embedding", "embed"),
        source="embed(f, support)",
        imports=("from metaloom_heads import embed",),
    ),
    Primitive(
        name="heads/argmax",
        version=1,
        type="logits[k] -> label[k]",
        doc="The likeliest class; its soft form is the distribution.",
        parameters=("logits",),
        batched=Deferred("metaloom_heads.reading", "argmax"),
        soft=Deferred("metaloom_heads.reading", "soft_argmax"),
        source="logits.argmax(-1)",
    ),
    Primitive(
        name="heads/softmax",
        version=1,
        type="logits[k] -> vec[k]",
        doc="The probability of each class.",
        parameters=("logits",),
        batched=Deferred("metaloom_heads.reading", "softmax"),
        soft=Deferred("metaloom_heads.reading", "softmax"),
        source="logits.softmax(-1)",
    ),
    Primitive(
        name="heads/value",
        version=1,
        type="label[k] -> int",
        doc="The number of a class, counted from 0.",
        parameters=("label",),
        batched=Deferred("metaloom_heads.reading", "value"),
        soft=Deferred("metaloom_heads.reading", "soft_value"),
        source="int(label)",
    ),
)
