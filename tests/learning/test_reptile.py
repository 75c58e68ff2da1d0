"""Reptile: against a plain loop, joint training, and its leading terms."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from metaloom_metalearn import Episodes, reptile
from metaloom_metalearn.learners.reptile import Reptile
from metaloom_metalearn.testing.learner import LearnerSuite, MetaStepSuite, small_network
from metaloom_registry import ParseError


class TestReptileAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> Reptile:
        return reptile(steps=10, lr=0.5)


class TestReptileAdaptsInBatches(LearnerSuite):
    @pytest.fixture
    def learner(self) -> Reptile:
        return reptile(steps=40, lr=0.3, batch=6)


class TestReptileIsMetaTrained(MetaStepSuite):
    @pytest.fixture
    def learner(self) -> Reptile:
        return reptile(steps=3, lr=0.2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def episodes() -> Episodes:
    images = [torch.randn(3, 6, 1, 6, 6, generator=seeded(i), dtype=torch.float64) for i in (1, 2)]
    labels = (torch.arange(6) % 3).repeat(3, 1)
    return Episodes(images[0], labels, images[1], labels, 3)


@pytest.mark.parametrize("batch", [None, 4])
def test_it_goes_where_torchs_own_sgd_goes_task_after_task(
    episodes: Episodes, batch: int | None
) -> None:
    model = small_network(3)
    learner = reptile(steps=4, lr=0.2, batch=batch)
    found = learner.meta_gradient(model, episodes, seeded())
    places = learner._batches(3, 12, seeded())
    ways = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    for t in range(3):
        own = deepcopy(model)
        optimiser = torch.optim.SGD(own.parameters(), lr=0.2)
        x = torch.cat([episodes.support_x[t], episodes.query_x[t]])
        y = torch.cat([episodes.support_y[t], episodes.query_y[t]])
        for some in places[t]:
            optimiser.zero_grad()
            nn.functional.cross_entropy(own(x[some]), y[some]).backward()
            optimiser.step()
        for (name, old), new in zip(model.named_parameters(), own.parameters(), strict=True):
            ways[name] += (old - new).detach() / 0.2 / 3
    for name, value in ways.items():
        torch.testing.assert_close(found.gradients[name], value)


def test_one_step_is_joint_training(episodes: Episodes) -> None:
    """Section 5: the gradient is then that of the mean loss over all examples of all tasks."""
    model = small_network(3).eval()
    found = reptile(steps=1, lr=0.7).meta_gradient(model, episodes, seeded())
    x = torch.cat([episodes.support_x, episodes.query_x], 1).flatten(0, 1)
    y = torch.cat([episodes.support_y, episodes.query_y], 1).flatten()
    loss = nn.functional.cross_entropy(model(x), y)
    wanted = torch.autograd.grad(loss, list(model.parameters()))
    for value, gradient in zip(found.gradients.values(), wanted, strict=True):
        torch.testing.assert_close(value, gradient)


def test_batches_hold_no_example_twice_and_follow_the_generator() -> None:
    learner = reptile(steps=5, batch=3)
    places = learner._batches(4, 7, seeded(1))
    assert places.shape == (4, 5, 3)
    assert bool((places.sort(-1).values.diff(dim=-1) > 0).all())
    assert torch.equal(places, learner._batches(4, 7, seeded(1)))
    assert not torch.equal(places, learner._batches(4, 7, seeded(2)))


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ParseError, match="rate above 0"):
        reptile(lr=0.0)
    with pytest.raises(ParseError, match="at least 1 example"):
        reptile(batch=0)
