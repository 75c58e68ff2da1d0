"""Lineage, runs and the outbox."""

import pytest

from metaloom_registry import (
    Digest,
    NotFound,
    Parent,
    ParseError,
    Reference,
    RunRecord,
    TaskRecord,
    parse_type,
)
from metaloom_registry.catalogue.lineage.ancestry import Node

MAP = Reference.parse("lists/map@1")
TASK = TaskRecord(Digest.of(b"examples"), "sum of digits", parse_type("list[image[1,8,8]] -> int"))


@pytest.fixture
def family(registry, publish):
    """base <- encoder <- solution, the solution made by a run on a task."""
    base = publish("vision/base", "image[1,8,8] -> vec[8]", b"1")
    encoder = publish(
        "vision/encoder", "image[1,8,8] -> vec[8]", b"2",
        parents=(Parent(base.digest, "adapted-from"),),
    )  # fmt: skip
    run = RunRecord(
        "solve", 1_700_000_000.0, 2.5, TASK, seed=3, budget=60.0, term="(lam $0)",
        scores={"accuracy": 0.75}, inputs=(Parent(encoder.digest, "uses"),), requires=(MAP,),
    )  # fmt: skip
    registry.record_run(run)
    solution = publish(
        "me/sum", "list[image[1,8,8]] -> int", b"3", kind="program", requires=(MAP,),
        parents=(Parent(encoder.digest, "uses"),), run=run.digest,
    )  # fmt: skip
    return base, encoder, run, solution


def labels(lineage) -> list[str]:
    return [node.label for node in lineage.nodes]


def test_parents_are_followed_through_blocks_runs_tasks_and_primitives(registry, family):
    base, encoder, run, solution = family
    lineage = registry.lineage(solution.digest)
    assert labels(lineage)[0] == "me/sum@1"
    assert set(labels(lineage)) == {
        "me/sum@1", "vision/encoder@1", f"solve {run.digest.short}", "lists/map@1",
        "vision/base@1", "sum of digits",
    }  # fmt: skip
    edges = {(edge.child, edge.role, edge.parent) for edge in lineage.edges}
    assert edges == {
        (str(solution.digest), "uses", str(encoder.digest)),
        (str(solution.digest), "made-by", str(run.digest)),
        (str(solution.digest), "requires", "lists/map@1"),
        (str(run.digest), "uses", str(encoder.digest)),
        (str(run.digest), "task", str(TASK.digest)),
        (str(run.digest), "requires", "lists/map@1"),
        (str(encoder.digest), "adapted-from", str(base.digest)),
    }
    assert lineage.complete


def test_children_are_followed_the_other_way(registry, family):
    base, _, run, _ = family
    lineage = registry.lineage(base.digest, "children")
    assert labels(lineage)[:2] == ["vision/base@1", "vision/encoder@1"]
    assert set(labels(lineage)[2:]) == {f"solve {run.digest.short}", "me/sum@1"}
    assert [node.label for _, node in lineage.next(lineage.root)] == ["vision/encoder@1"]


def test_a_task_leads_to_its_runs_and_their_solutions(registry, family):
    run = family[2]
    lineage = registry.lineage(TASK.digest, "children")
    assert labels(lineage) == ["sum of digits", f"solve {run.digest.short}", "me/sum@1"]
    assert lineage.node(lineage.root).detail == "list[image[1,8,8]] -> int"
    assert lineage.node(str(run.digest)).detail == "finished, 2.5 s"


def test_a_primitive_leads_to_what_needs_it(registry, family):
    lineage = registry.lineage(MAP, "children")
    assert set(labels(lineage)) == {"lists/map@1", "me/sum@1", f"solve {family[2].digest.short}"}
    assert lineage.node("lists/map@1").kind == "primitive"


def test_a_reference_is_resolved(registry, family):
    by_name = registry.lineage(Reference.parse("me/sum"))
    assert by_name == registry.lineage(family[3].digest)
    assert by_name == registry.lineage(family[3].exactly)


def test_depth_and_limit_cut_the_lineage_and_say_so(registry, family):
    one = registry.lineage(family[3].digest, depth=1)
    assert len(one.nodes) == 4
    assert not one.complete
    two = registry.lineage(family[3].digest, limit=2)
    assert len(two.nodes) == 2
    assert not two.complete
    assert registry.lineage(family[0].digest, depth=1).complete


@pytest.fixture
def hub(registry, publish):
    """A block with seven parents and seven users, of which the first used it in two roles."""
    parents = [publish(f"a/p{i}", "int", b"p%d" % i) for i in range(7)]
    made = publish("a/hub", "int", b"hub", parents=tuple(Parent(p.digest) for p in parents))
    roles = [("uses", "adapted-from"), *[("uses",)] * 6]
    users = [
        publish(f"a/u{i}", "int", b"u%d" % i, parents=tuple(Parent(made.digest, r) for r in some))
        for i, some in enumerate(roles)
    ]
    publish("a/onward", "int", b"onward", parents=(Parent(users[6].digest),))
    return made, {"parents": parents, "children": users}


