"""`left >> right`: what fits becomes one term, and a misfit says which part did not fit what."""

from __future__ import annotations

import pytest

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_registry import (
    Digest,
    PrimitiveTable,
    Reference,
    Type,
    TypeMismatch,
    Use,
    compose,
    infer,
    parse_term,
    parse_type,
)

TABLE = PrimitiveTable((*HEADS, *LISTS))
EMBED = TABLE.short_names["embed"]
TYPES = {
    "encoder": "image[1,8,8] -> vec[64]",
    "projection": "vec[64] -> vec[16]",
    "narrow": "vec[16] -> vec[4]",
    "reader": "image[1,8,8] -> logits[10]",
}
REFERENCES = {name: Reference(None, Digest.of(name.encode())) for name in TYPES}
NAMES = {**TABLE.short_names, **REFERENCES}
BY_REFERENCE = {REFERENCES[name]: parse_type(text) for name, text in TYPES.items()}


def type_of(reference: Reference) -> Type:
    found = BY_REFERENCE.get(reference)
    return TABLE[reference].signature if found is None else found


def composed(left: str, right: str) -> tuple[str, str]:
    term = compose(parse_term(left, NAMES), parse_term(right, NAMES), type_of, EMBED)
    return str(infer(term, type_of)), repr(term)


def test_two_functions_compose_to_one() -> None:
    term = compose(Use(REFERENCES["encoder"]), Use(REFERENCES["projection"]), type_of, EMBED)
    assert term == parse_term("(lam (projection (encoder $0)))", NAMES)
    assert str(infer(term, type_of)) == "image[1,8,8] -> vec[16]"


def test_an_encoder_and_a_head_compose_to_a_model_that_takes_examples() -> None:
    term = compose(Use(REFERENCES["encoder"]), parse_term("prototypes", NAMES), type_of, EMBED)
    assert term == parse_term("(lam (lam (prototypes (embed encoder $1) (encoder $0))))", NAMES)
    wanted = "examples[image[1,8,8], label[n]] -> image[1,8,8] -> logits[n]"
    assert str(infer(term, type_of)) == wanted


def test_a_model_that_takes_examples_goes_on_with_what_comes_out_of_it() -> None:
    model = compose(Use(REFERENCES["encoder"]), parse_term("ridge", NAMES), type_of, EMBED)
    labels = compose(model, parse_term("argmax", NAMES), type_of, EMBED)
    assert str(infer(labels, type_of)).endswith("image[1,8,8] -> label[n]")


def test_composition_is_associative_in_type() -> None:
    encoder, projection = Use(REFERENCES["encoder"]), Use(REFERENCES["projection"])
    head = parse_term("prototypes", NAMES)
    one = compose(compose(encoder, projection, type_of, EMBED), head, type_of, EMBED)
    assert str(infer(one, type_of)).startswith("examples[image[1,8,8], label[n]] -> image")


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (
            "encoder",
            "narrow",
            r"comes out of the left is vec\[64\], but the right wants vec\[16\], which it takes; "
            r"vec\[64\] does not fit where vec\[16\] is wanted",
        ),
        (
            "reader",
            "prototypes",
            r"comes out of the left is logits\[10\], but the right wants vec\[n\], which its "
            "examples are of",
        ),
        ("3", "add", "the left of >> has the type int, but >> composes functions alone"),
        ("encoder", "empty", r"the right of >> has the type list\[a\], but >> composes"),
    ],
)
def test_what_does_not_fit_is_named(left: str, right: str, message: str) -> None:
    with pytest.raises(TypeMismatch, match=message):
        composed(left, right)
