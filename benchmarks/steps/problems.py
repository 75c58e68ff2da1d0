"""The meta-steps that are timed: a model, a meta-batch, an inner rate and a count of steps.

`conv4` is MAML's Omniglot network (Finn et al. 2017): four convolutions of 64 channels and stride
2, batch norm by the statistics of the batch, ReLU; 5-way 1-shot, one query a class, 32 tasks.
`pool` is the same with stride 1 and 2 x 2 max-pooling.  `sinusoid` is an MLP 40-40 on 25 tasks of
10 shots and 10 queries.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from metaloom_metalearn import Episodes, natural_loss

CHANNELS = 64
SIDE = 28
WAYS = 5


@dataclass(frozen=True)
class Problem:
    """One meta-step: the gradient of the mean query loss after `steps` inner steps of rate `lr`."""

    name: str
    model: nn.Module
    episodes: Episodes
    steps: int
    lr: float

    def doubled(self, tasks: int) -> Problem:
        """The first tasks in float64, for comparing gradients."""
        one = self.episodes.take(slice(0, tasks))
        x = Episodes(
            one.support_x.double(),
            _double(one.support_y),
            one.query_x.double(),
            _double(one.query_y),
            one.classes,
        )
        return replace(self, model=deepcopy(self.model).double(), episodes=x)

    def to(self, device: torch.device) -> Problem:
        """The same problem on a device."""
        return replace(
            self, model=deepcopy(self.model).to(device), episodes=self.episodes.to(device)
        )

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.model.parameters())


def _double(y: Tensor) -> Tensor:
    return y.double() if y.is_floating_point() else y


def problem(name: str, steps: int, seed: int, tasks: int | None = None) -> Problem:
    """A problem by name: `conv4`, `pool` or `sinusoid`."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if name == "sinusoid":
            return Problem(name, _mlp(), _sinusoids(tasks or 25, generator), steps, 0.01)
        model = _network(pooled=name == "pool")
    return Problem(name, model, _images(tasks or 32, generator), steps, 0.4)


def _network(*, pooled: bool) -> nn.Module:
    layers: list[nn.Module] = []
    before, side = 1, SIDE
    for _ in range(4):
        layers += [
            nn.Conv2d(before, CHANNELS, 3, 1 if pooled else 2, 1),
            nn.BatchNorm2d(CHANNELS, track_running_stats=False),
            nn.ReLU(),
        ]
        if pooled:
            layers.append(nn.MaxPool2d(2))
        before, side = CHANNELS, side // 2 if pooled else -(-side // 2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(side * side * CHANNELS, WAYS))


def _mlp() -> nn.Module:
    return nn.Sequential(
        nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
    )


def _images(tasks: int, generator: torch.Generator) -> Episodes:
    """Classes are blurred noise, and their images differ by a little more."""
    classes = torch.rand(tasks, WAYS, 1, SIDE, SIDE, generator=generator)
    smooth = nn.functional.avg_pool2d(classes.flatten(0, 1), 5, 1, 2).view_as(classes)
    smooth = (smooth - 0.5) * 6 + 0.5

    def shown() -> Tensor:
        return smooth + 0.1 * torch.randn(smooth.shape, generator=generator)

    labels = torch.arange(WAYS).repeat(tasks, 1)
    return Episodes(shown(), labels, shown(), labels, WAYS)


def _sinusoids(tasks: int, generator: torch.Generator) -> Episodes:
    """Amplitude in [0.1, 5], phase in [0, pi], x in [-5, 5] (Finn et al. 2017, section 5.1)."""
    amplitude = 0.1 + 4.9 * torch.rand(tasks, 1, 1, generator=generator)
    phase = torch.pi * torch.rand(tasks, 1, 1, generator=generator)
    x = [10 * torch.rand(tasks, 10, 1, generator=generator) - 5 for _ in range(2)]
    y = [amplitude * torch.sin(one - phase) for one in x]
    return Episodes(x[0], y[0], x[1], y[1])


def reference(given: Problem) -> list[Tensor]:
    """The meta-gradient by autograd alone, one task after another."""
    start = dict(given.model.named_parameters())
    total = torch.zeros((), dtype=given.episodes.query_x.dtype)
    episodes = given.episodes
    for t in range(len(episodes)):
        state: dict[str, Tensor] = dict(start)
        for _ in range(given.steps):
            answers = torch.func.functional_call(given.model, state, (episodes.support_x[t],))
            loss = natural_loss(answers, episodes.support_y[t])
            slopes = torch.autograd.grad(loss, list(state.values()), create_graph=True)
            state = {
                name: value - given.lr * slope
                for (name, value), slope in zip(state.items(), slopes, strict=True)
            }
        answers = torch.func.functional_call(given.model, state, (episodes.query_x[t],))
        total = total + natural_loss(answers, episodes.query_y[t]) / len(episodes)
    return list(torch.autograd.grad(total, list(start.values())))


def disagreement(found: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest difference beside the size of the whole gradient."""
    size = max(float(one.abs().max()) for one in wanted)
    return max(
        float((one - other).abs().max()) / size for one, other in zip(found, wanted, strict=True)
    )


def flops(given: Problem) -> int:
    """Floating point operations of the matrix products of one meta-step.

    With F for a forward pass, an inner step takes F + 2 F and a product with the Hessian 6 F, and
    the query 3 F.
    """
    forward = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal forward
        weight = module.get_parameter("weight")
        forward += 2 * output.numel() * weight[0].numel()

    model = deepcopy(given.model)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(given.episodes.support_x[0])
    return forward * (9 * given.steps + 3) * len(given.episodes)
