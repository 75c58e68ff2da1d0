"""Finding blocks from the hub: beside others, by behaviour, by tasks, in pages."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from metaloom import Hub
from metaloom.solving.task_points import task_point
from metaloom_metalearn import Examples, Task
from metaloom_registry import NotFound, ParseError, TypeMismatch, parse_type


def names(blocks) -> list[str]:
    return [str(block.reference) for block in blocks]


@pytest.fixture
def encoders(hub: Hub) -> Hub:
    """Two encoders alike and one that is not."""
    torch.manual_seed(0)
    last = nn.Linear(16, 8)
    net = nn.Sequential(nn.Flatten(), last)
    hub.publish("vision/one", net, "image[1,4,4] -> vec[8]", tags=["encoder", "small"])
    with torch.no_grad():
        last.bias.add_(0.01)
    hub.publish("vision/two", net, "image[1,4,4] -> vec[8]", tags=["encoder"])
    torch.manual_seed(1)
    other = nn.Sequential(nn.Flatten(), nn.Linear(16, 8))
    hub.publish("vision/other", other, "image[1,4,4] -> vec[8]", tags=["encoder"])
    return hub


def test_what_fits_composes_and_what_does_not_fit_does_not(encoders: Hub) -> None:
    found = encoders.fits(after="vision/one", limit=1000)
    assert "heads/prototypes@1" in names(found)
    for block in found:
        encoders["vision/one"] >> block
    listed = {str(p.reference) for p in encoders.primitives} - set(names(found))
    for reference in sorted(listed)[:40]:
        with pytest.raises(TypeMismatch):
            encoders["vision/one"] >> encoders[reference]


def test_what_takes_anything_comes_last(encoders: Hub) -> None:
    found = encoders.fits(after="vision/one", limit=1000)
    heads = [str(b.reference).startswith("heads/") for b in found]
    assert heads[0]


def test_blocks_types_and_references_stand_for_what_is_beside(encoders: Hub) -> None:
    wanted = names(encoders.fits(after="vision/one", before="heads/prototypes"))
    block = encoders["vision/one"]
    assert names(encoders.fits(after=block, before="heads/prototypes")) == wanted
    after = parse_type("image[1,4,4] -> vec[8]")
    assert names(encoders.fits(after=after, before=encoders["heads/prototypes"])) == wanted
    assert names(encoders.fits(after=str(after), before="heads/prototypes")) == wanted


def test_what_should_fit_nothing_is_asked_for_what(hub: Hub) -> None:
    with pytest.raises(ParseError, match="nothing is given that blocks should fit; give after="):
        hub.fits()


def test_similar_blocks_are_those_that_behave_alike(encoders: Hub) -> None:
    found = encoders.similar("vision/one")
    assert names(found) == ["vision/two@1", "vision/other@1"]
    assert found[0].why[0].startswith("behaves like vision/one@1: ")
    assert names(encoders.similar(encoders["vision/one"], limit=1)) == ["vision/two@1"]
    with pytest.raises(NotFound, match="there is no block vision/none"):
        encoders.similar("vision/none")


def test_tags_combine_and_pages_follow_each_other(encoders: Hub) -> None:
    assert names(encoders.search(tag=["encoder", "small"])) == ["vision/one@1"]
    first = encoders.search(tag="encoder", limit=2)
    rest = encoders.search(tag="encoder", limit=2, cursor=first.cursor)
    assert len(first) == 2
    assert {*names(first), *names(rest)} == {"vision/one@1", "vision/two@1", "vision/other@1"}
    assert rest.cursor is None
    with pytest.raises(ParseError, match="of another query"):
        encoders.search(tag="small", limit=2, cursor=first.cursor)


def list_task(lists, function) -> Task:
    outputs = tuple(function(xs) for xs in lists)
    return Task(parse_type("list[int] -> int"), Examples((lists,), outputs))


LISTS = ((1, 2, 3), (4, 5), (9, 9, 1, 2), (7,))
OTHERS = ((2, 2, 3), (5, 5), (8, 9, 1, 2), (6,))


def apart(one: Task, other: Task) -> float:
    return float(torch.dist(torch.tensor(task_point(one)), torch.tensor(task_point(other))))


def test_tasks_that_are_alike_are_near_each_other(sums: Task, halves: Task) -> None:
    total, again = list_task(LISTS, sum), list_task(OTHERS, sum)
    assert len(task_point(total)) == 128
    assert task_point(total) == task_point(list_task(LISTS, sum))
    assert apart(total, again) < apart(total, list_task(LISTS, min))
    assert apart(total, list_task(LISTS, min)) < apart(total, halves)
    assert all(abs(value) <= 2 for value in task_point(halves))


@pytest.mark.parametrize(
    "values", [("text", ""), ((), ((),)), (10**400, -(10**400)), ({"a": 1}, {}), (True, 0.5)]
)
def test_values_of_any_kind_have_finite_points(values) -> None:
    task = Task(parse_type("a -> a"), Examples((values,), values))
    assert all(abs(number) <= 2 for number in task_point(task))


def test_what_solved_a_task_is_found_for_a_similar_one(hub: Hub, sums: Task) -> None:
    hub.publish("me/sums", hub.solve(sums, budget="5s"))
    found = hub.similar(replace(sums, name="more"))
    assert names(found) == ["me/sums@1"]
    assert "on a task 0 apart" in found[0].why[0]
