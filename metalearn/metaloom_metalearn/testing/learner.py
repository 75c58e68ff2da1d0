"""The suites that a learner passes: subclass one and say which learner and which model.

class TestMine(LearnerSuite):
    @pytest.fixture
    def learner(self): return mine(steps=3)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy

import pytest
import torch
from torch import nn

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.learner import Adapted, Diverged, Learner, MetaLearner
from metaloom_metalearn.tasks import Examples


def small_network(outputs: int) -> nn.Module:
    """image[1,6,6] -> outputs, with batch norm, so that there are buffers to spoil; float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.Tanh(),
            nn.AvgPool2d(3),
            nn.Flatten(),
            nn.Linear(16, outputs),
        ).double()


def small_support() -> Examples:
    """Nine images of three classes, which differ in their brightness; float64."""
    labels = torch.arange(9) % 3
    noise = torch.randn(9, 1, 6, 6, generator=_seeded(1), dtype=torch.float64)
    return Examples((0.2 * noise + labels[:, None, None, None],), labels)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


class LearnerSuite(ABC):
    """What holds of every learner; the model takes image[1,6,6] and tells three classes apart."""

    @pytest.fixture
    @abstractmethod
    def learner(self) -> Learner:
        """The learner under test."""

    @pytest.fixture
    def model(self) -> nn.Module:
        """The model to adapt."""
        return small_network(3)

    @pytest.fixture
    def support(self) -> Examples:
        return small_support()

    @pytest.mark.parametrize("train", [True, False])
    def test_the_model_and_its_buffers_stay_as_they_were(
        self, learner: Learner, model: nn.Module, support: Examples, train: bool
    ) -> None:
        model.train(train)
        before = _state(model)
        grads = [parameter.requires_grad for parameter in model.parameters()]
        adapted = learner(model, support, _seeded(0))
        adapted.predict(*support.inputs)
        assert _same(before, _state(model))
        assert [parameter.requires_grad for parameter in model.parameters()] == grads
        assert all(parameter.grad is None for parameter in model.parameters())
        assert model.training is train

    def test_what_is_adapted_shares_no_memory_with_the_model(
        self, learner: Learner, model: nn.Module, support: Examples
    ) -> None:
        before = _state(model)
        adapted = learner(model, support, _seeded(0))
        with torch.no_grad():
            for value in adapted.state_dict().values():
                value.zero_()
        assert _same(before, _state(model))

    @pytest.mark.parametrize("train", [True, False])
    def test_equal_generators_adapt_equally(
        self, learner: Learner, model: nn.Module, support: Examples, train: bool
    ) -> None:
        model.train(train)
        one = learner(deepcopy(model), support, _seeded(3))
        other = learner(deepcopy(model), support, _seeded(3))
        assert _same(_state(one), _state(other))
        assert one.losses == other.losses

    def test_torchs_own_randomness_is_left_alone(
        self, learner: Learner, model: nn.Module, support: Examples
    ) -> None:
        before = torch.get_rng_state()
        learner(model, support, _seeded(0))
        assert torch.equal(before, torch.get_rng_state())

    def test_only_what_it_names_has_changed(
        self, learner: Learner, model: nn.Module, support: Examples
    ) -> None:
        adapted = learner(model.eval(), support, _seeded(0))
        old, new = dict(model.named_parameters()), dict(adapted.model.named_parameters())
        assert set(adapted.changed) <= set(adapted.model.state_dict())
        for name in set(old) & set(new) - set(adapted.changed):
            assert torch.equal(old[name], new[name])

    def test_it_fits_the_support(
        self, learner: Learner, model: nn.Module, support: Examples
    ) -> None:
        adapted = learner(model, support, _seeded(0))
        assert isinstance(adapted, Adapted)
        outputs = adapted.predict(*support.inputs)
        assert outputs.shape == (len(support), 3)
        assert not outputs.requires_grad
        right = (outputs.argmax(1) == torch.as_tensor(support.outputs)).double().mean()
        assert right > 0.5
        assert len(adapted.losses) < 2 or adapted.losses[-1] < adapted.losses[0]

    def test_the_mode_of_the_model_is_kept(
        self, learner: Learner, model: nn.Module, support: Examples
    ) -> None:
        assert learner(model.eval(), support, _seeded(0)).model.training is False
        assert learner(model.train(), support, _seeded(0)).model.training is True

    def test_examples_that_are_not_numbers_are_refused(
        self, learner: Learner, model: nn.Module, support: Examples
    ) -> None:
        if not learner(model, support, _seeded(0)).losses:
            pytest.skip("takes no step")
        broken = Examples((torch.full_like(support.inputs[0], float("nan")),), support.outputs)  # type: ignore[arg-type]
        with pytest.raises(Diverged, match="at step 0"):
            learner(model, broken, _seeded(0))


