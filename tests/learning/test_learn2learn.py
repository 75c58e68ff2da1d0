"""learn2learn and Metaloom compute the same, step by step, and stand in for each other."""

from __future__ import annotations

import random
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from metaloom_learn2learn import learn2learn, learn2learn_loop, taskset_source
from metaloom_metalearn import (
    Episodes,
    Examples,
    Plan,
    adam,
    constant,
    fine_tune,
    maml,
    meta_sgd,
    meta_train,
    second_order,
)
from metaloom_metalearn.learners.descent import first_order
from metaloom_metalearn.testing.learner import LearnerSuite, MetaLearnerSuite, small_network
from metaloom_metalearn.testing.task_source import TaskSourceSuite
from metaloom_registry import InvalidTask, MissingExtra, ParseError, parse_type
from metaloom_registry.graph import export_module, load_graph

STEPS = 3


def loaded() -> Any:
    try:
        return learn2learn()
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.fixture
def l2l() -> Any:
    return loaded()


def wrapped(kind: str, lr: float) -> nn.Module:
    """One of learn2learn's wrappers around a small network."""
    l2l, net = loaded(), small_network(3)
    if kind == "GBML":
        with torch.random.fork_rng():
            torch.manual_seed(1)
            transform = l2l.optim.ModuleTransform(l2l.nn.Scale)
            algorithm: nn.Module = l2l.algorithms.GBML(net, transform, lr=lr)
        return algorithm.double()
    algorithm = getattr(l2l.algorithms, kind)(net, lr=lr)
    return algorithm


class TestLoopsAdapt(LearnerSuite):
    @pytest.fixture
    def learner(self) -> Any:
        return learn2learn_loop(steps=20)

    @pytest.fixture(params=["MAML", "MetaSGD", "GBML"])
    def model(self, request: pytest.FixtureRequest) -> nn.Module:
        return wrapped(request.param, 0.5)

    def test_only_what_it_names_has_changed(self, learner: Any, model: Any, support: Any) -> None:
        super().test_only_what_it_names_has_changed(learner, model, support)
        names = {name for name, _ in model.module.named_parameters()}
        assert set(learner(model, support, torch.Generator()).changed) == names


class TestLoopsAreMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> Any:
        return learn2learn_loop(steps=2)

    @pytest.fixture(params=["MAML", "MetaSGD", "GBML"])
    def model(self, request: pytest.FixtureRequest) -> nn.Module:
        return wrapped(request.param, 0.3)


class Given:
    """Episodes that were drawn before, one batch after another."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        x = torch.randn(STEPS, 2, 4, 6, 1, 6, 6, generator=generator, dtype=torch.float64)
        y = (torch.arange(6) % 3).repeat(4, 1)
        self.batches = [Episodes(a, y, b, y, 3) for a, b in x]
        self.next = 0

    def episodes(self, count: int, generator: torch.Generator) -> Episodes:
        del count, generator
        self.next += 1
        return self.batches[self.next - 1]


def theirs(algorithm: Any, inner_steps: int) -> list[list[torch.Tensor]]:
    """learn2learn's published loop with Adam; all parameters after each outer step."""
    algorithm.train()
    optimiser = torch.optim.Adam(algorithm.parameters(), lr=0.01)
    after = []
    for batch in Given().batches:
        optimiser.zero_grad()
        for t in range(4):
            clone = algorithm.clone()
            for _ in range(inner_steps):
                clone.adapt(
                    nn.functional.cross_entropy(clone(batch.support_x[t]), batch.support_y[t])
                )
            nn.functional.cross_entropy(clone(batch.query_x[t]), batch.query_y[t]).backward()
        for parameter in algorithm.parameters():
            parameter.grad.data.mul_(1 / 4)
        optimiser.step()
        after.append([value.detach().clone() for value in algorithm.parameters()])
    return after


def ours(model: nn.Module, learner: Any) -> list[list[torch.Tensor]]:
    """The same by `meta_train`, of one outer step, of two, and so on."""
    after = []
    for steps in range(1, STEPS + 1):
        plan = Plan(steps=steps, batch=4, optimiser=adam(0.01), schedule=constant)
        trained = meta_train(model, Given(), learner, torch.Generator(), plan)
        after.append([value.detach() for value in trained.model.parameters()])
    return after


def assert_same_steps(one: list[list[torch.Tensor]], other: list[list[torch.Tensor]]) -> None:
    assert len(one) == len(other) == STEPS
    for a, b in zip(one, other, strict=True):
        for value, wanted in zip(a, b, strict=True):
            torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("first", [False, True])
