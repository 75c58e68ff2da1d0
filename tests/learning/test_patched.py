"""LoRA and FiLM: frozen weights stay bit-equal, and what is computed is the papers' formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_metalearn import Adapted, Learner, Patched, film, lora, merged, sgd
from metaloom_metalearn.learners.patched import PatchTune
from metaloom_metalearn.testing.learner import LearnerSuite, small_network, small_support
from metaloom_registry import InvalidTask, ParseError


class TestLora(LearnerSuite):
    @pytest.fixture
    def learner(self) -> PatchTune:
        return lora(rank=2, steps=40, lr=0.05)


class TestFilm(LearnerSuite):
    @pytest.fixture
    def learner(self) -> PatchTune:
        return film(steps=60, lr=0.1)


class Merged:
    """A learner whose result is one ordinary model."""

    def __init__(self, learner: Learner) -> None:
        self.learner = learner

    def __call__(self, *given: object) -> Adapted:
        return merged(self.learner(*given))  # type: ignore[arg-type]


class TestMergedLora(LearnerSuite):
    @pytest.fixture
    def learner(self) -> Merged:
        return Merged(lora(rank=2, steps=40, lr=0.05))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def patched(learner: Learner, model: nn.Module) -> Patched:
    found = learner(model, small_support(), seeded()).model
    assert isinstance(found, Patched)
    return found


@pytest.mark.parametrize("learner", [lora(2, steps=3), film(steps=3)])
def test_the_weights_of_the_model_are_bit_equal_afterwards(learner: Learner) -> None:
    model = small_network(3).eval()
    found = patched(learner, model)
    for name, value in model.state_dict().items():
        assert torch.equal(found.model.state_dict()[name], value)
    assert not torch.equal(found(*small_support().inputs), model(*small_support().inputs))


@pytest.mark.parametrize("learner", [lora(2, steps=0), film(steps=0)])
def test_before_the_first_step_nothing_has_changed(learner: Learner) -> None:
    model = small_network(3).eval()
    x = small_support().inputs[0]
    assert torch.equal(patched(learner, model)(x), model(x))


def test_lora_adds_a_product_of_low_rank() -> None:
    model = small_network(3).eval()
    found = patched(lora(2, alpha=6.0, steps=3), model)
    thin = dict(zip(found.names, found.learned, strict=True))
    a, b = thin["0.weight A"], thin["0.weight B"]
    assert a.shape == (2, 9)
    assert b.shape == (4, 2)
    change = found.replaced()["0.weight"] - model.state_dict()["0.weight"]
    torch.testing.assert_close(change.flatten(1), 3.0 * b @ a)
    assert torch.linalg.matrix_rank(change.flatten(1)) == 2
    assert set(found.replaced()) == {"0.weight", "5.weight"}


def test_film_scales_and_shifts_each_channel_after_the_norm() -> None:
    model = small_network(3).eval()
    found = patched(film(steps=3), model)
    learned = dict(zip(found.names, found.learned, strict=True))
    assert set(learned) == {"1. gamma", "1. beta"}
    x = small_support().inputs[0]
    maps = model[1](model[0](x))  # type: ignore[index]
    gamma, beta = (learned[name][:, None, None] for name in ("1. gamma", "1. beta"))
    torch.testing.assert_close(found(x), model[2:](gamma * maps + beta))  # type: ignore[index]


def test_film_without_norms_modulates_every_layer_with_a_bias() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(64, 3))
    model = model.double().eval()
    found = patched(film(steps=3), model)
    learned = dict(zip(found.names, found.learned, strict=True))
    x = small_support().inputs[0]
    gamma, beta = (learned[name][:, None, None] for name in ("0. gamma", "0. beta"))
    hidden = model[1:3](gamma * model[0](x) + beta)
    wanted = learned["3. gamma"] * model[3](hidden) + learned["3. beta"]
    torch.testing.assert_close(found(x), wanted)


@pytest.mark.parametrize("learner", [lora(2, steps=3), film(steps=3)])
def test_merged_it_is_an_ordinary_model_of_equal_predictions(learner: Learner) -> None:
    model, x = small_network(3).eval(), small_support().inputs[0]
    adapted = learner(model, small_support(), seeded())
    one = merged(adapted)
    assert type(one.model) is type(model)
    torch.testing.assert_close(one.predict(x), adapted.predict(x))
    assert one.losses == adapted.losses
    assert merged(one) is one
    moved = {
        name
        for name, value in model.named_parameters()
        if not torch.equal(value, one.model.get_parameter(name))
    }
    assert moved == set(one.changed)
    assert all(parameter.requires_grad for parameter in one.model.parameters())


def test_groups_that_are_frozen_take_no_patch() -> None:
    model = small_network(3)
    model.parameter_groups = {"frozen": ["0.weight"]}  # type: ignore[assignment]
    assert set(patched(lora(1, steps=1), model).replaced()) == {"5.weight"}


def test_what_cannot_be_adapted_is_refused() -> None:
    scalar = nn.BatchNorm2d(1, affine=False)
    with pytest.raises(InvalidTask, match=r"no weight that this learner can adapt; .* none"):
        lora(optimiser=sgd(0.1))(scalar, small_support(), seeded())
    with pytest.raises(InvalidTask, match=r"begin with weight.*FiLM weights with a bias"):
        film()(nn.Linear(6, 3, bias=False).double(), small_support(), seeded())
    with pytest.raises(ParseError, match="0 is no rank"):
        lora(rank=0)
