"""Curves: errors and refits against the points themselves; planted libraries are recovered."""

from __future__ import annotations

import pytest
import torch

from metaloom_metalearn import Clock, MemoryJournal
from metaloom_metalearn.modular.curve_library import CurveLibrary, learn_curves
from metaloom_metalearn.modular.curves import Curve, Knots, Moments, roughness
from metaloom_metalearn.modular.discover import Discovery, counts_of, discover, pairs_of
from metaloom_metalearn.modular.trend import Bands, block_tridiagonal, trend_filtered
from metaloom_registry import (
    InvalidTask,
    ParseError,
    Reference,
    export_module,
    load_graph,
    print_term,
)

KNOTS = Knots(-1.0, 1.0, 9)
SMALL = Discovery(sizes=(4, 8, 12), restarts=4, reheats=3, knots=17)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def planted(noise: float = 0.02) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Sums of two of seven functions at 40 random points: all 21 pairs, twice."""
    structures = torch.combinations(torch.arange(7), 2).repeat(2, 1)
    x = 2 * torch.rand(42, 40, generator=seeded(5), dtype=torch.float64) - 1
    each = torch.stack(
        [x.abs(), (3 * x).sin(), (x > 0.2).double(), x**2 - 1, (5 * x).cos(), x, (-9 * x**2).exp()]
    )
    tasks = torch.arange(42)
    y = each[structures[:, 0], tasks] + each[structures[:, 1], tasks]
    return x, y + noise * random(42, 40, seed=6), structures


def test_a_curve_is_the_line_between_its_knots_and_flat_beyond() -> None:
    values = random(2, 9)
    x = torch.tensor([-5.0, -1.0, -0.875, 0.25, 1.0, 3.0], dtype=torch.float64)
    found = KNOTS.at(values, x)
    wanted = values[:, [0, 0, 0, 5, 8, 8]]
    wanted[:, 2] = values[:, :2].mean(1)
    torch.testing.assert_close(found, wanted)
    module = Curve(KNOTS, values[1])
    torch.testing.assert_close(module(x[:, None])[:, 0], wanted[1])


def test_a_curve_is_a_block() -> None:
    module = Curve(KNOTS, random(9).float())
    exported = export_module(module, "vec[1] -> vec[1]")
    x = torch.linspace(-2, 2, 30)[:, None]
    torch.testing.assert_close(load_graph(exported.graph, exported.weights)(x), module(x))


def test_errors_from_moments_are_those_of_the_points() -> None:
    x, y = torch.rand(4, 11, generator=seeded(), dtype=torch.float64) * 2 - 1, random(4, 11)
    values, pairs = random(3, 9, seed=1), pairs_of(3)
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    found = Moments.of(KNOTS, x, y, weights).errors(values, pairs)
    each = KNOTS.at(values, x)
    wanted = (each[pairs[:, 0]] + each[pairs[:, 1]] - y).square().mean(2).T * weights[:, None]
    torch.testing.assert_close(found, wanted)


def test_a_refit_is_where_the_gradient_of_the_penalised_error_is_zero() -> None:
    x, y = torch.rand(6, 30, generator=seeded(), dtype=torch.float64) * 2 - 1, random(6, 30)
    structures = torch.tensor([[0, 1], [1, 2], [0, 2], [0, 0], [2, 2], [1, 1]])
    counts, ridge = counts_of(structures, 3), roughness(KNOTS)
    weights = torch.ones(6, dtype=torch.float64)
    both = counts[:, :, None] * counts[:, None]
    values = Moments.of(KNOTS, x, y, weights).refitted(counts, both, ridge).requires_grad_()
    each, tasks = KNOTS.at(values, x), torch.arange(6)
    total = each[structures[:, 0], tasks] + each[structures[:, 1], tasks]
    penalty = torch.einsum("kd,de,ke->", values, ridge, values)
    ((total - y).square().sum() + penalty).backward()
    assert values.grad is not None
    assert float(values.grad.abs().max()) < 1e-9


def test_the_block_solver_solves_the_dense_system() -> None:
    blocks, size = 4, 3
    above = random(blocks - 1, size, size)
    dense = torch.zeros(12, 12, dtype=torch.float64)
    for place in range(blocks - 1):
        dense[3 * place : 3 * place + 3, 3 * place + 3 : 3 * place + 6] = above[place]
    dense = dense + dense.T + 20 * torch.eye(12, dtype=torch.float64)
    wanted = random(blocks, size)
    diagonal = torch.stack([dense[i : i + 3, i : i + 3] for i in range(0, 12, 3)])
    found = block_tridiagonal(diagonal, above, wanted)
    torch.testing.assert_close(dense @ found.flatten(), wanted.flatten())


def test_the_banded_solution_is_that_of_the_dense_penalised_system() -> None:
    x, y, structures = planted()
    moments = Moments.of(Knots(-1.0, 1.0, 21), x, y)
    bands = Bands.of(moments, structures, 7)
    found = bands.solved(torch.full((19, 7), 0.3, dtype=torch.float64), 0.01)
    eye = torch.eye(21, dtype=torch.float64)
    first, second = eye.diff(dim=0), eye.diff(dim=0).diff(dim=0)
    ridge = 0.01 * first.T @ first + 0.3 * second.T @ second + 1e-9 * eye
    counts = counts_of(structures, 7)
    dense = moments.refitted(counts, counts[:, :, None] * counts[:, None], ridge)
    torch.testing.assert_close(found.T, dense)


def test_a_trend_filter_keeps_a_jump_and_a_line() -> None:
    x = torch.linspace(-1, 1, 200, dtype=torch.float64).repeat(6, 1)
    y = torch.where(x > 0.1, 1.0, -1.0) + 0.05 * random(6, 200)
    moments = Moments.of(Knots(-1.0, 1.0, 101), x, y / 2)
    values = trend_filtered(moments, torch.zeros(6, 2, dtype=torch.int64), 1, 0.01)[0] * 4
    assert float((values[:54] + 1).abs().max()) < 0.1
    assert float((values[57:] - 1).abs().max()) < 0.1


def test_a_planted_library_is_recovered_and_its_size_too() -> None:
    x, y, structures = planted()
    journal = MemoryJournal()
    found = discover(x, y, seeded(1), SMALL, journal=journal)
    assert 7 <= len(found.values) <= 9
    assert found.error < 0.006  # with the planted structures it is 0.0046
    assert found.tried > 1000
    assert {event.facts["phase"] for event in journal.events} == {"grow", "reheat"}
    alike = (found.structures[:21] == found.structures[21:]).all(1)
    assert torch.equal(structures[:21], structures[21:])
    assert int(alike.sum()) >= 19
    assert len(set(map(tuple, found.structures.tolist()))) >= 21


def test_a_new_sum_is_found_from_a_few_points() -> None:
    x, y, _ = planted()
    kept = torch.arange(42) % 21 != 3  # |x| + cos(5x) is in no task
    library = learn_curves(x[kept], y[kept], seeded(1), SMALL)
    at = torch.tensor([-0.8, -0.3, 0.0, 0.15, 0.5, 0.9], dtype=torch.float64)
    wanted = lambda t: t.abs() + (5 * t).cos()  # noqa: E731
    best, *_ = library.choices(at, wanted(at))
    grid = torch.linspace(-1, 1, 101, dtype=torch.float64)
    wrong = (library.predict(best.structure, grid) - wanted(grid)).square().mean()
    assert float(wrong / wanted(grid).var()) < 0.01
    names = [Reference.parse(f"me/f{k}") for k in range(len(library))]
    first, second = (names[k] for k in best.structure)
    term = library.term(best.structure, names)
    assert print_term(term) == f"(lam (vectors/plus@1 ({first} $0) ({second} $0)))"
    curve = library.curve(best.structure[0])
    torch.testing.assert_close(
        curve(grid[:, None].float())[:, 0].double(),
        library.knots.at(library.values[best.structure[0]][None], grid)[0],
        atol=1e-4,
        rtol=1e-4,
    )


def test_discovery_keeps_what_it_has_when_the_time_is_over() -> None:
    x, y, _ = planted()
    ticks = iter(range(10_000))
    clock = Clock(3.0, lambda: float(next(ticks)))
    found = discover(x, y, seeded(), SMALL, clock)
    assert len(found.values) <= 12
    assert torch.isfinite(found.values).all()


def test_what_cannot_be_learned_from_is_refused() -> None:
    x, y, _ = planted()
    with pytest.raises(InvalidTask, match="curves want both as"):
        discover(x, y[:, :3], seeded())
    with pytest.raises(InvalidTask, match="fitted in float64"):
        discover(x.float(), y.float(), seeded())
    with pytest.raises(InvalidTask, match="not all finite"):
        discover(x, y / 0, seeded())
    with pytest.raises(InvalidTask, match="give two tasks or more"):
        discover(x[:1], y[:1], seeded())
    with pytest.raises(ParseError, match="ascending numbers"):
        Discovery(sizes=(8, 4))
    with pytest.raises(ParseError, match="temperatures that fall"):
        Discovery(warm=0.1, cold=1.0)
    with pytest.raises(ParseError, match="between 0 and 1"):
        Discovery(held=1.5)
    with pytest.raises(ParseError, match="two or more knots"):
        Knots(1.0, -1.0, 5)
    library = CurveLibrary(KNOTS, random(2, 9), pairs_of(2), torch.ones(2), 0.1)
    with pytest.raises(InvalidTask, match="one task's points"):
        library.choices(x, y)
