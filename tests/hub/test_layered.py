"""Layered drawings: edges go to the right, and nothing lies on anything else."""

from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom.pictures.layered import Box, Layout, layered

GAPS = (40.0, 8.0)


@st.composite
def families(draw: st.DrawFn) -> tuple[dict[str, tuple[float, float]], list[tuple[str, str]], str]:
    """Ancestors and descendants of a root, each joined to it through some that are nearer."""
    above, below = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    edges = []
    for sign, count in ((-1, above), (1, below)):
        for i in range(1, count + 1):
            nearer = draw(st.sets(st.integers(0, i - 1), min_size=1, max_size=3))
            for j in sorted(nearer):
                ends = (str(sign * j), str(sign * i))
                edges.append(ends if sign > 0 else ends[::-1])
    nodes = [str(i) for i in range(-above, below + 1)]
    sizes = {node: (10.0 * (1 + len(node)), draw(st.sampled_from([20.0, 50.0]))) for node in nodes}
    return sizes, edges, "0"


def overlap(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.width - 1e-6
        and other.x < one.x + one.width - 1e-6
        and one.y < other.y + other.height - 1e-6
        and other.y < one.y + one.height - 1e-6
    )


def drawn(layout: Layout) -> list[Box]:
    lanes = [box for route in layout.routes.values() for box in route[1:-1]]
    return [*layout.boxes.values(), *lanes]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(families())
def test_edges_go_right_and_nothing_overlaps(family) -> None:
    sizes, edges, root = family
    layout = layered(sizes, edges, root, GAPS)
    assert set(layout.boxes) == set(sizes)
    assert set(layout.routes) == set(edges)
    for (left, right), route in layout.routes.items():
        assert (route[0], route[-1]) == (layout.boxes[left], layout.boxes[right])
        for one, other in pairwise(route):
            assert one.x + one.width + GAPS[0] <= other.x + 1e-6
    for one, other in combinations(drawn(layout), 2):
        assert not overlap(one, other)
    assert min(box.y for box in drawn(layout)) == 0
    assert max(box.x + box.width for box in layout.boxes.values()) <= layout.width + 1e-6
    assert max(box.y + box.height for box in layout.boxes.values()) <= layout.height + 1e-6


def test_a_node_stands_beyond_the_farthest_that_it_is_joined_to() -> None:
    sizes = dict.fromkeys("abcd", (10.0, 10.0))
    layout = layered(sizes, [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d")], "c", GAPS)
    lefts = [layout.boxes[node].x for node in "abcd"]
    assert lefts == [0.0, 50.0, 100.0, 150.0]
    assert len(layout.routes["a", "c"]) == 3, "a lane beside b"


def test_a_chain_is_drawn_straight() -> None:
    sizes = {"a": (10.0, 10.0), "b": (10.0, 40.0), "c": (10.0, 20.0)}
    layout = layered(sizes, [("a", "b"), ("b", "c")], "b", GAPS)
    assert {box.middle for box in layout.boxes.values()} == {20.0}


def test_a_root_alone_is_at_the_origin() -> None:
    assert layered({"a": (3.0, 4.0)}, [], "a", GAPS).boxes == {"a": Box(0.0, 0.0, 3.0, 4.0)}
