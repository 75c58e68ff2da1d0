"""The nearest points: exact whatever the points, and in step with the database whatever happens."""

import os
from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from metaloom_registry import Json, Manifest, Reference, Registry, parse_type
from metaloom_registry.catalogue.publish.publishing import add_node
from metaloom_registry.catalogue.search import neighbours as module
from metaloom_registry.catalogue.search.embeddings import LENGTH, add_embedding, point_of
from metaloom_registry.catalogue.search.neighbours import RECORD, Neighbours, records_of

_numbers = count()


@pytest.fixture
def put(registry):
    """`put(space, points)`: new nodes with these points; their ids."""

    def make(space: int, points: np.ndarray) -> list[int]:
        def change(session):
            nodes = []
            for row in points.astype("<f2"):
                node = add_node(session, "task", f"{next(_numbers):064x}")
                add_embedding(session, node, space, row.tobytes())
                nodes.append(node)
            return nodes

        return registry.database.write(change)

    return make


def asked(registry, neighbours: Neighbours, space: int, point, limit: int, **options):
    with registry.database.reading() as session:
        return neighbours.nearest(
            session.connection(), space, point_of(list(point)), limit, **options
        )


def brute(nodes: list[int], points: np.ndarray, query: np.ndarray, limit: int):
    """What a loop over all points finds."""
    apart = points.astype("<f2").astype(float) - query.astype("<f2").astype(float)
    distances = np.sqrt((apart**2).sum(1))
    order = np.lexsort((nodes, distances))[:limit]
    return [(nodes[i], pytest.approx(distances[i])) for i in order]


