"""Episodic training for a head: exact gradients, whatever the head."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_heads import prototypes, ridge
from metaloom_metalearn import Episodes, Examples, Support, metric
from metaloom_metalearn.learners.metric import Metric
from metaloom_metalearn.testing.learner import (
    LearnerSuite,
    MetaLearnerSuite,
    small_network,
    small_support,
)


class TestPrototypesAdapt(LearnerSuite):
    @pytest.fixture
    def learner(self) -> Metric:
        return metric(prototypes)


class TestPrototypesAreMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> Metric:
        return metric(prototypes, scale=0.5)


class TestRidgeIsMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> Metric:
        return metric(ridge)


def test_the_gradient_is_that_of_one_batch_through_the_model() -> None:
    model = small_network(4)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 8, 1, 6, 6, generator=generator, dtype=torch.float64)
    y = (torch.arange(4) % 2).repeat(2, 1)
    found = metric(prototypes).meta_gradient(
        model, Episodes(x[:, :4], y, x[:, 4:], y, 2), generator
    )
    z = model(x.flatten(0, 1)).unflatten(0, (2, 8))
    losses = [
        nn.functional.cross_entropy(prototypes(Support(z[t, :4], y[t], 2), z[t, 4:]), y[t])
        for t in range(2)
    ]
    mean = torch.stack(losses).mean()
    wanted = torch.autograd.grad(mean, list(model.parameters()))
    for (name, _), value in zip(model.named_parameters(), wanted, strict=True):
        torch.testing.assert_close(found.gradients[name], value, rtol=1e-9, atol=1e-12)
    for name, value in model.named_buffers():
        torch.testing.assert_close(found.buffers[name], value)


def test_the_adapted_classifier_holds_its_support_as_state() -> None:
    support = small_support()
    adapted = metric(prototypes)(small_network(4).eval(), support, torch.Generator())
    assert {"model.x", "model.y"} <= set(adapted.state_dict())
    half = Examples((support.inputs[0][:6],), support.outputs[:6])
    assert adapted.predict(*half.inputs).shape == (6, 3)
