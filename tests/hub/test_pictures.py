"""Programs and images as pictures."""

import base64
import io
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


SPACE = "{http://www.w3.org/2000/svg}"


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


def curves(svg: str) -> list[str]:
    paths = ElementTree.fromstring(svg).iter(f"{SPACE}path")
    return [path.get("d", "") for path in paths if path.get("fill") == "none"]


def lefts(svg: str) -> dict[str, float]:
    """The left of each box by what stands in it first."""
    groups: Any = ElementTree.fromstring(svg).iter(f"{SPACE}g")
    return {
        str(group.find(f"{SPACE}text").text): float(group.find(f"{SPACE}rect").get("x"))
        for group in groups
        if group.find(f"{SPACE}rect") is not None
    }


def test_a_lineage_has_a_box_for_each_node_and_a_curve_for_each_edge() -> None:
    svg = lineage_svg(family(3))
    assert len(lefts(svg)) == 6
    assert len(curves(svg)) == 7
    left = lefts(svg)
    assert left["lists/map@1"] < left["me/root@1"] < left["solve 0"] < left["sums"]
    assert any("greater depth" in text for text in words(svg))
    assert {"block", "run", "task", "primitive"} <= set(words(svg)), "the colours are explained"


def found() -> Family:
    """A program that a run made of two primitives, of which the program says so as well."""
    root, run = Node("b", "block", "me/evens@1"), Node("r", "run", "solve r")
    primitives = [Node(name, "primitive", name) for name in ("lists/map@1", "lists/add@2")]
    edges = [Edge("b", "r", "made-by")]
    edges += [Edge(child, p.key, "requires") for child in ("b", "r") for p in primitives]
    return Family(
        root,
        Lineage("b", "parents", (root, run, *primitives), tuple(edges)),
        Lineage("b", "children", (root,), ()),
    )


def test_primitives_that_the_same_things_require_share_a_box() -> None:
    svg = lineage_svg(found())
    assert list(lefts(svg)) == ["me/evens@1", "solve r", "2 primitives"]
    assert "lists: add@2, map" in words(svg)
    titles = [title.text for title in ElementTree.fromstring(svg).iter(f"{SPACE}title")]
    assert "lists/map@1\nlists/add@2" in titles


def test_what_a_run_took_is_drawn_at_the_run_alone() -> None:
    svg = lineage_svg(found())
    assert len(curves(svg)) == 2
    left = lefts(svg)
    assert left["2 primitives"] < left["solve r"] < left["me/evens@1"]


def test_text_of_a_lineage_cannot_become_markup() -> None:
    svg = lineage_svg(family(1, "</text><script>alert(1)</script>\x00\x1b[31m"))
    assert "<script>" not in svg
    ElementTree.fromstring(svg)


def test_a_long_name_keeps_its_beginning_and_its_version() -> None:
    root = Node("b", "block", f"someone/{'long' * 20}@12")
    alone = Lineage("b", "parents", (root,), ())
    [name] = lefts(lineage_svg(Family(root, alone, alone)))
    assert name.startswith("someone/long")
    assert name.endswith("long@12")
    assert len(name) == 38
