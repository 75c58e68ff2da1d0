"""Programs and images as pictures."""

import base64
import io
from xml.etree import ElementTree

import torch
from PIL import Image

from metaloom.pictures.image import image_uri
from metaloom.pictures.program import Label, program_svg
from metaloom_registry import Reference, parse_term

TERM = '(lam (n/f@1 (lam (n/g@1 $0 $1 "<b>")) 3 $0))'


def label(reference: Reference) -> Label:
    assert reference.name is not None
    return Label(reference.name.name, "primitive")


def words(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return [e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_program_shows_each_block_variable_and_literal_once_for_each_use() -> None:
    found = words(program_svg(parse_term(TERM), label, ("xs",)))
    assert sorted(found) == sorted(["f", "g", "y ↦", "y", "xs", "xs", "3", '"<b>"'])


def test_text_of_a_program_cannot_become_markup() -> None:
    assert "<b>" not in program_svg(parse_term(TERM), label, ("xs",))


def test_what_is_not_an_input_is_drawn_as_a_function() -> None:
    assert "x ↦" in words(program_svg(parse_term("(lam (n/f@1 $0))"), label, ()))


def test_ink_is_drawn_dark_on_white() -> None:
    kind, _, data = image_uri(torch.tensor([[[0.0, 1.0], [0.5, 2.0]]])).partition(",")
    assert kind == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert [picture.getpixel((x, y)) for y in (0, 1) for x in (0, 1)] == [255, 0, 128, 0]
