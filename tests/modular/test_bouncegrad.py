"""BounceGrad and MOMA: their gradients are autograd's, and they learn modules that are reused."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from metaloom_metalearn import Clock, Episodes
from metaloom_metalearn.learners.optimisers import sgd
from metaloom_metalearn.modular.bouncegrad import Bouncing, bouncegrad
from metaloom_metalearn.modular.moma import Inner, adapted, moma, predict_adapted
from metaloom_metalearn.modular.networks import Networks
from metaloom_metalearn.modular.structures import joined, module_of
from metaloom_metalearn.modular.templates import Compose, Sum, Template
from metaloom_registry import InvalidTask, ParseError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slopes(tasks: int = 12) -> Episodes:
    """Sums of two of three lines through the origin."""
    lines = torch.tensor([-1.0, 0.2, 2.0])
    pairs = torch.combinations(torch.arange(3), 2)
    chosen = pairs[torch.arange(tasks) % len(pairs)]
    x = 2 * torch.rand(tasks, 16, 1, generator=seeded(7)) - 1
    y = x * lines[chosen].sum(1)[:, None, None]
    return Episodes(x[:, :6], y[:, :6], x[:, 6:], y[:, 6:])


@pytest.mark.parametrize("template", [Sum(), Compose()], ids=str)
def test_a_step_is_the_one_autograd_takes_on_each_task_alone(template: Template) -> None:
    episodes = slopes(3)
    networks = Networks(3, (1, 4, 1), seeded())
    modules = nn.ModuleList([networks.module(k) for k in range(3)])
    plan = Bouncing(steps=1, optimiser=sgd(0.1), polish=0.0)
    found = bouncegrad(networks, template, episodes, seeded(1), plan)
    loss = torch.stack(
        [
            (template.join(x, [modules[int(k)] for k in structure]) - y).square().mean()
            for x, y, structure in zip(
                episodes.query_x, episodes.query_y, found.structures, strict=True
            )
        ]
    ).mean()
    loss.backward()
    assert found.losses[0] == pytest.approx(float(loss.detach()))
    for k, module in enumerate(modules):
        after = found.networks.module(k)
        for parameter, moved in zip(module.parameters(), after.parameters(), strict=True):
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            torch.testing.assert_close(moved, parameter - 0.1 * gradient)


def test_bouncegrad_learns_lines_that_new_sums_reuse() -> None:
    plan = Bouncing(steps=400)
    found = bouncegrad(Networks(4, (1, 1), seeded()), Sum(), slopes(), seeded(1), plan)
    assert sum(found.losses[-20:]) / 20 < 0.01
    x = torch.linspace(-1, 1, 5)[None, :, None]
    structure = found.fit(x, 2.2 * x, seeded())
    assert float((found.predict(structure, x) - 2.2 * x).abs().max()) < 0.2


def test_the_inner_step_of_moma_is_that_of_autograd() -> None:
    networks, episodes = Networks(3, (1, 4, 1), seeded()), slopes(2)
    structures = torch.tensor([[0, 1], [2, 2]])
    x, y = episodes.support_x, episodes.support_y
    inner = Inner(steps=1, lr=0.1)
    states = adapted(networks, Sum(), structures, x, y, inner)
    after = Sum().join(episodes.query_x, [module_of(state) for state in states])
    for task, structure in enumerate(structures):
        slots = [networks.module(int(k)) for k in structure]
        loss = (slots[0](x[task]) + slots[1](x[task]) - y[task]).square().mean()
        loss.backward()
        with torch.no_grad():
            for slot in slots:
                for parameter in slot.parameters():
                    assert parameter.grad is not None
                    parameter.copy_(parameter - 0.1 * parameter.grad)
            query = episodes.query_x[task]
            alone = slots[0](query) + slots[1](query)
        torch.testing.assert_close(after[task], alone)


def test_the_outer_gradient_of_moma_goes_through_the_inner_step() -> None:
    networks, episodes = Networks(2, (1, 3, 1), seeded()).double(), slopes(2)
    episodes = Episodes(
        episodes.support_x.double(),
        episodes.support_y.double(),
        episodes.query_x.double(),
        episodes.query_y.double(),
    )
    structures = torch.tensor([[0, 1], [1, 1]])

    def loss_at(flat: torch.Tensor) -> torch.Tensor:
        held, place = {}, 0
        for name, parameter in networks.named_parameters():
            held[name] = flat[place : place + parameter.numel()].reshape(parameter.shape)
            place += parameter.numel()

        class At(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.networks = networks

            def forward(self) -> torch.Tensor:
                states = adapted(
                    self.networks,
                    Sum(),
                    structures,
                    episodes.support_x,
                    episodes.support_y,
                    Inner(2, 0.1),
                    create_graph=True,
                )
                output = Sum().join(episodes.query_x, [module_of(s) for s in states])
                return (output - episodes.query_y).square().mean()

        renamed = {f"networks.{name}": value for name, value in held.items()}
        return functional_call(At(), renamed, ())

    start = torch.cat([p.detach().flatten() for p in networks.parameters()]).requires_grad_()
    assert torch.autograd.gradcheck(loss_at, (start,), eps=1e-6, atol=1e-6)


def test_moma_learns_what_one_gradient_step_makes_right() -> None:
    plan, inner = Bouncing(steps=300), Inner(1, 0.1)
    networks = Networks(3, (1, 8, 1), seeded())
    found = moma(networks, Sum(), slopes(), seeded(1), plan, inner)
    assert sum(found.losses[-20:]) / 20 < 0.05
    x = torch.linspace(-1, 1, 6)[None, :, None]
    structure = found.fit(x, 1.2 * x, seeded())
    predicted = predict_adapted(found, structure, x, 1.2 * x, x, inner)
    assert float((predicted - 1.2 * x).square().mean()) < 0.05


def test_equal_generators_train_alike() -> None:
    plan = Bouncing(steps=20, batch=5)
    losses = [
        bouncegrad(Networks(3, (1, 4, 1), seeded()), Sum(), slopes(), seeded(4), plan).losses
        for _ in range(2)
    ]
    assert losses[0] == losses[1]


def test_training_ends_when_the_time_is_over() -> None:
    ticks = iter(range(1000))
    clock = Clock(5.0, lambda: float(next(ticks)))
    networks = Networks(3, (1, 4, 1), seeded())
    found = bouncegrad(networks, Sum(), slopes(), seeded(), Bouncing(steps=500), clock)
    assert 0 < len(found.losses) < 10
    assert joined(networks, Sum(), found.structures, slopes().query_x).shape == (12, 10, 1)


def test_episodes_that_the_modules_do_not_fit_are_refused() -> None:
    x, y = torch.zeros(2, 3, 1), torch.zeros(2, 3, dtype=torch.int64)
    labels = Episodes(x, y, x, y, 2)
    with pytest.raises(InvalidTask, match=r"vec\[1\] -> vec\[1\]; give float tensors"):
        bouncegrad(Networks(2, (1, 1), seeded()), Sum(), labels, seeded())
    with pytest.raises(InvalidTask, match=r"modules vec\[2\]"):
        moma(Networks(2, (2, 1), seeded()), Sum(), slopes(), seeded())
    with pytest.raises(ParseError, match="at least one step"):
        Bouncing(steps=0)
