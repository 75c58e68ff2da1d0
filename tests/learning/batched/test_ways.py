"""By which way the batched engine computes what: by shapes, sizes and devices."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn

from metaloom_metalearn import Engine, Episodes, GradientSteps
from metaloom_metalearn.learners.batched.arena import Arenas
from metaloom_metalearn.learners.batched.job import Job
from metaloom_metalearn.learners.learner import buffers_of, parameters_of

STEP = GradientSteps(1, 0.1)
TASKS, WAYS = 6, 3


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def curves() -> Episodes:
    x = torch.randn(TASKS, 5, 1, generator=seeded(0), dtype=torch.float64)
    return Episodes(x, x.sin(), x + 1, (x + 1).sin())


def built(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers).double()


def test_large_images_on_layers_that_are_not_known_go_through_autograd() -> None:
    model = built(nn.Conv2d(2, 2, 3, 4), nn.GroupNorm(2, 2), nn.Flatten(), nn.Linear(128, WAYS))
    x = torch.randn(6, WAYS, 2, 32, 32, generator=seeded(0), dtype=torch.float64)
    large = Episodes(x, torch.arange(WAYS).repeat(6, 1), x, torch.arange(WAYS).repeat(6, 1), WAYS)
    found = Engine(threads=2).meta_gradient(model, large, GradientSteps(1, 0.2))
    assert found is not None
    assert found.way == "plain"
    assert Engine(threads=1).meta_gradient(model, large, GradientSteps(1, 0.2)) is None
    x = x[..., :16, :16]
    small = Episodes(x, large.support_y, x, large.query_y, WAYS)
    model = built(nn.Conv2d(2, 2, 3, 4), nn.GroupNorm(2, 2), nn.Flatten(), nn.Linear(32, WAYS))
    assert Engine(threads=2).meta_gradient(model, small, STEP) is None


def test_large_models_go_through_autograd() -> None:
    few, much = (
        built(nn.Linear(1, 8), nn.RMSNorm(8), nn.Linear(8, width), nn.Linear(width, 1))
        for width in (8, 60_000)
    )
    assert Engine().meta_gradient(few, curves(), STEP) is None
    found = Engine().meta_gradient(much, curves(), STEP)
    assert found is not None
    assert found.way == "plain"


@pytest.mark.parametrize("whole", [True, False])
def test_nothing_waits_for_a_device_before_the_end_or_is_on_another(whole: bool) -> None:
    """On the device without numbers, which refuses to mix with others and to be read."""
    model = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64, WAYS), nn.SiLU(), nn.Linear(WAYS, WAYS)),
    ).to("meta")
    x = torch.randn(TASKS, WAYS, 1, 8, 8, device="meta")
    labels = torch.arange(WAYS, device="meta").repeat(TASKS, 1)
    episodes = Episodes(x, labels, x, labels, WAYS)
    parameters = parameters_of(model)
    rates = [{name: value.new_tensor(0.1) for name, value in parameters.items()}] * 2
    descent = GradientSteps(2, 0.1, weights=[0.5, 0.5]) if whole else GradientSteps(2, rates)
    engine = Engine(compiled=whole)
    chain = engine._chain(model, episodes, parameters)
    assert chain is not None
    job = Job(chain, parameters, buffers_of(model), episodes, descent, Arenas())
    with torch.no_grad():
        part = job.part(slice(None))
    gradients = [one for w in part.gradients for one in w]
    for one in (part.loss, part.outputs, *gradients, *part.buffers.values()):
        assert one.is_meta
    with pytest.raises(RuntimeError, match="item"):  # the loss
        engine.meta_gradient(model, episodes, descent)


class Remembering(nn.Module):
    """Keeps a buffer that it replaces, and a layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.again = self.layer
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + x.detach().sum()
        return self.again(self.layer(x).tanh())


def test_buffers_that_a_model_replaces_are_read_back() -> None:
    model, episodes = Remembering().double(), curves().take(slice(0, 3))
    found = Engine().meta_gradient(model, episodes, STEP)
    assert found is not None
    seen = (episodes.support_x.sum() + episodes.query_x.sum()) / 3
    torch.testing.assert_close(found.mean.buffers["seen"], seen)
    assert float(model.seen) == 0.0


@pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
def test_perceptrons_on_many_examples_are_layers() -> None:
    x = torch.randn(4, 700, 1, generator=seeded(0))
    model = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1))
    for rows, way in ((600, "loop"), (700, "layers")):
        some = x[:, :rows]
        found = Engine(compiled=True).meta_gradient(model, Episodes(some, some, some, some), STEP)
        assert found is not None
        assert found.way == way
