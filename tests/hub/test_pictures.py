"""Programs and images as pictures."""

import base64
import io
import itertools
from typing import Any
from xml.etree import ElementTree

import torch
from PIL import Image

from metaloom import Family
from metaloom.pictures.image import image_uri
from metaloom.pictures.lineage import lineage_svg
from metaloom.pictures.program import Label, program_svg
from metaloom_registry import Reference, parse_term
from metaloom_registry.catalogue import Edge, Lineage, Node

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


def family(nodes: int, hostile: str = "") -> Family:
    """A block with a parent, and so many children that share a task."""
    root = Node("sha256:root", "block", f"me/root@1{hostile}", "int -> int")
    parent = Node("sha256:parent", "primitive", "lists/map@1")
    task = Node("sha256:task", "task", f"sums{hostile}", "list[int] -> int")
    children = tuple(Node(f"sha256:{i}", "run", f"solve {i}", "finished") for i in range(nodes))
    edges = tuple(Edge(c.key, root.key, "uses") for c in children)
    onward = tuple(Edge(task.key, c.key, "task") for c in children)
    return Family(
        root,
        Lineage(root.key, "parents", (root, parent), (Edge(root.key, parent.key, "requires"),)),
        Lineage(root.key, "children", (root, *children, task), (*edges, *onward), complete=False),
    )


def test_a_lineage_has_a_box_for_each_node_and_a_curve_for_each_edge() -> None:
    drawn: Any = ElementTree.fromstring(lineage_svg(family(3)))
    space = "{http://www.w3.org/2000/svg}"
    assert len(list(drawn.iter(f"{space}rect"))) == 6
    assert len(list(drawn.iter(f"{space}path"))) == 7
    lefts = {
        str(group.find(f"{space}title").text).split()[1]: float(group.find(f"{space}rect").get("x"))
        for group in drawn.iter(f"{space}g")
    }
    assert lefts["lists/map@1"] < lefts["me/root@1"] < lefts["solve"] < lefts["sums"]
    assert any("greater depth" in text for text in words(lineage_svg(family(3))))


def test_boxes_of_a_column_do_not_overlap() -> None:
    drawn = ElementTree.fromstring(lineage_svg(family(40)))
    boxes = [r.attrib for r in drawn.iter("{http://www.w3.org/2000/svg}rect")]
    columns: dict[str, list[float]] = {}
    for box in boxes:
        columns.setdefault(box["x"], []).append(float(box["y"]))
    for tops in columns.values():
        ordered = sorted(tops)
        assert all(b - a >= 40 for a, b in itertools.pairwise(ordered))


def test_text_of_a_lineage_cannot_become_markup() -> None:
    svg = lineage_svg(family(1, "</text><script>alert(1)</script>\x00\x1b[31m"))
    assert "<script>" not in svg
    ElementTree.fromstring(svg)
