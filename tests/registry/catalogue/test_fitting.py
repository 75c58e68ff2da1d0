"""What fits beside what, what behaves alike, and what did well on similar tasks."""

import pytest

from metaloom_registry import (
    Digest,
    NotFound,
    Parent,
    ParseError,
    Reference,
    RunRecord,
    TypeMismatch,
    parse_type,
)
from metaloom_registry.catalogue import TaskRecord
from metaloom_registry.catalogue.search.likeness import best_score

T = parse_type


def found(page) -> list[str]:
    return [str(hit.version.name) for hit in page.items]


def facts(*values: float, probe: str = "p") -> dict:
    """Facts with a fingerprint that begins with these values."""
    numbers = [*values, *[0.0] * (128 - len(values))]
    return {"fingerprint": {"probe": probe, "inputs": [], "values": numbers}}


@pytest.fixture
def blocks(publish):
    """Encoders, heads and programs."""
    publish("vision/conv4", "image[1,28,28] -> vec[64]", b"1")
    publish("vision/wide", "image[1,28,28] -> vec[512]", b"2")
    publish("heads/nearest", "examples[vec[n],label[k]] -> vec[n] -> logits[k]", b"3")
    publish("heads/narrow", "examples[vec[64],label[k]] -> vec[64] -> logits[k]", b"4")
    publish("heads/linear", "vec[64] -> logits[10]", b"5", tags=("trained",))
    publish("any/norm", "vec[n] -> vec[n]", b"6", kind="program")
    publish("any/identity", "a -> a", b"7", kind="program")
    publish("any/add", "int -> int -> int", b"8", kind="program")
    publish("any/number", "int", b"9", kind="program")


QUERIES: list[tuple[dict, set[str]]] = [
    ({"after": "vision/conv4"},
     {"heads/nearest", "heads/narrow", "heads/linear", "any/norm", "any/identity"}),
    ({"after": "vision/wide"}, {"heads/nearest", "any/norm", "any/identity"}),
    ({"after": "vision/conv4", "kind": "program"}, {"any/norm", "any/identity"}),
    ({"after": "vision/conv4", "tags": ("trained",)}, {"heads/linear"}),
    ({"after": "vision/conv4", "text": "heads", "gives": T("logits[10]")},
     {"heads/nearest", "heads/narrow", "heads/linear"}),
    ({"before": "heads/linear"}, {"vision/conv4", "any/norm", "any/identity"}),
    ({"before": "heads/nearest"},
     {"vision/conv4", "vision/wide", "any/norm", "any/identity"}),
    ({"before": "heads/narrow"}, {"vision/conv4", "any/norm", "any/identity"}),
    ({"after": "vision/conv4", "before": "heads/linear"}, {"any/norm", "any/identity"}),
    ({"after": "vision/wide", "before": "heads/linear"}, set()),
    ({"after": "vision/wide", "before": "heads/nearest"}, {"any/norm", "any/identity"}),
    ({"after": "heads/linear"}, {"any/identity"}),
    ({"after": "heads/nearest"}, {"any/identity"}),
    ({"after": "any/add"}, {"any/identity"}),
    ({"before": "any/add"}, {"any/identity"}),
    ({"after": T("text -> int")}, {"any/add", "any/identity"}),
    ({"after": T("text -> int"), "before": T("(int -> int) -> bool")}, {"any/add"}),
]  # fmt: skip


def test_what_fits_beside_is_found(registry, blocks):
    for query, names in QUERIES:
        ends = {
            side: Reference.parse(given) if isinstance(given, str) else given
            for side, given in query.items()
            if side in ("after", "before")
        }
        assert set(found(registry.finder.search(**{**query, **ends}))) == names, query


def test_a_hit_says_how_it_fits(registry, blocks):
    after = Reference.parse("vision/conv4")
    why = {
        str(hit.version.name): hit.why
        for hit in registry.finder.search(after=after, before=T("vec[64] -> int")).items
    }
    assert why["any/norm"] == ("takes vec[n] (here vec[64])", "gives vec[n] (here vec[64])")
    head = registry.finder.search("nearest", after=after).items[0]
    assert head.why == ("its name has 'nearest'", "takes vec[n] (here vec[64])")


def test_nothing_fits_beside_what_is_no_function(registry, blocks):
    for side in ("after", "before"):
        with pytest.raises(TypeMismatch, match=r"int is no function, .*look for what takes"):
            registry.finder.search(**{side: Reference.parse("any/number")})
    with pytest.raises(NotFound, match="no block any/none"):
        registry.finder.search(after=Reference.parse("any/none"))


