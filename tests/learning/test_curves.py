"""Families of functions as few-shot regression tasks."""

from __future__ import annotations

import pytest
import torch

from metaloom_metalearn import Curves, polynomials, sinusoids, smooth_functions
from metaloom_metalearn.testing.task_source import TaskSourceSuite
from metaloom_registry import InvalidTask


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestCurves(TaskSourceSuite):
    @pytest.fixture
    def source(self) -> Curves:
        return Curves(sinusoids(), shots=4, queries=6)


def test_the_sinusoids_are_those_of_the_paper() -> None:
    source = Curves(sinusoids(), shots=200, queries=1)
    drawn = source.episodes(400, seeded(0))
    assert -5 <= float(drawn.support_x.min()) < -4.9
    assert 4.9 < float(drawn.support_x.max()) <= 5
    height = drawn.support_y.abs().amax((1, 2))
    assert 0.09 < float(height.min())
    assert 4.8 < float(height.max()) <= 5
    # y = a cos(p) sin x - a sin(p) cos x, exactly
    basis = torch.stack([drawn.support_x[0, :, 0].sin(), drawn.support_x[0, :, 0].cos()], 1)
    weights = torch.linalg.lstsq(basis, drawn.support_y[0]).solution
    torch.testing.assert_close(basis @ weights, drawn.support_y[0], atol=1e-4, rtol=0)


def test_a_polynomial_of_degree_two_is_fitted_by_three_points() -> None:
    drawn = Curves(polynomials(2), shots=3, queries=5).episodes(1, seeded(1))
    powers = torch.arange(3)
    basis = (drawn.support_x[0].double() / 5) ** powers
    weights = torch.linalg.solve(basis, drawn.support_y[0].double())
    found = (drawn.query_x[0].double() / 5) ** powers @ weights
    torch.testing.assert_close(found, drawn.query_y[0].double(), atol=1e-3, rtol=0)


def test_smooth_functions_have_the_covariance_of_their_kernel() -> None:
    function = smooth_functions(length=2.0)(20_000, seeded(2))
    y = function(torch.tensor([[0.0, 1.0, 4.0]]).expand(20_000, 3))
    covariance = (y.T @ y) / len(y)
    torch.testing.assert_close(covariance[0, 0], torch.tensor(1.0), atol=0.05, rtol=0)
    torch.testing.assert_close(covariance[0, 1], torch.tensor(-1 / 8).exp(), atol=0.05, rtol=0)
    torch.testing.assert_close(covariance[0, 2], torch.tensor(-2.0).exp(), atol=0.05, rtol=0)


def test_noise_is_on_the_support_alone() -> None:
    source = Curves(polynomials(0), shots=3, queries=4, noise=0.5)
    drawn = source.episodes(300, seeded(3))
    torch.testing.assert_close(drawn.query_y.std(1), torch.zeros(300, 1))
    off = drawn.support_y - drawn.query_y[:, :1]
    torch.testing.assert_close(off.std(), torch.tensor(0.5), atol=0.05, rtol=0)


def test_curves_without_points_are_refused() -> None:
    with pytest.raises(InvalidTask, match="0 shots and 10 queries"):
        Curves(sinusoids(), shots=0)
    with pytest.raises(InvalidTask, match=r"between 5\.0 and -5\.0"):
        Curves(sinusoids(), low=5.0, high=-5.0)