class MetaStepSuite(ABC):
    """What holds of every learner whose starting point can be trained; checked in float64."""

    @pytest.fixture
    @abstractmethod
    def learner(self) -> MetaLearner:
        """The learner under test."""

    @pytest.fixture
    def model(self) -> nn.Module:
        """The model to train, of tanh and other smooth functions."""
        return small_network(3)

    @pytest.fixture
    def episodes(self) -> Episodes:
        """Four tasks of three classes."""
        generator = _seeded(5)

        def images() -> torch.Tensor:
            return torch.randn(4, 6, 1, 6, 6, generator=generator, dtype=torch.float64)

        labels = (torch.arange(6) % 3).repeat(4, 1)
        return Episodes(images(), labels, images(), labels, 3)

    def test_the_model_and_its_buffers_stay_as_they_were(
        self, learner: MetaLearner, model: nn.Module, episodes: Episodes
    ) -> None:
        before = _state(model)
        found = learner.meta_gradient(model, episodes, _seeded(0))
        assert _same(before, _state(model))
        assert all(parameter.grad is None for parameter in model.parameters())
        assert set(found.buffers) == {name for name, _ in model.named_buffers()}

    def test_there_is_a_gradient_for_every_parameter_and_an_output_for_every_query(
        self, learner: MetaLearner, model: nn.Module, episodes: Episodes
    ) -> None:
        found = learner.meta_gradient(model, episodes, _seeded(0))
        for name, parameter in model.named_parameters():
            assert found.gradients[name].shape == parameter.shape
            assert not found.gradients[name].requires_grad
        assert found.outputs.shape == (4, 6, 3)
        wanted = episodes.query_y
        loss = nn.functional.cross_entropy(found.outputs.flatten(0, 1), wanted.flatten(0, 1))
        assert float(loss) == pytest.approx(found.loss)

    def test_tasks_together_give_the_mean_of_tasks_alone(
        self, learner: MetaLearner, model: nn.Module, episodes: Episodes
    ) -> None:
        model.eval()
        together = learner.meta_gradient(model, episodes, _seeded(0))
        alone = [
            learner.meta_gradient(model, episodes.take(slice(t, t + 1)), _seeded(0))
            for t in range(4)
        ]
        assert together.loss == pytest.approx(sum(one.loss for one in alone) / 4)
        for name, gradient in together.gradients.items():
            mean = torch.stack([one.gradients[name] for one in alone]).mean(0)
            torch.testing.assert_close(gradient, mean, rtol=1e-9, atol=1e-12)


class MetaLearnerSuite(MetaStepSuite):
    """What also holds where the gradient is exact: not of first order, nor a way that was gone."""

    def test_the_gradient_is_the_one_finite_differences_give(
        self, learner: MetaLearner, model: nn.Module, episodes: Episodes
    ) -> None:
        found = learner.meta_gradient(model, episodes, _seeded(0))
        parameters = dict(model.named_parameters())
        direction = {
            name: torch.randn(value.shape, generator=_seeded(7), dtype=value.dtype)
            for name, value in parameters.items()
        }
        step = 1e-5
        values = []
        for sign in (1, -1):
            moved = deepcopy(model)
            with torch.no_grad():
                for name, value in moved.named_parameters():
                    value.add_(sign * step * direction[name])
            values.append(learner.meta_gradient(moved, episodes, _seeded(0)).loss)
        measured = (values[0] - values[1]) / (2 * step)
        slopes = [(found.gradients[name] * direction[name]).sum() for name in parameters]
        assert float(sum(slopes)) == pytest.approx(measured, rel=1e-5, abs=1e-8)