def test_maml_has_their_parameters_after_each_outer_step(l2l: Any, first: bool) -> None:
    algorithm = l2l.algorithms.MAML(small_network(3), lr=0.3, first_order=first)
    order = first_order if first else second_order
    assert_same_steps(ours(small_network(3), maml(2, 0.3, order)), theirs(algorithm, 2))


def test_meta_sgd_has_their_parameters_and_rates_after_each_outer_step(l2l: Any) -> None:
    algorithm = l2l.algorithms.MetaSGD(small_network(3), lr=0.3)
    learner = meta_sgd(steps=2, lr=0.3)
    assert_same_steps(ours(learner.equip(small_network(3)), learner), theirs(algorithm, 2))


@pytest.mark.parametrize("kind", ["MAML", "MetaSGD", "GBML"])
def test_meta_training_with_their_loop_is_their_loop(kind: str) -> None:
    algorithm = wrapped(kind, 0.3)
    assert_same_steps(ours(algorithm, learn2learn_loop(steps=2)), theirs(deepcopy(algorithm), 2))


def test_a_loaded_block_is_meta_trained_by_their_loop_as_by_ours(l2l: Any) -> None:
    net = small_network(3).float()
    exported = export_module(net, parse_type("image[1,6,6] -> logits[3]"))
    block = load_graph(exported.graph, exported.weights).double()
    algorithm = l2l.algorithms.MAML(deepcopy(block), lr=0.3)
    assert_same_steps(ours(block, maml(1, 0.3)), theirs(algorithm, 1))


class TestTasksets(TaskSourceSuite):
    @pytest.fixture
    def source(self) -> Any:
        return taskset_source(taskset(loaded(), 3, 4), "image[1,2,2] -> label[3]", shots=1)


def taskset(l2l: Any, ways: int, shots: int) -> Any:
    x = torch.rand(40, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    data = l2l.data.MetaDataset(torch.utils.data.TensorDataset(x, torch.arange(40) % 5))
    transforms = [
        l2l.data.transforms.NWays(data, ways),
        l2l.data.transforms.KShots(data, shots),
        l2l.data.transforms.LoadData(data),
        l2l.data.transforms.RemapLabels(data),
    ]
    return l2l.data.TaskDataset(data, transforms, num_tasks=-1)


def test_the_support_holds_so_many_of_each_class_and_the_query_the_rest(l2l: Any) -> None:
    source = taskset_source(taskset(l2l, 3, 5), "image[1,2,2] -> label[3]", shots=2)
    task = source.sample(torch.Generator().manual_seed(0))
    assert task.query is not None
    assert torch.bincount(torch.as_tensor(task.support.outputs)).tolist() == [2, 2, 2]
    assert torch.bincount(torch.as_tensor(task.query.outputs)).tolist() == [3, 3, 3]


def test_drawing_leaves_pythons_and_numpys_randomness_alone(l2l: Any) -> None:
    def state() -> tuple[Any, list[int]]:
        numpy: Any = np.random.get_state()
        return random.getstate(), numpy[1].tolist()

    source = taskset_source(taskset(l2l, 3, 4), "image[1,2,2] -> label[3]", shots=1)
    before = state()
    source.sample(torch.Generator())
    assert state() == before


def test_tasks_of_a_taskset_are_learned(l2l: Any) -> None:
    source = taskset_source(taskset(l2l, 3, 4), "image[1,2,2] -> label[3]", shots=1)
    task = source.sample(torch.Generator())
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    adapted = fine_tune(50, lr=0.1)(net, task.support, torch.Generator())
    assert adapted.losses[-1] < adapted.losses[0]


def test_tasksets_that_do_not_fit_are_refused(l2l: Any) -> None:
    tasks = taskset(l2l, 3, 2)
    with pytest.raises(InvalidTask, match=r"name as many classes as its NWays has"):
        taskset_source(tasks, "image[1,2,2] -> label[2]", 1).sample(torch.Generator())
    with pytest.raises(InvalidTask, match="give KShots more than shots"):
        taskset_source(tasks, "image[1,2,2] -> label[3]", 2).sample(torch.Generator())
    with pytest.raises(InvalidTask, match=r"such as image\[1,28,28\] -> label\[5\], not float"):
        taskset_source(tasks, "float", 1)
    with pytest.raises(InvalidTask, match="give at least 1"):
        taskset_source(tasks, "image[1,2,2] -> label[3]", 0)


def test_a_model_without_a_wrapper_and_a_negative_count_are_refused() -> None:
    support = Examples((torch.zeros(2, 1, 6, 6).double(),), torch.arange(2))
    with pytest.raises(InvalidTask, match=r"wrap it in one of MAML, GBML, MetaSGD"):
        learn2learn_loop()(small_network(3), support, torch.Generator())
    with pytest.raises(ParseError, match="-1 is not a number of steps"):
        learn2learn_loop(steps=-1)
