"""The most used blocks: whichever way they are looked for, those that a look at all would give."""

import random
from typing import Any

import pytest
from sqlalchemy import text

from metaloom_registry import ParseError, parse_type
from metaloom_registry.catalogue import Wanted
from metaloom_registry.catalogue.search import using

T = parse_type
TYPES = ("int -> int", "int -> bool", "list[int] -> int", "a -> a", "text -> int", "bool -> text")
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"takes": T("int")},
    {"gives": T("int")},
    {"type": T("a -> b")},
    {},
)


@pytest.fixture
def listed(registry, publish):
    """Twenty blocks of a few types and tags, some used more than others; the most used first."""
    chosen = random.Random(1)
    blocks = []
    for i in range(20):
        tags = ("even",) if i % 2 == 0 else ("odd", "third")[: 1 + (i % 3 == 0)]
        signature = chosen.choice(TYPES)
        blocks.append((publish(f"a/x{i}", signature, b"%d" % i, tags=tags), tags))
    for _ in range(30):
        registry.mark_used([chosen.choice(blocks)[0].digest])
    blocks = [(registry.resolve(block.reference), tags) for block, tags in blocks]
    newest_first = list(reversed(blocks))
    return sorted(newest_first, key=lambda one: one[0].uses, reverse=True)


@pytest.mark.parametrize("rare", [0, 2_000])
@pytest.mark.parametrize(("common", "few"), [(3, 1), (3, 4), (1_000, 4)])
def test_every_way_to_look_gives_the_most_used_in_order(
    registry, listed, monkeypatch, rare, common, few
):
    monkeypatch.setattr("metaloom_registry.catalogue.search.finding.MANY_BLOCKS", rare)
    monkeypatch.setattr(using, "COMMON", common)
    monkeypatch.setattr(using, "AT_ONCE", 2)
    monkeypatch.setattr(using, "FEW", few)
    whole = {
        str(question): {hit.version.digest for hit in registry.search(**question, limit=50).items}
        for question in QUESTIONS
    }
    for question in QUESTIONS:
        for tag in (None, "even", "third"):
            wanted = [
                block
                for block, tags in listed
                if block.digest in whole[str(question)] and tag in (None, *tags)
            ]
            found, cursor, pages = [], None, 0
            while pages == 0 or cursor is not None:
                page = registry.search(**question, tag=tag, limit=3, cursor=cursor)
                found += [hit.version for hit in page.items]
                cursor, pages = page.cursor, pages + 1
            assert found == wanted, (question, tag)


def test_a_question_that_most_types_fit_reads_those_of_the_most_used_alone(
    registry, publish, monkeypatch
):
    for i in range(40):
        publish(f"a/x{i}", f"vec[{i + 1}] -> vec[{i + 1}]", b"1")
    read = []

    def reading(text):
        read.append(text)
        return T(text)

    monkeypatch.setattr("metaloom_registry.catalogue.search.fitting.parse_type", reading)
    monkeypatch.setattr(using, "AT_ONCE", 5)
    assert len(registry.search(type=T("a -> b"), limit=3).items) == 3
    assert len(read) == 5


def test_of_many_types_as_many_are_found_as_are_asked_for(registry, listed, monkeypatch):
    monkeypatch.setattr(using, "COMMON", 1)
    monkeypatch.setattr(using, "FEW", 1)
    uses = [block.uses for block, _ in listed]
    assert len(set(uses)) < len(uses)  # some are told apart by their age alone
    with registry.database.asking() as connection:
        keys = {row.id: row.key for row in connection.execute(text("SELECT id, key FROM node"))}
        fitting = registry.types.fitting(connection, Wanted(takes=T("a")))
        for limit in range(1, len(listed) + 1):
            found = using.most_used(connection, using.Filters(), fitting, limit)
            wanted = [block.digest.hex for block, _ in listed[:limit]]
            assert [keys[one.block] for one in found] == wanted


@pytest.mark.parametrize("many", [0, 1, 3, 2_000])
def test_several_tags_are_all_had_by_what_is_found(registry, publish, monkeypatch, many):
    monkeypatch.setattr("metaloom_registry.catalogue.search.finding.MANY_BLOCKS", many)
    tagged = [
        (publish(f"a/x{i}", "int -> int", b"%d" % i, tags=tuple(_divisors(i))), _divisors(i))
        for i in range(1, 25)
    ]
    for wanted in (("by-2",), ("by-3", "by-2"), ("by-2", "by-3", "by-4"), ("by-5", "by-7"), ()):
        found = [hit.version for hit in registry.finder.search(tags=wanted, limit=50).items]
        assert found == [
            version for version, tags in reversed(tagged) if tags.issuperset(wanted)
        ], wanted
    [first, *_] = registry.finder.search(tags=("by-2", "by-2"), limit=50).items
    assert first.why == ("is tagged by-2",)


def _divisors(number: int) -> set[str]:
    return {f"by-{k}" for k in range(2, 8) if number % k == 0}


def test_more_tags_than_a_block_may_have_are_refused(registry):
    with pytest.raises(ParseError, match="65 tags are too many; no block has more than 64"):
        registry.finder.search(tags=tuple(f"tag-{i}" for i in range(65)))
    assert registry.finder.search(tags=tuple(f"tag-{i}" for i in range(64))).items == ()
