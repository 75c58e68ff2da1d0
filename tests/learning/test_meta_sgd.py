"""Meta-SGD: finite differences of the model and of its rates, and a step worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_metalearn import Episodes, Equipped, Examples, maml, meta_sgd
from metaloom_metalearn.learners.meta_sgd import MetaSGD
from metaloom_metalearn.testing.learner import (
    LearnerSuite,
    MetaLearnerSuite,
    small_network,
    small_support,
)
from metaloom_registry import InvalidTask


class TestUntrainedMetaSGDAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> MetaSGD:
        return meta_sgd(steps=10, lr=0.5)


class TestMetaSGDAdapts(TestUntrainedMetaSGDAdapts):
    @pytest.fixture
    def model(self) -> nn.Module:
        return meta_sgd(lr=0.4).equip(small_network(3))


class TestMetaSGDIsMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> MetaSGD:
        return meta_sgd(steps=2, lr=0.3)

    @pytest.fixture
    def model(self, learner: MetaSGD) -> nn.Module:
        return learner.equip(small_network(3))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_rates_and_model_have_the_gradients_that_are_worked_out_by_hand() -> None:
    """y = w x, support (1, 3), query (2, 2), rate a = 0.1: w' = w + 2 a (3 - w) = 1.4.

    The query loss (2 w' - 2)^2 has the slope 4 (2 w' - 2) = 3.2 in w', and w' has the slopes
    1 - 2 a = 0.8 in w and 2 (3 - w) = 4 in a.
    """
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(model.weight, 1.0)

    def column(value: float) -> torch.Tensor:
        return torch.tensor([[[value]]], dtype=torch.float64)

    learner = meta_sgd(lr=0.1)
    found = learner.meta_gradient(
        learner.equip(model), Episodes(column(1), column(3), column(2), column(2)), seeded()
    )
    assert found.loss == pytest.approx(0.64)
    assert float(found.gradients["model.weight"]) == pytest.approx(3.2 * 0.8)
    assert float(found.gradients["learned.rate/weight"]) == pytest.approx(3.2 * 4)


def test_equal_rates_are_maml() -> None:
    model, support = small_network(3), small_support()
    learner = meta_sgd(steps=3, lr=0.2)
    one = learner(learner.equip(model), support, seeded())
    other = maml(3, 0.2)(model, support, seeded())
    assert one.changed == other.changed
    assert one.losses == other.losses
    for name, value in other.model.state_dict().items():
        assert torch.equal(one.model.state_dict()[name], value)


def test_each_number_moves_at_its_own_rate_and_those_not_chosen_have_none() -> None:
    model, support = small_network(3), small_support()
    learner = meta_sgd(steps=1, lr=0.2, inner=lambda name: name.startswith("5."))
    equipped = learner.equip(model)
    assert set(equipped.learned) == {"rate/5/weight", "rate/5/bias"}
    with torch.no_grad():
        equipped.learned["rate/5/weight"][0] = 0.0
    adapted = learner(equipped, support, seeded())
    before, after = model.state_dict(), adapted.model.state_dict()
    assert torch.equal(before["5.weight"][0], after["5.weight"][0])
    assert not torch.isclose(before["5.weight"][1:], after["5.weight"][1:]).any()
    assert torch.equal(before["0.weight"], after["0.weight"])


def test_a_model_without_rates_is_not_meta_trained() -> None:
    x = torch.zeros(1, 2, 1, 6, 6).double()
    y = torch.arange(2)[None]
    with pytest.raises(InvalidTask, match=r"given a Sequential without them; train learner.equip"):
        meta_sgd().meta_gradient(small_network(3), Episodes(x, y, x, y, 3), seeded())


def test_an_equipped_model_computes_what_the_model_computes() -> None:
    model = small_network(3).eval()
    equipped = meta_sgd().equip(model)
    assert isinstance(equipped, Equipped)
    x = small_support().inputs[0]
    assert torch.equal(equipped(x), model(x))
    assert not equipped.training


def test_a_choice_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidTask, match=r"no parameter to change; the model's begin with 0.weig"):
        meta_sgd(inner=lambda name: name == "8.bias").equip(small_network(3))
    with pytest.raises(InvalidTask, match="no parameter to change"):
        maml(1, 0.1)(nn.Flatten(), Examples((torch.ones(1, 1),), (3.0,)), seeded())