def test_what_behaves_most_alike_comes_first_and_filters_combine(registry, publish):
    types = {"graph": "vec[4] -> vec[2]", "program": "vec[4] -> logits[2]"}
    for i in range(40):
        kind = "program" if i % 4 == 0 else "graph"
        tags = ("even",) if i % 2 == 0 else ()
        publish(f"a/x{i}", types[kind], bytes([i]), kind=kind, tags=tags, facts=facts(i), card="w")
    publish("b/elsewhere", "vec[5] -> vec[2]", b"other", facts=facts(3.1))
    publish("b/probed", "vec[4] -> vec[2]", b"probed", facts=facts(3.1, probe="q"))
    like = Reference.parse("a/x3")
    find = registry.finder.search
    near = find(like=like, limit=4)
    assert found(near) == ["a/x2", "a/x4", "a/x1", "a/x5"]
    assert near.items[0].why == ("behaves like a/x3@1: 1 apart",)
    assert found(find(like=like, kind="program", limit=3)) == ["a/x4", "a/x0", "a/x8"]
    assert found(find(like=like, tags=("even",), gives=T("vec[2]"), limit=3)) == [
        "a/x2", "a/x6", "a/x10"
    ]  # fmt: skip
    assert found(find("x9 w", like=like)) == ["a/x9"]
    registry.yank("a/x2")
    assert found(find(like=like, limit=2)) == ["a/x4", "a/x1"]


def test_pages_of_what_behaves_alike_are_together_the_whole(registry, publish):
    for i in range(12):
        for space in ("a", "b"):
            publish(f"{space}/x{i}", "int -> int", bytes([i]), facts=facts(i // 3))
    like = Reference.parse("a/x4")
    whole = found(registry.finder.search(like=like, limit=100))
    assert len(whole) == 22, "its own block is left out under both names"
    pages: list[str] = []
    cursor = None
    while True:
        page = registry.finder.search(like=like, limit=5, cursor=cursor)
        pages += found(page)
        if (cursor := page.cursor) is None:
            break
    assert pages == whole


def test_what_has_no_fingerprint_is_named(registry, publish):
    publish("a/x")
    with pytest.raises(NotFound, match=r"no fingerprint was measured of a/x@1, a graph"):
        registry.finder.search(like=Reference.parse("a/x"))


@pytest.mark.parametrize(
    "fingerprint",
    [
        None, 7, {}, {"values": None}, {"values": "x" * 128}, {"values": [1.0] * 127},
        {"values": [1e9] * 128}, {"values": [True] * 128}, {"values": ["1"] * 128},
    ],
)  # fmt: skip
def test_a_fingerprint_that_is_none_is_no_point(registry, publish, fingerprint):
    publish("a/x", "int -> int", b"1", facts={"fingerprint": fingerprint})
    with pytest.raises(NotFound, match="no fingerprint was measured"):
        registry.finder.search(like=Reference.parse("a/x"))


@pytest.fixture
def runs(registry, publish):
    """Blocks that were tried on tasks at 0, 1, 2 and 50, with their scores."""
    good, bad, far = (publish(f"a/{n}", "int -> int", n.encode()) for n in ("good", "bad", "far"))
    publish("a/untried", "int -> int", b"untried")
    for place, version, score in (
        (0, good, 0.9), (0, bad, 0.3), (1, good, 0.8), (1, bad, 0.7), (2, bad, 0.1), (50, far, 1.0),
        (2, good, None),
    ):  # fmt: skip
        point = (float(place), *[0.0] * 127)
        task = TaskRecord(Digest.of(f"{place}".encode()), "t", T("int -> int"), point=point)
        registry.record_run(
            RunRecord(
                "solve", 1.0, 2.0, task,
                status="finished" if score is not None else "no-solution",
                scores={} if score is None else {"query accuracy": score, "query accuracy low": 0},
                seed=place,
                inputs=(Parent(version.digest),),
            )
        )  # fmt: skip


def test_what_did_best_on_similar_tasks_comes_first(registry, runs):
    near = registry.finder.search(task=[0.125, *[0.0] * 127])
    assert found(near) == ["a/good", "a/bad", "a/far"]
    assert near.items[0].why == ("query accuracy 0.9 on a task 0.125 apart, of 2 like it",)
    beyond = registry.finder.search(task=[50.0, *[0.0] * 127])
    assert found(beyond)[0] == "a/far"
    assert found(registry.finder.search("bad", task=[0.0] * 128)) == ["a/bad"]


def test_what_came_of_a_run_counts_as_what_went_into_it(registry, publish):
    task = TaskRecord(Digest.of(b"t"), "t", T("int -> int"), point=(1.0,) * 128)
    scores = {"support accuracy": 0.5}
    run = registry.record_run(RunRecord("solve", 1.0, 2.0, task, scores=scores))
    publish("a/solution", run=run)
    [hit] = registry.finder.search(task=[1.0] * 128).items
    assert hit.why == ("support accuracy 0.5 on a task 0 apart",)


@pytest.mark.parametrize("point", [[], [1.0] * 127, [float("nan")] * 128, [1e9] * 128])
def test_a_task_needs_a_point(registry, point):
    with pytest.raises(ParseError, match="are no point; give 128 finite numbers"):
        registry.finder.search(task=point)


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ({}, None),
        ({"seconds": 3.0}, None),
        ({"support accuracy": 0.5, "query accuracy": 0.25}, (0.25, "query accuracy 0.25")),
        ({"query rmse": 1.0}, (0.5, "query rmse 1")),
        ({"query accuracy low": 0.5}, None),
        ({"query accuracy": True}, None),
        ({"query accuracy": "high"}, None),
        ({"query accuracy": 7.0}, (1.0, "query accuracy 7")),
    ],
)
def test_a_score_is_that_of_the_query_else_of_the_support(scores, wanted):
    assert best_score(scores) == wanted
