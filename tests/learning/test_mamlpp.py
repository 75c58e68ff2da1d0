"""MAML++: each of its parts against finite differences and against MAML."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_metalearn import Episodes, first_order, maml, maml_pp
from metaloom_metalearn.learners.mamlpp import MAMLPP
from metaloom_metalearn.testing.learner import (
    LearnerSuite,
    MetaLearnerSuite,
    small_network,
    small_support,
)
from metaloom_registry import InvalidTask, ParseError


class TestMAMLPPAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> MAMLPP:
        return maml_pp(steps=10, lr=0.5)

    @pytest.fixture
    def model(self, learner: MAMLPP) -> nn.Module:
        return learner.equip(small_network(3))


class TestMAMLPPIsMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> MAMLPP:
        return maml_pp(steps=2, lr=0.3)

    @pytest.fixture
    def model(self, learner: MAMLPP) -> nn.Module:
        return learner.equip(small_network(3))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def episodes() -> Episodes:
    images = [torch.randn(3, 6, 1, 6, 6, generator=seeded(i), dtype=torch.float64) for i in (1, 2)]
    labels = (torch.arange(6) % 3).repeat(3, 1)
    return Episodes(images[0], labels, images[1], labels, 3)


def test_with_equal_rates_the_last_step_alone_is_maml(episodes: Episodes) -> None:
    model = small_network(3)
    learner = maml_pp(steps=3, lr=0.2)
    found = learner.meta_gradient(learner.equip(model), episodes, seeded())
    wanted = maml(3, 0.2).meta_gradient(model, episodes, seeded())
    assert found.loss == pytest.approx(wanted.loss)
    for name, value in wanted.gradients.items():
        torch.testing.assert_close(found.gradients[f"model.{name}"], value)


def test_the_multi_step_loss_is_the_weighted_sum_of_losses_after_fewer_steps(
    episodes: Episodes,
) -> None:
    """MAML with 1, 2 and 3 steps, weighted as after a quarter of the annealing."""
    model = small_network(3)
    learner = maml_pp(steps=3, lr=0.2, multi_step=8)
    equipped = learner.equip(model)
    equipped.outer_steps += 2
    weights = learner.weights(2)
    assert weights == pytest.approx((0.25, 0.25, 0.5))
    found = learner.meta_gradient(equipped, episodes, seeded())
    parts = [maml(steps, 0.2).meta_gradient(model, episodes, seeded()) for steps in (1, 2, 3)]
    assert found.loss == pytest.approx(sum(w * p.loss for w, p in zip(weights, parts, strict=True)))
    for name in dict(model.named_parameters()):
        wanted = sum(w * p.gradients[name] for w, p in zip(weights, parts, strict=True))
        torch.testing.assert_close(found.gradients[f"model.{name}"], wanted)


def test_the_weights_go_from_equal_to_the_last_step() -> None:
    learner = maml_pp(steps=4, multi_step=10)
    assert learner.weights(0) == pytest.approx((0.25,) * 4)
    assert sum(learner.weights(7)) == pytest.approx(1)
    assert learner.weights(10) == learner.weights(99) == (0, 0, 0, 1)
    assert maml_pp(steps=2).weights(0) == (0, 1)


def test_the_first_gradients_are_of_first_order_and_the_steps_are_counted(
    episodes: Episodes,
) -> None:
    model = small_network(3)
    learner = maml_pp(steps=2, lr=0.2, first_order=1)
    equipped = learner.equip(model)
    one = learner.meta_gradient(equipped, episodes, seeded())
    assert int(one.buffers["outer_steps"]) == 1
    equipped.load_state_dict({**equipped.state_dict(), **one.buffers})
    two = learner.meta_gradient(equipped, episodes, seeded())
    for found, order in ((one, first_order), (two, maml(1, 0.1).order)):
        wanted = maml(2, 0.2, order).meta_gradient(model, episodes, seeded())
        for name, value in wanted.gradients.items():
            torch.testing.assert_close(found.gradients[f"model.{name}"], value)
    assert float(one.gradients["learned.rate/5/weight"].norm()) > 0


def test_each_tensor_has_its_rate_at_each_step() -> None:
    model, support = small_network(3), small_support()
    learner = maml_pp(steps=2, lr=0.2)
    equipped = learner.equip(model)
    with torch.no_grad():
        for rates in equipped.learned.values():
            rates[0] = 0.0
    adapted = learner(equipped, support, seeded())
    alone = maml(1, 0.2)(model, support, seeded())
    torch.testing.assert_close(adapted.model[5].weight, alone.model[5].weight)  # type: ignore[index]


def test_settings_that_make_no_sense_are_refused(episodes: Episodes) -> None:
    with pytest.raises(ParseError, match="at least 1 step"):
        maml_pp(steps=0)
    equipped = maml_pp(steps=2).equip(small_network(3))
    with pytest.raises(InvalidTask, match=r"rates \[2\] for 3 steps"):
        maml_pp(steps=3).meta_gradient(equipped, episodes, seeded())
    with pytest.raises(InvalidTask, match="maml_pp learns numbers beside the model"):
        maml_pp().meta_gradient(small_network(3), episodes, seeded())