@pytest.mark.parametrize("direction", ["parents", "children"])
def test_the_relatives_of_a_hub_are_had_page_by_page(registry, hub, direction):
    made, relatives = hub
    found: list[Node] = []
    left: list[int] = []
    cursor = None
    while not left or cursor is not None:
        page = registry.lineage(made.digest, direction, depth=1, limit=4, cursor=cursor)
        assert page.nodes[0].label == "a/hub@1"
        assert [node.key for _, node in page.next(page.root)][-1] == page.nodes[-1].key
        found += page.nodes[1:]
        left.append(page.more)
        cursor = page.cursor
        assert not page.complete or cursor is None
    assert [node.key for node in found] == [str(one.digest) for one in relatives[direction]]
    assert left == [4, 1, 0]


def test_a_relative_in_two_roles_is_on_one_page(registry, hub):
    page = registry.lineage(hub[0].digest, "children", depth=1, limit=2)
    steps = [(role, node.label) for role, node in page.next(page.root)]
    assert sorted(steps) == [("adapted-from", "a/u0@1"), ("uses", "a/u0@1")]
    assert (page.more, page.rest) == (6, "6")


def test_a_later_page_is_followed_as_deep_as_the_first(registry, hub):
    cursor = registry.lineage(hub[0].digest, "children", limit=7).cursor
    page = registry.lineage(hub[0].digest, "children", cursor=cursor)
    assert labels(page) == ["a/hub@1", "a/u6@1", "a/onward@1"]
    assert page.complete


def test_very_many_relatives_are_counted_up_to_a_number(registry, hub, monkeypatch):
    monkeypatch.setattr("metaloom_registry.catalogue.lineage.ancestry.MOST_COUNTED", 2)
    page = registry.lineage(hub[0].digest, "children", depth=1, limit=4)
    assert (page.more, page.rest) == (2, "at least 2")


def test_a_cursor_of_another_lineage_is_refused(registry, hub):
    made, relatives = hub
    cursor = registry.lineage(made.digest, "children", limit=4).cursor
    with pytest.raises(ParseError, match="of another query"):
        registry.lineage(relatives["parents"][0].digest, "children", cursor=cursor)
    with pytest.raises(ParseError, match="is not a cursor"):
        registry.lineage(made.digest, "parents", cursor=cursor)
    with pytest.raises(ParseError, match="is not a cursor"):
        registry.lineage(made.digest, cursor="x")


def test_a_diamond_has_each_node_once(registry, publish):
    top = publish("a/top", "int", b"0")
    sides = [publish(f"a/s{i}", "int", bytes([i]), parents=(Parent(top.digest),)) for i in (1, 2)]
    bottom = publish("a/bottom", "int", b"9", parents=tuple(Parent(s.digest) for s in sides))
    lineage = registry.lineage(bottom.digest)
    assert sorted(labels(lineage)) == ["a/bottom@1", "a/s1@1", "a/s2@1", "a/top@1"]
    assert len(lineage.edges) == 4


def test_what_was_never_here_has_no_lineage(registry):
    with pytest.raises(NotFound, match="knows nothing of sha256:"):
        registry.lineage(Digest.of(b"?"))
    with pytest.raises(NotFound, match="no block lists/map"):
        registry.lineage(MAP)


def test_a_run_recorded_twice_is_one_run(registry, family):
    registry.record_run(family[2], {"name": "again"})
    assert [m.kind for m in registry.outbox.pending(10)] == ["publish"] * 3


def test_a_run_needs_its_inputs(registry):
    with pytest.raises(NotFound, match="the parent"):
        registry.record_run(RunRecord("solve", 0.0, 1.0, inputs=(Parent(Digest.of(b"?")),)))


def test_a_message_about_a_run_carries_its_digest(registry):
    run = RunRecord("solve", 0.0, 1.0)
    assert registry.record_run(run, {"metrics": {"accuracy": 1.0}}) == run.digest
    [message] = registry.outbox.pending(10)
    assert message.kind == "solve"
    assert message.payload == {"metrics": {"accuracy": 1.0}, "event": run.digest.hex}


def test_the_outbox_gives_what_is_not_sent_oldest_first(registry, publish):
    for i in range(5):
        publish("a/x", "int", bytes([i]))
    outbox = registry.outbox
    first, second = outbox.pending(2)
    assert [m.payload["reference"] for m in (first, second)] == ["a/x@1", "a/x@2"]
    assert [m.id for m in outbox.pending(10, after=(0, second.id))] == [3, 4, 5]
    outbox.mark_sent([first.id, second.id])
    outbox.mark_failed([3], "refused")
    fourth, fifth = outbox.pending(10)
    assert [(m.id, m.attempts) for m in (fourth, fifth)] == [(4, 0), (5, 0)]
    assert [(m.id, m.attempts) for m in outbox.pending(10, after=(0, fifth.id))] == [(3, 1)]
    assert outbox.waiting() == 3
    outbox.mark_failed([4, 5], "refused")
    outbox.mark_failed([3], "refused")
    third, *_ = outbox.pending(10, after=(0, fifth.id))
    assert [m.id for m in outbox.pending(10, after=(0, fifth.id))] == [4, 5, 3]
    assert [m.id for m in outbox.pending(10, after=(third.attempts, third.id))] == [5, 3]


def test_a_primitive_counts_its_uses(registry, publish, family):
    publish("me/other", "int", b"7", kind="program", requires=(MAP,))
    registry.mark_used([], [MAP])
    [row] = registry.lineage(MAP, depth=0).nodes
    assert row.label == "lists/map@1"
