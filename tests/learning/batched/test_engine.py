"""The batched engine against plain autograd in float64, with numba's loops and with torch's."""

from __future__ import annotations

from copy import deepcopy
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaloom_metalearn import (
    Engine,
    Episodes,
    GradientSteps,
    engine_error,
    first_order,
    maml,
)
from metaloom_metalearn.learners.batched import kernels
from metaloom_metalearn.learners.descent import gradient_through
from metaloom_registry import InvalidTask, MissingExtra, ParseError
from metaloom_registry.graph import export_module, load_graph

COMPILED = pytest.param(
    True, marks=pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
)
TASKS, WAYS, SIDE = 3, 3, 9


@pytest.fixture(params=[False, COMPILED], ids=["torch", "numba"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return Engine(compiled=request.param, threads=2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(channels: int = 2) -> Episodes:
    labels = torch.arange(WAYS).repeat(TASKS, 2)
    x = [
        torch.randn(TASKS, 2 * WAYS, channels, SIDE, SIDE, generator=seeded(i), dtype=torch.float64)
        for i in (1, 2)
    ]
    return Episodes(x[0], labels, x[1], labels, WAYS)


def curves() -> Episodes:
    x = [torch.randn(TASKS, 5 + i, 1, generator=seeded(i), dtype=torch.float64) for i in (1, 2)]
    return Episodes(x[0], x[0].sin(), x[1], x[1].sin())


def built(*layers: nn.Module) -> nn.Sequential:
    """A model in float64, in train mode, whose parameters are all far from their usual start."""
    model = nn.Sequential(*layers).double().train()
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            noise = torch.randn(parameter.shape, generator=seeded(number), dtype=torch.float64)
            parameter.copy_(0.4 * noise + (1.0 if parameter.dim() == 1 else 0.0))
    return model


def strided(norm: nn.Module | None = None, after: nn.Module | None = None) -> nn.Module:
    return built(
        nn.Conv2d(2, 4, 3, 2, 1), norm or nn.BatchNorm2d(4), after or nn.ReLU(),
        nn.Conv2d(4, 4, (3, 2), (2, 1), (1, 0), bias=False), nn.BatchNorm2d(4, affine=False),
        nn.Tanh(), nn.Flatten(), nn.Linear(48, WAYS),
    )  # fmt: skip


def pooled() -> nn.Module:
    return built(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU(),
        nn.MaxPool2d(2), nn.Conv2d(4, 3, 3), nn.ReLU(), nn.MaxPool2d((2, 1)), nn.Flatten(),
        nn.Linear(6, WAYS),
    )  # fmt: skip


def perceptron(function: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    return built(nn.Linear(1, 6), function(), nn.Linear(6, 5), function(), nn.Linear(5, 1))


def labelled() -> nn.Module:
    return built(nn.Flatten(), nn.Linear(2 * SIDE * SIDE, 4), nn.Sigmoid(), nn.Linear(4, WAYS))


def norm_last() -> nn.Module:
    """Batch norm of the inputs, and after a function whose value is needed again."""
    return built(
        nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), nn.Tanh(), nn.BatchNorm2d(3), nn.Flatten(),
        nn.Linear(147, 4), nn.Tanh(), nn.BatchNorm1d(4), nn.Linear(4, WAYS),
    )  # fmt: skip


IMAGE_MODELS = {
    "norm after the function": norm_last,
    "strided": strided,
    "no running statistics": lambda: strided(nn.BatchNorm2d(4, track_running_stats=False)),
    "no norm": lambda: strided(nn.Identity(), nn.SiLU()),
    "max-pooling": pooled,
    "perceptron": labelled,
}


@pytest.mark.parametrize("name", IMAGE_MODELS)
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_gradient_of_a_classifier_is_that_of_plain_autograd(
    engine: Engine, name: str, steps: int
) -> None:
    model = IMAGE_MODELS[name]()
    assert engine_error(engine, model, images(), GradientSteps(steps, 0.2)) < 1e-12
    found = engine.meta_gradient(model, images(), GradientSteps(steps, 0.2))
    assert found is not None
    assert found.way == "layers"


def rows() -> Episodes:
    """Classification of vectors."""
    labels = torch.arange(WAYS).repeat(TASKS, 2)
    x = [torch.randn(TASKS, 6, 4, generator=seeded(i), dtype=torch.float64) for i in (1, 2)]
    return Episodes(x[0], labels, x[1], labels, WAYS)


def classifier() -> nn.Module:
    return built(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, WAYS))


def layer_normed() -> nn.Module:
    """Layer norm of the inputs, between layers, and without numbers of its own."""
    return built(
        nn.LayerNorm(4), nn.Linear(4, 5), nn.LayerNorm(5), nn.GELU(), nn.Linear(5, 6),
        nn.LayerNorm(6, elementwise_affine=False), nn.BatchNorm1d(6), nn.Tanh(),
        nn.Linear(6, WAYS),
    )  # fmt: skip


@pytest.mark.parametrize(
    "inner",
    [
        lambda name: True,
        lambda name: name == "0.weight",
        lambda name: name in ("0.bias", "2.weight"),
        lambda name: name in ("1.weight", "2.bias"),
        lambda name: name.startswith("8."),
    ],
    ids=["all", "scale of inputs", "shift and scale", "weight and shift", "head"],
)
def test_layer_norm_is_a_layer(engine: Engine, inner) -> None:
    asked = GradientSteps(2, 0.05, inner=inner)
    assert engine_error(engine, layer_normed(), rows(), asked) < 1e-12
    found = engine.meta_gradient(layer_normed(), rows(), asked)
    assert found is not None
    assert found.way == "layers"


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_perceptrons_are_one_loop_where_that_is_compiled(engine: Engine, steps: int) -> None:
    asked = GradientSteps(steps, 0.2)
    assert engine_error(engine, classifier(), rows(), asked) < 1e-12
    found = engine.meta_gradient(classifier(), rows(), asked)
    assert found is not None
    assert found.way == ("loop" if engine.compiled else "layers")


def test_labels_that_are_none_of_the_classes_are_refused(engine: Engine) -> None:
    wrong = Episodes(rows().support_x, rows().support_y + 1, rows().query_x, rows().query_y, WAYS)
    with pytest.raises((IndexError, RuntimeError), match="out of bounds"):
        engine.meta_gradient(classifier(), wrong, GradientSteps(1, 0.2))


@pytest.mark.parametrize("function", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.GELU])
def test_the_gradient_of_a_regression_is_that_of_plain_autograd(
    engine: Engine, function: type[nn.Module]
) -> None:
    steps = GradientSteps(3, 0.05)
    assert engine_error(engine, perceptron(function), curves(), steps) < 1e-12


@pytest.mark.parametrize(
    "inner",
    [
        lambda name: name.startswith("7."),
        lambda name: not name.startswith("7."),
        lambda name: name.endswith("bias"),
        lambda name: name == "3.weight",
    ],
    ids=["head", "body", "biases", "one"],
)
def test_only_some_parameters_may_change(engine: Engine, inner) -> None:
    steps = GradientSteps(2, 0.2, inner=inner)
    assert engine_error(engine, strided(), images(), steps) < 1e-12


@pytest.mark.parametrize(("model", "episodes"), [(strided, images), (classifier, rows)])
def test_the_first_order_leaves_the_curvature_out(engine: Engine, model, episodes) -> None:
    steps = GradientSteps(2, 0.2, first_order)
    assert engine_error(engine, model(), episodes(), steps) < 1e-12
    exact = engine.meta_gradient(model(), episodes(), GradientSteps(2, 0.2))
    rough = engine.meta_gradient(model(), episodes(), steps)
    assert exact is not None
    assert rough is not None
    name = "0.weight"
    assert not torch.allclose(exact.mean.gradients[name], rough.mean.gradients[name], rtol=1e-3)


@pytest.mark.parametrize(("model", "episodes"), [(strided, images), (classifier, rows)])
def test_the_loss_after_every_step_may_count(engine: Engine, model, episodes) -> None:
    steps = GradientSteps(3, 0.2, weights=(0.2, 0.0, 0.8))
    assert engine_error(engine, model(), episodes(), steps) < 1e-12


def test_a_loss_of_ones_own(engine: Engine) -> None:
    def loss(output: Tensor, wanted: Tensor) -> Tensor:
        return functional.huber_loss(output, wanted, delta=0.3) + output.exp().mean()

    assert engine_error(engine, perceptron(), curves(), GradientSteps(2, 0.1, loss=loss)) < 1e-12


@pytest.mark.parametrize(
    ("model", "episodes"), [(perceptron, curves), (classifier, rows), (strided, images)]
)
@pytest.mark.parametrize("whole", [True, False], ids=["tensors", "numbers"])
def test_the_rates_have_gradients(engine: Engine, model, episodes, whole: bool) -> None:
    """Those of the rates are held to finite differences, those of the parameters to autograd."""
    network, tasks = model(), episodes()
    rates = [
        {
            name: torch.full_like(value, 0.1 + 0.05 * step) if whole
            else torch.tensor(0.1 + 0.05 * step, dtype=torch.float64)
            for name, value in network.named_parameters()
        }
        for step in range(2)
    ]  # fmt: skip
    assert engine_error(engine, network, tasks, GradientSteps(2, rates)) < 1e-12
    found = engine.meta_gradient(network, tasks, GradientSteps(2, rates))
    assert found is not None
    for step, name in ((0, "0.weight"), (1, "0.weight")):
        losses = []
        for sign in (1, -1):
            moved = deepcopy(rates)
            moved[step][name] += sign * 1e-6
            other = engine.meta_gradient(network, tasks, GradientSteps(2, moved))
            assert other is not None
            losses.append(other.mean.loss)
        measured = (losses[0] - losses[1]) / 2e-6
        assert float(found.rates[step][name].sum()) == pytest.approx(measured, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize(
    ("model", "episodes"),
    [(strided, images), (pooled, images), (labelled, images), (classifier, rows)],
)
def test_all_else_is_as_the_general_way_gives_it(engine: Engine, model, episodes) -> None:
    network, tasks = model(), episodes()
    learner = maml(2, 0.2)
    found = engine.meta_gradient(network, tasks, GradientSteps(2, 0.2))
    wanted = gradient_through(network, tasks, learner._descent, learner.loss)
    assert found is not None
    assert found.mean.loss == pytest.approx(wanted.loss)
    torch.testing.assert_close(found.mean.outputs, wanted.outputs)
    assert set(found.mean.buffers) == set(wanted.buffers)
    for name, value in wanted.buffers.items():
        torch.testing.assert_close(found.mean.buffers[name], value)
    for name, value in wanted.gradients.items():
        torch.testing.assert_close(found.mean.gradients[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", [strided, labelled])
def test_chunks_and_threads_change_nothing(model) -> None:
    network, tasks = model(), images()
    steps = GradientSteps(2, 0.2)
    whole = Engine(threads=1).meta_gradient(network, tasks, steps)
    parts = Engine(threads=2).meta_gradient(network, tasks, steps, chunk=2)
    assert whole is not None
    assert parts is not None
    for name, value in whole.mean.gradients.items():
        torch.testing.assert_close(parts.mean.gradients[name], value)


def test_the_same_call_gives_the_same_bits(engine: Engine) -> None:
    network, tasks = strided(), images()
    one = engine.meta_gradient(network, tasks, GradientSteps(2, 0.2))
    other = engine.meta_gradient(network, tasks, GradientSteps(2, 0.2))
    assert one is not None
    assert other is not None
    assert all(torch.equal(v, other.mean.gradients[n]) for n, v in one.mean.gradients.items())


def test_the_episodes_stay_as_they_are(engine: Engine) -> None:
    tasks = images()
    engine.meta_gradient(norm_last(), tasks, GradientSteps(1, 0.2))
    assert torch.equal(tasks.support_x, images().support_x)
    assert torch.equal(tasks.query_x, images().query_x)


def test_the_number_of_threads_of_torch_is_as_before(engine: Engine) -> None:
    before = torch.get_num_threads()
    engine.meta_gradient(strided(), images(), GradientSteps(1, 0.2), chunk=1)
    assert torch.get_num_threads() == before


def test_a_loaded_block_is_computed_as_the_module_it_came_from(engine: Engine) -> None:
    model = pooled().float()
    exported = export_module(model, f"image[2,{SIDE},{SIDE}] -> vec[{WAYS}]")
    block = load_graph(exported.graph, exported.weights).train()
    assert engine_error(engine, block, images(), GradientSteps(2, 0.2)) < 1e-12
    steps = GradientSteps(2, 0.2)
    ours = engine.meta_gradient(block.double(), images(), steps)
    theirs = engine.meta_gradient(model.double(), images(), steps)
    assert ours is not None
    assert theirs is not None
    for name, value in theirs.mean.gradients.items():
        torch.testing.assert_close(ours.mean.gradients[name], value)


def test_a_loaded_block_with_layer_norms_is_layers_too() -> None:
    model = nn.Sequential(nn.Linear(4, 5), nn.LayerNorm(5), nn.GELU(), nn.Linear(5, WAYS))
    exported = export_module(model, f"vec[4] -> vec[{WAYS}]")
    block = load_graph(exported.graph, exported.weights).train()
    found = Engine().meta_gradient(block.double(), rows(), GradientSteps(2, 0.2))
    wanted = Engine().meta_gradient(model.double(), rows(), GradientSteps(2, 0.2))
    assert found is not None
    assert wanted is not None
    assert (found.way, wanted.way) == ("layers", "layers")
    for name, value in wanted.mean.gradients.items():
        torch.testing.assert_close(found.mean.gradients[name], value)


def test_an_engine_can_be_copied_with_its_learner() -> None:
    learner = maml(1, 0.2)
    learner.meta_gradient(strided(), images(), seeded(0))
    assert deepcopy(learner) == learner


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(1, 1), nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.inner(x).tanh())


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x).tanh())


class Counting(nn.Linear):
    """A subclass may compute anything."""


def hooked() -> nn.Module:
    model = built(nn.Linear(1, 1))
    model[0].register_forward_hook(lambda module, given, found: 2 * found)
    return model


OTHERS = {
    "residual": lambda: Residual().double(),
    "tied": lambda: Tied().double(),
    "subclass": lambda: nn.Sequential(Counting(1, 1)).double(),
    "hook": hooked,
    "dropout": lambda: built(nn.Linear(1, 3), nn.Dropout(0.5), nn.Linear(3, 1)),
    "layer norm without a shift": lambda: built(
        nn.Linear(1, 3), nn.LayerNorm(3, bias=False), nn.Linear(3, 1)
    ),
    "gelu by a hyperbolic tangent": lambda: built(
        nn.Linear(1, 3), nn.GELU(approximate="tanh"), nn.Linear(3, 1)
    ),
    "stored statistics": lambda: built(nn.Linear(1, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval(),
}


def many(episodes: Episodes) -> Episodes:
    """Twice the tasks: more than autograd would take one after the other."""
    x, y, qx, qy = (
        torch.cat([one, one])
        for one in (episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y)
    )
    return Episodes(x, y, qx, qy, episodes.classes)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_chain_of_known_layers_is_left_to_the_general_way(name: str) -> None:
    model = OTHERS[name]()
    assert Engine().meta_gradient(model, many(curves()), GradientSteps(1, 0.1)) is None
    found = maml(1, 0.1).meta_gradient(model, many(curves()), seeded(0))
    assert set(found.gradients) == {parameter for parameter, _ in model.named_parameters()}


@pytest.mark.parametrize("name", sorted(OTHERS.keys() - {"dropout"}))
def test_few_tasks_go_through_autograd_one_after_the_other(name: str) -> None:
    model = OTHERS[name]()
    found = Engine(threads=2).meta_gradient(model, curves(), GradientSteps(2, 0.1))
    assert found is not None
    assert found.way == "plain"
    learner = maml(2, 0.1)
    wanted = gradient_through(model, curves(), learner._descent, learner.loss)
    for parameter, value in wanted.gradients.items():
        torch.testing.assert_close(found.mean.gradients[parameter], value)
    for buffer, value in wanted.buffers.items():
        torch.testing.assert_close(found.mean.buffers[buffer], value)


def test_random_numbers_are_drawn_in_order() -> None:
    model = built(nn.Linear(1, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        one = Engine(threads=2).meta_gradient(model, curves(), GradientSteps(2, 0.1))
        assert one is not None
        found.append(one.mean.gradients["0.weight"])
    assert torch.equal(found[0], found[1])


def test_the_check_says_that_there_is_nothing_to_check() -> None:
    with pytest.raises(InvalidTask, match="does not compute Residual; learners use the general"):
        engine_error(Engine(), Residual(), many(curves()), GradientSteps(1, 0.1))


def test_a_model_that_was_changed_is_read_again(engine: Engine) -> None:
    model = perceptron()
    assert engine_error(engine, model, curves(), GradientSteps(1, 0.1)) < 1e-12
    engine.meta_gradient(model, many(curves()), GradientSteps(1, 0.1))
    model[4] = nn.Linear(5, 1, bias=False).double()
    found = engine.meta_gradient(model, many(curves()), GradientSteps(1, 0.1))
    assert found is not None
    assert found.way == "layers"
    model[0].register_forward_hook(lambda module, given, answer: 2 * answer)
    assert engine.meta_gradient(model, many(curves()), GradientSteps(1, 0.1)) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1, "rates": 0.1}, "-1 is not a number of steps"),
        ({"steps": 2, "rates": [{}]}, "1 rates for 2 steps; give one a step"),
        ({"steps": 2, "rates": 0.1, "weights": [1.0]}, "1 weights for 2 steps; give one a step"),
    ],
)
def test_settings_that_do_not_fit_each_other_are_refused(settings, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        GradientSteps(**settings)


def test_compiled_loops_without_numba_say_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'metaloom\[fast\]'"):
        Engine(compiled=True).meta_gradient(strided(), images(), GradientSteps(1, 0.2))


class Written(nn.Module):
    """The same network as `nn.Sequential` would be, with functions for its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.head = nn.Linear(4, WAYS)

    def forward(self, x: Tensor) -> Tensor:
        x = x.view(-1, 2, SIDE, SIDE)
        x = functional.max_pool2d(functional.relu(self.norm(self.one(x))), 2)
        return self.head(x.mean(dim=[2, 3]).view(x.size(0), -1))


def test_functions_in_a_module_are_read_too(engine: Engine) -> None:
    assert engine_error(engine, Written(), images(), GradientSteps(2, 0.2)) < 1e-12
