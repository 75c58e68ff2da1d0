"""What people give to a hub by mistake, and what they are told."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from metaloom import Hub
from metaloom_registry import (
    InvalidName,
    InvalidTask,
    MetaloomError,
    NotFound,
    ParseError,
    Primitive,
    Refused,
    TypeMismatch,
)

from .conftest import encoder

ADD3 = "(lam (map (lam (add 3 $0)) $0))"


def test_a_program_runs_before_it_is_published(hub: Hub) -> None:
    assert hub.run(hub["lists/reverse"] >> hub["lists/sum"], [1, 2]) == 3
    assert hub.run(ADD3, [1, 2]) == (4, 5)
    assert hub.run(hub.read(ADD3), [1, 2]) == (4, 5)
    assert hub.run("(map (add 3) (range 2))") == (3, 4)  # what takes nothing has its value
    assert hub.run("lists/empty") == ()


@pytest.mark.parametrize(
    ("program", "inputs", "said"),
    [
        ("lists/map", ([1], [2]), "takes a function, which is no input; give one in a program"),
        (ADD3, (1, 2), "takes 1 input, not 2"),
        ("(add 1 2)", (1,), "takes 0 inputs, not 1"),
        ("lists/add", (1,), "takes 2 inputs, not 1"),
        (ADD3, ("x",), "holds 'x', which is no list"),
        (
            "(lam (lam (remember $0 (recall $1) $1)))",
            (1,),
            "give the file of its memory, or publish it",
        ),
        ("heads/prototypes", (1,), "learns from examples first"),
    ],
)
def test_what_cannot_be_run_is_told_why(hub: Hub, program: str, inputs: tuple, said: str) -> None:
    with pytest.raises(InvalidTask, match=said):
        hub.run(program, *inputs)


@pytest.mark.parametrize(
    ("name", "inputs", "output"),
    [
        ("sets/union", ([1, 2], [2, 3]), {1, 2, 3}),
        ("lists/first", ([1, "a"],), 1),
        ("dictionaries/get", (0, 3, {"3": 7}), 7),
        ("dictionaries/get", (0, "x", {"y": 7}), 0),
        ("dictionaries/keys", ([["a", 1], ["b", 2]],), ("a", "b")),
        ("graphs/order", ([[1, 2], [2, 3]],), 3),
        ("graphs/order", ({"1": {"2": 1}, "2": {}},), 2),
        ("lists/length", ([],), 0),
    ],
)
def test_values_are_read_as_the_types_that_are_wanted(
    hub: Hub, name: str, inputs: tuple, output: object
) -> None:
    assert hub.run(name, *inputs) == output


def test_primitives_of_a_similar_name_are_named(hub: Hub) -> None:
    with pytest.raises(NotFound, match=r"no block lists/mapp; did you mean lists/map"):
        hub["lists/mapp"]
    with pytest.raises(NotFound, match=r"no block Lists/Map; did you mean lists/map"):
        hub["Lists/Map"]
    hub.publish("lists2/mapp", ADD3)
    with pytest.raises(NotFound, match=r"did you mean lists2/mapp or lists/map"):
        hub["lists/mapp"]
    with pytest.raises(NotFound, match=r"lists2/mapp has no version 7; it has version 1$"):
        hub["lists2/mapp@7"]
    with pytest.raises(NotFound, match=r"no block lists/mapp; did you mean"):
        hub.versions("lists/mapp")


def test_the_versions_of_a_primitive_are_listed(hub: Hub) -> None:
    assert [str(block.reference) for block in hub.versions("lists/map")] == ["lists/map@1"]


def test_what_names_no_block_is_refused_and_not_in_the_library(hub: Hub) -> None:
    with pytest.raises(InvalidName, match=r"^3 names no block; give its name, such as"):
        hub[3]  # type: ignore[index]
    assert "no name" not in hub
    assert "me/none" not in hub
    assert hub["lists/map"] in hub


def test_a_signature_that_is_not_the_module_s_is_an_error_and_nothing_is_logged(
    hub: Hub, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refused, match="its forward must take what the signature says"):
        hub.publish("me/net", encoder(), "image[1,9,9] -> vec[8]")
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    assert capfd.readouterr().err == ""


def test_a_block_is_loaded_by_its_name(hub: Hub) -> None:
    net = encoder().eval()
    hub.publish("me/net", net, "image[1,4,4] -> vec[8]")
    images = torch.rand(2, 1, 4, 4)
    assert torch.equal(hub.load("me/net")(images), net(images))  # type: ignore[operator]
    assert isinstance(hub.load("lists/map"), Primitive)
    with pytest.raises(NotFound, match="there is no block me/none"):
        hub.load("me/none")


def test_a_class_is_no_module(hub: Hub) -> None:
    with pytest.raises(
        TypeMismatch, match=r"Linear'> cannot be published; give a trained nn\.Module"
    ):
        hub.publish("me/net", nn.Linear, "vec[8] -> vec[8]")  # type: ignore[arg-type]


def test_one_tag_is_a_text(hub: Hub) -> None:
    assert hub.publish("me/add3", ADD3, tags="arithmetic").tags == ("arithmetic",)


def test_a_filter_there_is_not_is_refused(hub: Hub) -> None:
    with pytest.raises(ParseError, match=r"not found by 'colour', but by after, before, cursor"):
        hub.search("x", colour=3)  # type: ignore[call-arg]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_shows_nothing_is_refused(hub: Hub, limit: int) -> None:
    with pytest.raises(ParseError, match=rf"a limit of {limit} leaves nothing to show"):
        hub.search(limit=limit)


def test_pages_go_on_among_the_primitives(hub: Hub) -> None:
    hub.publish("me/add3", ADD3)
    everything = [str(b.reference) for b in hub.search(takes="list[int]", limit=1000)]
    assert everything[0] == "me/add3@1"
    found, cursor = [], None
    for _ in range(len(everything)):
        page = hub.search(takes="list[int]", limit=7, cursor=cursor)
        found += [str(block.reference) for block in page]
        cursor = page.cursor
        if cursor is None:
            break
        assert len(page) == 7
    assert found == everything


def test_a_cursor_among_the_primitives_belongs_to_its_query(hub: Hub) -> None:
    cursor = hub.search(takes="list[int]", limit=3).cursor
    assert cursor is not None
    for other in ({"takes": "int"}, {"takes": "list[int]", "kind": "graph"}, {"kind": "primitive"}):
        with pytest.raises(ParseError, match="the cursor is of another query; begin this query"):
            hub.search(limit=3, cursor=cursor, **other)  # type: ignore[arg-type]
    with pytest.raises(ParseError, match="is not a cursor"):
        hub.search(kind="primitive", cursor="p.x")


def test_what_a_prompt_shows_of_a_block_can_be_read(hub: Hub) -> None:
    block = hub.publish("me/add3", ADD3)
    assert repr(block) == "Block(me/add3@1 : list[int] -> list[int])"
    assert repr(block >> hub["lists/sum"]) == (
        "Composition((lam (sum (me/add3@1 $0))) : list[int] -> int)"
    )
    assert repr(hub.lineage(block)) == "Family(me/add3@1: came from 2, led to 0)"
    assert hub.lineage(block)._repr_svg_().startswith("<svg")


def test_every_slip_is_an_error_of_ours(hub: Hub) -> None:
    for slip in (
        lambda: hub["enc enc"],
        lambda: hub.compose("lists/sum", 3),  # type: ignore[arg-type]
        lambda: hub.publish("me/x", None),  # type: ignore[arg-type]
        lambda: hub.similar("x.jsonl"),
    ):
        with pytest.raises(MetaloomError):
            slip()
