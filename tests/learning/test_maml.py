"""MAML against plain autograd, finite differences, and what is known to go wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from metaloom_metalearn import Episodes, Examples, first_order, maml, second_order
from metaloom_metalearn.learners.descent import Order
from metaloom_metalearn.learners.maml import MAML
from metaloom_metalearn.testing.learner import LearnerSuite, MetaLearnerSuite

NORMS = {
    "batch": lambda: nn.BatchNorm2d(4),
    "instance": lambda: nn.InstanceNorm2d(4, affine=True),
    "layer": lambda: nn.LayerNorm([4, 4, 4]),
    "group": lambda: nn.GroupNorm(2, 4),
}


class TestMamlAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> MAML:
        return maml(steps=10, lr=0.5)


class TestMamlIsMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> MAML:
        return maml(steps=2, lr=0.3)


class TestMamlInChunksIsMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> MAML:
        return maml(steps=1, lr=0.3, chunk=3)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(norm: nn.Module) -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), norm, nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 3),
    ).double()  # fmt: skip
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=seeded(i), dtype=torch.float64)
            parameter.copy_(0.5 * noise + (1.0 if parameter.dim() == 1 else 0.0))
    return model


@pytest.fixture
def episodes() -> Episodes:
    images = [torch.randn(4, 6, 1, 4, 4, generator=seeded(i), dtype=torch.float64) for i in (1, 2)]
    labels = (torch.arange(6) % 3).repeat(4, 1)
    return Episodes(images[0], labels, images[1], labels, 3)


def looped(
    model: nn.Module, episodes: Episodes, steps: int, lr: float, create_graph: bool
) -> dict[str, torch.Tensor]:
    """The meta-gradient by autograd alone, one task after another."""
    start = dict(model.named_parameters())
    total = {name: torch.zeros_like(value) for name, value in start.items()}
    for t in range(len(episodes)):
        state: dict[str, torch.Tensor] = dict(start)
        buffers = {name: value.clone() for name, value in model.named_buffers()}
        for _ in range(steps):
            output = functional_call(model, (state, buffers), (episodes.support_x[t],))
            loss = nn.functional.cross_entropy(output, episodes.support_y[t])
            slopes = torch.autograd.grad(loss, list(state.values()), create_graph=create_graph)
            state = {
                name: value - lr * slope
                for (name, value), slope in zip(state.items(), slopes, strict=True)
            }
        output = functional_call(model, (state, buffers), (episodes.query_x[t],))
        loss = nn.functional.cross_entropy(output, episodes.query_y[t])
        for name, slope in zip(start, torch.autograd.grad(loss, list(start.values())), strict=True):
            total[name] += slope / len(episodes)
    return total


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("order", "create_graph"), [(second_order, True), (first_order, False)])
def test_the_meta_gradient_is_that_of_plain_autograd_for_every_affine_norm(
    norm: str, order: Order, create_graph: bool, episodes: Episodes
) -> None:
    model = network(NORMS[norm]())
    found = maml(3, 0.3, order).meta_gradient(model, episodes, seeded(0))
    wanted = looped(model, episodes, 3, 0.3, create_graph)
    assert sum(float(value.norm()) for value in wanted.values()) > 0.1
    for name, value in wanted.items():
        torch.testing.assert_close(found.gradients[name], value, rtol=1e-8, atol=1e-10)


def test_first_and_second_order_differ(episodes: Episodes) -> None:
    model = network(NORMS["group"]())
    one = maml(2, 0.3, first_order).meta_gradient(model, episodes, seeded(0))
    two = maml(2, 0.3, second_order).meta_gradient(model, episodes, seeded(0))
    assert one.loss == pytest.approx(two.loss)
    assert not torch.allclose(one.gradients["0.weight"], two.gradients["0.weight"], rtol=1e-3)


def test_chunks_change_nothing(episodes: Episodes) -> None:
    model = network(NORMS["batch"]())
    whole = maml(2, 0.3).meta_gradient(model, episodes, seeded(0))
    parts = maml(2, 0.3, chunk=3).meta_gradient(model, episodes, seeded(0))
    assert parts.loss == pytest.approx(whole.loss)
    torch.testing.assert_close(parts.outputs, whole.outputs)
    for name, value in whole.gradients.items():
        torch.testing.assert_close(parts.gradients[name], value)
    for name, value in whole.buffers.items():
        torch.testing.assert_close(parts.buffers[name], value)


def test_the_buffers_given_back_are_the_mean_over_tasks_of_what_each_task_left() -> None:
    model = network(nn.BatchNorm2d(4, momentum=1.0)).train()
    images = torch.randn(2, 6, 1, 4, 4, generator=seeded(1), dtype=torch.float64)
    labels = (torch.arange(6) % 3).repeat(2, 1)
    found = maml(1, 0.0).meta_gradient(
        model, Episodes(images, labels, images, labels, 3), seeded(0)
    )
    first = model[0](images.flatten(0, 1)).unflatten(0, (2, 6))
    wanted = first.mean((1, 3, 4)).mean(0)
    torch.testing.assert_close(found.buffers["1.running_mean"], wanted)
    assert int(found.buffers["1.num_batches_tracked"]) == 2
    assert int(model.state_dict()["1.num_batches_tracked"]) == 0


def test_one_inner_step_on_a_line_is_worked_out_by_hand() -> None:
    """y = w x, support (1, 3), query (2, 2), rate 0.1: w' = w + 0.2 (3 - w)."""
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(model.weight, 1.0)

    def column(value: float) -> torch.Tensor:
        return torch.tensor([[[value]]], dtype=torch.float64)

    task = Episodes(column(1), column(3), column(2), column(2))
    adapted = 1.0 + 0.2 * (3 - 1.0)
    two = maml(1, 0.1).meta_gradient(model, task, seeded(0))
    one = maml(1, 0.1, first_order).meta_gradient(model, task, seeded(0))
    assert two.loss == pytest.approx((2 * adapted - 2) ** 2)
    assert float(one.gradients["weight"]) == pytest.approx(2 * (2 * adapted - 2) * 2)
    assert float(two.gradients["weight"]) == pytest.approx(2 * (2 * adapted - 2) * 2 * 0.8)


def test_only_the_chosen_parameters_change_in_the_inner_loop_and_all_are_meta_trained(
    episodes: Episodes,
) -> None:
    model = network(NORMS["group"]())
    learner = maml(3, 0.5, inner=lambda name: name.startswith("5."))
    support = Examples((episodes.support_x[0],), episodes.support_y[0])
    adapted = learner(model, support, seeded(0))
    assert adapted.changed == ("5.weight", "5.bias")
    before, after = model.state_dict(), adapted.model.state_dict()
    assert torch.equal(after["0.weight"], before["0.weight"])
    found = learner.meta_gradient(model, episodes, seeded(0))
    assert all(float(value.norm()) > 0 for value in found.gradients.values())
