"""The hub: publish, find, compose, and errors that name what was wanted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from metaloom import Block, Composition, Hub, StoredGraph
from metaloom_registry import (
    AlreadyExists,
    Digest,
    InvalidName,
    NotFound,
    ParseError,
    Reference,
    Refused,
    StorageError,
    Term,
    TypeMismatch,
    parse_term,
)

from .conftest import encoder

ADD3 = "(lam (map (lam (add 3 $0)) $0))"


def test_a_published_program_is_had_by_name_version_alias_and_digest(hub: Hub) -> None:
    block = hub.publish("me/add3", ADD3, license="MIT", card="Adds three.", tags=["numbers"])
    hub.alias("me/add3@1", "best")
    for reference in (
        "me/add3",
        "me/add3@1",
        "me/add3@best",
        f"@{block.digest}",
        str(block.digest),
    ):
        assert hub[reference] == block
        assert reference in hub
    assert str(block) == "me/add3@1 : list[int] -> list[int]"
    assert (block.kind, block.license, block.card) == ("program", "MIT", "Adds three.")
    assert block.tags == ("numbers",)
    assert block.body == hub.read(ADD3)
    assert block.source == "def add3(xs):\n    return [3 + x for x in xs]\n"


def test_a_program_is_stored_with_its_references_pinned(hub: Hub) -> None:
    first = hub.publish("me/add3", ADD3)
    twice = hub.publish("me/add6", "(lam (me/add3 (me/add3 $0)))")
    hub.publish("me/add3", "(lam $0)")
    assert hub.run("me/add6", [1, 2]) == (7, 8)
    assert twice.manifest is not None
    assert [parent.digest for parent in twice.manifest.parents] == [first.digest]
    body = hub["me/add6"].body
    assert body is not None
    assert hub.show(body) == "(lam (me/add3@1 (me/add3@1 $0)))"


def test_the_same_program_is_the_same_version_and_another_a_new_one(hub: Hub) -> None:
    assert str(hub.publish("me/add3", ADD3).reference) == "me/add3@1"
    assert str(hub.publish("me/add3", hub.read(ADD3)).reference) == "me/add3@1"
    assert str(hub.publish("me/add3", "(lam (map (add 3) $0))").reference) == "me/add3@2"
    assert [str(b.reference) for b in hub.versions("me/add3")] == ["me/add3@2", "me/add3@1"]


def test_a_primitive_has_a_handle_too(hub: Hub) -> None:
    head = hub["heads/prototypes"]
    assert head.kind == "primitive"
    assert str(head.reference) == "heads/prototypes@1"
    assert hub["prototypes"] == head
    assert head.load() is head.primitive
    assert head.card


def test_a_short_name_of_two_primitives_means_the_one_that_fits(hub: Hub) -> None:
    joined = hub.publish("me/joined", "(lam (flatten (map (lam (singleton $0)) $0)))")
    assert hub.run(joined, [1, 2]) == (1, 2)
    assert str(joined.signature) == "list[a] -> list[a]"
    seen = hub.publish("me/seen", "(lam (lam (prototypes $1 (flatten $0))))")
    assert "image" in str(seen.signature)


def test_a_short_name_that_nothing_settles_is_refused_with_both_full_names(hub: Hub) -> None:
    said = "'flatten' is short for lists/flatten@1 and vision/flatten@1; write one of them in full"
    with pytest.raises(ParseError, match=said):
        hub.publish("me/either", "(lam (flatten $0))")
    with pytest.raises(NotFound, match=said):
        hub["flatten"]
    with pytest.raises(TypeMismatch):
        hub.publish("me/neither", "(lam (add 1 (flatten $0)))")


def test_blocks_compose_in_a_chain(hub: Hub) -> None:
    hub.publish("me/add3", ADD3)
    program = hub["me/add3"] >> hub["lists/sum"]
    assert isinstance(program, Composition)
    assert str(program.signature) == "list[int] -> int"
    assert str(hub.publish("me/sum3", program).signature) == "list[int] -> int"
    assert hub.run("me/sum3", [1, 2, 3]) == 15
    assert hub.run(hub.publish("me/sum6", hub["me/add3"] >> program), [1, 2, 3]) == 24


def test_an_encoder_and_a_head_make_a_few_shot_classifier(hub: Hub) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    program = hub["vision/small"] >> hub["heads/prototypes"] >> hub["heads/argmax"]
    assert str(program.signature) == "examples[image[1,4,4], label[n]] -> image[1,4,4] -> label[n]"


def test_a_misfit_says_which_type_was_wanted(hub: Hub) -> None:
    hub.publish("me/add3", ADD3)
    with pytest.raises(TypeMismatch, match=r"list\[int\] .*vec\[n\]"):
        hub["me/add3"] >> hub["heads/prototypes"]
    with pytest.raises(TypeMismatch, match="int"):
        hub["lists/sum"] >> hub["me/add3"]
    with pytest.raises(TypeMismatch, match="3 is no program; give a block"):
        hub["lists/sum"] >> 3  # type: ignore[operator]


def test_a_block_of_another_library_is_not_composed_silently(hub: Hub, tmp_path: Path) -> None:
    with Hub.open(tmp_path / "other") as other:
        foreign = other.publish("me/add3", ADD3)
        with pytest.raises(NotFound, match="publish it here first"):
            hub.compose(foreign, "lists/sum")


def test_a_trained_module_comes_back_as_a_module_of_ones_own(hub: Hub) -> None:
    import torch

    net = encoder()
    block = hub.publish("vision/small", net, "image[1,4,4] -> vec[8]", seen=[Digest.of(b"a")])
    x = torch.rand(3, 1, 4, 4)
    loaded = block.load()
    assert isinstance(loaded, nn.Module)
    assert torch.allclose(loaded(x), net(x), atol=1e-6)
    with torch.no_grad():
        next(loaded.parameters()).zero_()
    again = block.load()
    assert isinstance(again, nn.Module)
    assert torch.allclose(again(x), net(x), atol=1e-6)
    assert block.seen == {Digest.of(b"a")}
    assert block.facts["parameters"] == 136


def test_a_module_without_a_signature_is_refused(hub: Hub) -> None:
    with pytest.raises(TypeMismatch, match="the module Sequential needs a signature"):
        hub.publish("vision/small", encoder())
    with pytest.raises(TypeMismatch, match=r"3 cannot be published; give a trained nn.Module"):
        hub.publish("vision/small", 3, "vec[4] -> vec[4]")  # type: ignore[arg-type]
    assert hub.list() == []


def test_a_module_that_does_not_export_leaves_nothing(hub: Hub) -> None:
    class Branch(nn.Module):
        def forward(self, x: Any) -> Any:
            return x if float(x.sum()) > 0 else -x

    with pytest.raises(Refused):
        hub.publish("vision/branch", Branch(), "vec[4] -> vec[4]")
    assert hub.list() == []


def test_a_graph_from_elsewhere_is_checked(hub: Hub) -> None:
    with pytest.raises((Refused, ParseError)):
        hub.publish("me/bad", StoredGraph(b"{}", b""), "vec[4] -> vec[4]")
    assert hub.list() == []


def test_parents_have_roles(hub: Hub) -> None:
    first = hub.publish("me/add3", ADD3)
    child = hub.publish("me/id", "(lam $0)", parents=["me/add3", (first, "compared-with")])
    roles = {role for role, node in hub.lineage(child).parents.next(str(child.digest))}
    assert roles == {"trained-on", "compared-with"}
    assert [r for r, n in hub.lineage(first).children.next(str(first.digest))]


def test_a_search_finds_blocks_before_primitives_and_says_why(hub: Hub) -> None:
    hub.publish("me/total", "(lam (fold add 0 $0))", tags=["sums"])
    found = hub.search(takes="list[int]", gives="int")
    assert str(found[0].reference) == "me/total@1"
    assert "lists/sum@1" in [str(b.reference) for b in found]
    assert all(b.why for b in found)
    assert [str(b.reference) for b in hub.search(tag="sums")] == ["me/total@1"]
    assert {b.kind for b in hub.search(kind="primitive", type="int -> int -> int")} == {"primitive"}
    assert len(hub.search("list", limit=3)) == 3


def test_lists_are_by_namespace_and_kind(hub: Hub) -> None:
    hub.publish("me/add3", ADD3)
    hub.publish("you/add3", ADD3)
    assert [str(b.reference) for b in hub.list("me")] == ["me/add3@1"]
    assert len(hub.list(kind="program")) == 2
    assert hub.list(kind="graph") == []
    assert all(b.kind == "primitive" for b in hub.list("lists", kind="primitive"))
    with pytest.raises(ParseError, match="not a kind of block"):
        hub.list(kind="module")


def test_a_primitives_name_is_not_published_over(hub: Hub) -> None:
    with pytest.raises(AlreadyExists, match="primitive's name"):
        hub.publish("lists/map", "(lam $0)")


@pytest.mark.parametrize("name", ["../x", "", "x", "me/" + "x" * 300, "me/a\nb", "me/", "é/x"])
def test_a_bad_name_is_refused_before_anything_is_done(hub: Hub, name: str) -> None:
    with pytest.raises(InvalidName):
        hub.publish(name, ADD3)
    assert hub.list() == []


def test_what_a_plain_handle_is_not_is_said(hub: Hub) -> None:
    with pytest.raises(NotFound, match="there is no block me/none"):
        hub["me/none"]
    with pytest.raises(NotFound, match="has no version 7; it has 1"):
        hub["lists/map@7"]
    with pytest.raises(Refused, match="is a primitive; programs alone are solutions"):
        hub.solution("lists/map")
    assert "me/none" not in hub


def test_a_remote_library_is_refused_clearly() -> None:
    with pytest.raises(StorageError, match="remote library"):
        Hub.open("https://example.org")


def test_a_term_of_references_by_name_is_pinned(hub: Hub) -> None:
    hub.publish("me/add3", ADD3)
    term: Term = parse_term("(lam (me/add3 $0))")
    block = hub.publish("me/again", term)
    assert block.body is not None
    assert hub.show(block.body) == "(lam (me/add3@1 $0))"
    assert isinstance(hub[Reference.parse("me/again")], Block)


ELSEWHERE = """
import sys
from metaloom import Hub
with Hub.open(sys.argv[1]) as hub:
    print(hub["me/add3@best"], hub.run("me/add3", [1, 2]), hub.verify().sound)
assert "torch" not in sys.modules
"""


def test_another_process_sees_the_same_library(hub: Hub, home: Path) -> None:
    hub.publish("me/add3", ADD3)
    hub.alias("me/add3", "best")
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(home)], capture_output=True, text=True
    )
    assert done.stdout == "me/add3@1 : list[int] -> list[int] (4, 5) True\n", done.stderr


LIGHT = """
import sys
from metaloom import Hub
heavy = {"torch", "sqlmodel", "sqlalchemy", "mlflow", "numpy", "datasets"} & set(sys.modules)
assert not heavy, heavy
"""


def test_importing_the_hub_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
