"""Implicit MAML: against the closed form of a quadratic, and finite differences of its minimum."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from metaloom_metalearn import Episodes, imaml
from metaloom_metalearn.learners.imaml import ImplicitMAML, conjugate_gradients
from metaloom_metalearn.testing.learner import LearnerSuite, MetaLearnerSuite
from metaloom_registry import ParseError


class TestImplicitMAMLAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> ImplicitMAML:
        return imaml(steps=20, lr=0.3, strength=0.1)


class TestImplicitMAMLIsMetaTrained(MetaLearnerSuite):
    """Finite differences see where the descent ends: it has to end at its minimum."""

    @pytest.fixture
    def learner(self) -> ImplicitMAML:
        return imaml(steps=120, lr=0.2, strength=2.0, solver_steps=40)

    @pytest.fixture
    def model(self) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(
                nn.AvgPool2d(3), nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3)
            ).double()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_gradient_of_linear_regression_is_the_closed_form() -> None:
    """phi = (H + l)^-1 (2/n X'y + l theta) with H = 2/n X'X; the chain rule through it is exact."""
    strength = 1.5
    x, qx = (torch.randn(2, 6, 3, generator=seeded(i), dtype=torch.float64) for i in (1, 2))
    y, qy = (torch.randn(2, 6, 1, generator=seeded(i), dtype=torch.float64) for i in (3, 4))
    model = nn.Linear(3, 1, bias=False).double()
    theta = model.weight.detach().T.clone().requires_grad_()
    eye = torch.eye(3, dtype=torch.float64)
    losses = []
    for t in range(2):
        hessian = x[t].T @ x[t] / 3
        right = x[t].T @ y[t] / 3 + strength * theta
        phi = torch.linalg.solve(hessian + strength * eye, right)
        losses.append(((qx[t] @ phi - qy[t]) ** 2).mean())
    loss = torch.stack(losses).mean()
    (wanted,) = torch.autograd.grad(loss, theta)
    learner = imaml(steps=300, lr=0.2, strength=strength, solver_steps=3)
    found = learner.meta_gradient(model, Episodes(x, y, qx, qy), seeded())
    assert found.loss == pytest.approx(loss.item())
    torch.testing.assert_close(found.gradients["weight"], wanted.T)


def test_without_a_solver_the_gradient_is_that_at_the_adapted_parameters() -> None:
    """And with a strength beyond measure the implicit gradient comes to it: phi stays at theta."""
    x = torch.randn(1, 6, 3, generator=seeded(1), dtype=torch.float64)
    y = torch.randn(1, 6, 1, generator=seeded(2), dtype=torch.float64)
    model = nn.Linear(3, 1, bias=False).double()
    episodes = Episodes(x, y, x, y)
    plain = imaml(steps=3, lr=1e-9, strength=1.0, solver_steps=0)
    held = imaml(steps=3, lr=1e-9, strength=1e8, solver_steps=3)
    one = plain.meta_gradient(model, episodes, seeded()).gradients["weight"]
    other = held.meta_gradient(model, episodes, seeded()).gradients["weight"]
    torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_conjugate_gradients_solve_in_as_many_steps_as_there_are_numbers() -> None:
    root = torch.randn(5, 5, generator=seeded(1), dtype=torch.float64)
    matrix = root @ root.T + torch.eye(5)
    right = {
        "a": torch.randn(2, generator=seeded(2), dtype=torch.float64),
        "b": torch.randn(3, 1, generator=seeded(3), dtype=torch.float64),
    }

    def product(given: dict[str, Tensor]) -> dict[str, Tensor]:
        image = matrix @ torch.cat([given["a"], given["b"][:, 0]])
        return {"a": image[:2], "b": image[2:, None]}

    wanted = torch.linalg.solve(matrix, torch.cat([right["a"], right["b"][:, 0]]))
    for steps in (5, 50):
        found = conjugate_gradients(product, right, steps)  # type: ignore[arg-type]
        torch.testing.assert_close(torch.cat([found["a"], found["b"][:, 0]]), wanted)


def test_conjugate_gradients_stand_still_where_the_product_curves_down() -> None:
    right = {"a": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)}
    matrix = torch.diag(torch.tensor([-1.0, 1e-5, 2.0], dtype=torch.float64))
    found = conjugate_gradients(lambda given: {"a": matrix @ given["a"]}, right, 50)
    assert float(found["a"].abs().max()) < 100


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ParseError, match="strength above 0"):
        imaml(strength=0.0)
    with pytest.raises(ParseError, match="0 or more steps of conjugate gradients"):
        imaml(solver_steps=-1)
