"""Episodic training for a head: exact gradients, whatever the head."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from metaloom_heads import matching, matchingnet, metaoptnet, protonet, prototypes, r2d2, ridge, svm
from metaloom_metalearn import (
    Episodes,
    Equipped,
    Examples,
    Metric,
    Plan,
    Support,
    adam,
    meta_train,
    metric,
)
from metaloom_metalearn.testing.learner import (
    LearnerSuite,
    MetaLearnerSuite,
    small_network,
    small_support,
)
from metaloom_registry import InvalidTask, ParseError


class TestPrototypesAdapt(LearnerSuite):
    @pytest.fixture
    def learner(self) -> Metric:
        return metric(prototypes)


class TestPrototypesAreMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> Metric:
        return metric(prototypes, scale=0.5)


class TestAMachineAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> Metric:
        return metaoptnet()


class TestMatchingAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> Metric:
        return matchingnet()


class TestRidgeIsMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> Metric:
        return metric(ridge)


class TestNetworksAreMetaTrainedWithWhatTheirHeadLearns(MetaLearnerSuite):
    """Finite differences move the logarithms of scale and lambda too."""

    @pytest.fixture(params=[r2d2, matchingnet, metaoptnet])
    def learner(self, request: pytest.FixtureRequest) -> Metric:
        learner: Metric = request.param()
        return learner

    @pytest.fixture
    def model(self, learner: Metric) -> nn.Module:
        return learner.equip(small_network(3))


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


def test_what_a_head_learns_is_used_when_it_adapts() -> None:
    learner, support = matchingnet(scale=3.0), small_support()
    encoder = small_network(4).eval()
    equipped = learner.equip(encoder)
    with torch.no_grad():
        equipped.learned["log_scale"].fill_(2.0)
    plain = learner(encoder, support, torch.Generator()).predict(*support.inputs)
    trained = learner(equipped, support, torch.Generator()).predict(*support.inputs)
    x = encoder(*support.inputs)
    held = Support(x, support.outputs, 3)
    torch.testing.assert_close(plain, matching(held, x, scale=3.0).detach())
    torch.testing.assert_close(trained, matching(held, x, scale=torch.tensor(2.0).exp()).detach())


class Stripes:
    """Two classes of 2x2 images: bright above or bright left, under noise."""

    def episodes(self, count: int, generator: torch.Generator) -> Episodes:
        shapes = torch.tensor([[[[1.0, 1], [0, 0]]], [[[1.0, 0], [1, 0]]]])
        labels = (torch.arange(4) % 2).repeat(count, 1)

        def images() -> torch.Tensor:
            return shapes[labels] + 0.5 * torch.randn(count, 4, 1, 2, 2, generator=generator)

        return Episodes(images(), labels, images(), labels, 2)


@pytest.mark.parametrize("make", [protonet, matchingnet, r2d2, metaoptnet])
def test_meta_training_lowers_the_loss_and_moves_what_the_head_learns(
    make: Callable[[], Metric],
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    learner = make()
    equipped = learner.equip(encoder)
    generator = torch.Generator().manual_seed(0)
    plan = Plan(steps=30, batch=4, optimiser=adam(0.03))
    trained = meta_train(equipped, Stripes(), learner, generator, plan)
    assert sum(trained.losses[-10:]) < sum(trained.losses[:10])
    assert isinstance(trained.model, Equipped)
    for name, value in trained.model.learned.items():
        assert not torch.equal(value, equipped.learned[name])


def test_examples_that_are_not_numbers_and_none_at_all_are_refused() -> None:
    broken = Examples((torch.full((2, 1, 6, 6), torch.nan).double(),), torch.arange(2))
    with pytest.raises(InvalidTask, match="NaN or infinity for the support"):
        protonet()(small_network(3).eval(), broken, torch.Generator())
    empty = Examples((torch.zeros(0, 1, 6, 6),), torch.zeros(0).long())
    with pytest.raises(InvalidTask, match="support is empty"):
        protonet()(small_network(3), empty, torch.Generator())


def test_what_is_learned_by_its_logarithm_begins_above_zero() -> None:
    with pytest.raises(ParseError, match="scale is learned by its logarithm and begins at 0"):
        metric(svm, learned={"scale": 0.0})