KINDS = {
    "alone": lambda rng: rng.standard_normal((300, LENGTH)),
    "near each other": lambda rng: 100 + 0.1 * rng.standard_normal((300, LENGTH)),
    "in clusters": lambda rng: (
        np.repeat(rng.standard_normal((10, LENGTH)) * 30, 30, 0)
        + 0.01 * rng.standard_normal((300, LENGTH))
    ),
    "of all sizes": lambda rng: (
        rng.standard_normal((300, LENGTH)) * 10.0 ** rng.uniform(-6, 4, (300, 1))
    ),
    "many of them one": lambda rng: np.repeat(rng.standard_normal((3, LENGTH)), 100, 0),
    "nothing": lambda rng: np.zeros((300, LENGTH)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_finds_what_a_loop_over_all_points_finds(registry, put, tmp_path, kind):
    rng = np.random.default_rng(0)
    points = KINDS[kind](rng)
    nodes = put(1, points)
    put(2, points[:5])
    neighbours = Neighbours(tmp_path / "near.bin")
    for query in (points[3], points[3] + 0.01, rng.standard_normal(LENGTH)):
        for limit in (1, 7, 300, 999):
            found = asked(registry, neighbours, 1, query, limit)
            assert found == brute(nodes, points, query, limit)


@settings(max_examples=30)
@given(st.lists(st.floats(-6e4, 6e4, width=16), min_size=LENGTH, max_size=LENGTH))
def test_a_record_is_no_further_from_its_point_than_it_says(values):
    [record] = records_of([1], [2], [point_of(values)])
    about = record["values"].astype(float) * float(record["scale"])
    exact = np.array(values)
    apart = np.sqrt(((about - exact) ** 2).sum())
    assert apart <= record["lost"] * (1 + 1e-12) + 1e-12
    assert record["square"] == pytest.approx((about**2).sum(), rel=1e-6)
    assert record["lost"] <= record["scale"] * np.sqrt(LENGTH)


def test_only_what_is_kept_is_given_however_far_it_is(registry, put):
    points = np.arange(200)[:, None] * np.ones((1, LENGTH))
    nodes = put(1, points)
    neighbours = Neighbours()
    found = asked(
        registry, neighbours, 1, points[0], 3,
        keep=lambda near: {node for node, _ in near if node >= nodes[190]},
    )  # fmt: skip
    assert [node for node, _ in found] == nodes[190:193]
    only = [nodes[50], nodes[20], nodes[90], 10**6]
    found = asked(registry, neighbours, 1, points[0], 3, only=only)
    assert [node for node, _ in found] == [nodes[20], nodes[50], nodes[90]]
    assert asked(registry, neighbours, 9, points[0], 3) == []


def test_what_is_new_is_found_by_every_reader_of_one_file(registry, put, tmp_path):
    one, other = (Neighbours(tmp_path / "near.bin") for _ in range(2))
    points = np.random.default_rng(1).standard_normal((90, LENGTH))
    nodes: list[int] = []
    for step, reader in enumerate((one, other, other, one, Neighbours(tmp_path / "near.bin"))):
        some = points[step * 18 : step * 18 + 18]
        nodes += put(1, some)
        known = points[: len(nodes)]
        assert asked(registry, reader, 1, points[0], 9) == brute(nodes, known, points[0], 9)
    assert (tmp_path / "near.bin").stat().st_size == 64 + 90 * RECORD.itemsize


DAMAGE = {
    "is gone": lambda path: path.unlink(),
    "is empty": lambda path: path.write_bytes(b""),
    "is cut off": lambda path: os.truncate(path, path.stat().st_size - 1),
    "lost its header": lambda path: path.write_bytes(b"x" * 64 + path.read_bytes()[64:]),
    "is of nothing known": lambda path: path.write_bytes(os.urandom(5000)),
    "has half a record more": lambda path: path.write_bytes(path.read_bytes() + b"half"),
}


def test_a_reader_that_began_before_others_added_leaves_what_they_added(registry, put, tmp_path):
    points = np.random.default_rng(1).standard_normal((9, LENGTH))
    nodes = put(1, points[:4])
    file = tmp_path / "neighbours.bin"
    early, late = Neighbours(file), Neighbours(file)
    with registry.database.reading() as session:
        query = (1, point_of(points[0].tolist()), 9)
        session.connection().execute(text("SELECT count(*) FROM embedding"))  # from here it sees
        nodes += put(1, points[4:])
        assert asked(registry, late, 1, points[0], 9) == brute(nodes, points, points[0], 9)
        before = file.stat().st_ino, file.read_bytes()
        seen = early.nearest(session.connection(), *query)
        assert seen == brute(nodes[:4], points[:4], points[0], 9)
    assert (file.stat().st_ino, file.read_bytes()) == before
    assert asked(registry, early, 1, points[0], 9) == brute(nodes, points, points[0], 9)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_was_damaged_is_made_again(registry, put, tmp_path, damage):
    points = np.random.default_rng(2).standard_normal((40, LENGTH))
    nodes = put(1, points)
    asked(registry, Neighbours(tmp_path / "near.bin"), 1, points[0], 5)
    DAMAGE[damage](tmp_path / "near.bin")
    nodes += put(1, points[:2])
    found = asked(registry, Neighbours(tmp_path / "near.bin"), 1, points[0], 5)
    assert found == brute(nodes, np.concatenate([points, points[:2]]), points[0], 5)


def test_the_file_of_another_database_is_made_again(registry, put, new_registry, tmp_path):
    points = np.random.default_rng(3).standard_normal((40, LENGTH))
    nodes = put(1, points)
    neighbours = Neighbours(tmp_path / "near.bin")
    asked(registry, neighbours, 1, points[0], 5)
    other = new_registry(validate=lambda *_: None)
    fingerprint: Json = {"probe": "p", "inputs": [], "values": [0.5] * LENGTH}
    for name in ("a/x", "a/y"):
        facts = {"fingerprint": fingerprint, "name": name}
        other.publish(name, Manifest("graph", parse_type("int -> int"), facts=facts), {})
    moved = Registry(other.blobs, other.database, neighbours=tmp_path / "near.bin")
    hits = moved.finder.search(like=Reference.parse("a/x")).items
    assert [str(hit.version.name) for hit in hits] == ["a/y"]
    found = asked(registry, Neighbours(tmp_path / "near.bin"), 1, points[0], 5)
    assert found == brute(nodes, points, points[0], 5)


def test_a_crash_between_records_and_header_loses_nothing(registry, put, tmp_path, monkeypatch):
    points = np.random.default_rng(4).standard_normal((40, LENGTH))
    nodes = put(1, points[:20])
    asked(registry, Neighbours(tmp_path / "near.bin"), 1, points[0], 5)
    nodes += put(1, points[20:])

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", crash)
        with pytest.raises(KeyboardInterrupt):
            asked(registry, Neighbours(tmp_path / "near.bin"), 1, points[0], 5)
    found = asked(registry, Neighbours(tmp_path / "near.bin"), 1, points[0], 5)
    assert found == brute(nodes, points, points[0], 5)


def test_more_points_than_are_added_or_scanned_at_once(registry, put, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ADDED", 7)
    monkeypatch.setattr(module, "PIECE", 11)
    points = np.random.default_rng(5).standard_normal((60, LENGTH))
    nodes = put(1, points[:30]) + put(2, points)[:0] + put(1, points[30:])
    found = asked(registry, Neighbours(tmp_path / "near.bin"), 1, points[9], 12)
    assert found == brute(nodes, points, points[9], 12)
