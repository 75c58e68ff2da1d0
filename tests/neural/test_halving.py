"""Successive halving over networks: what it finds predicts, and it keeps its deadline."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest
import torch
from torch import nn

from metaloom_metalearn import (
    Clock,
    Examples,
    Ragged,
    Task,
    recurrent_regressor,
    rmse,
    to_batch,
)
from metaloom_metalearn.search.coding import task_ceiling
from metaloom_metalearn.search.neural.halving import Halving, state_digest
from metaloom_metalearn.search.neural.measure import Measure
from metaloom_registry import (
    INT,
    MemoryLibrary,
    Reference,
    parse_type,
    references,
)

from .arms import block, library, predictions, problem


def rings(count: int, seed: int) -> Examples:
    """Points in the plane, whose label says whether they lie near the centre."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 2, generator=generator)
    return Examples((points,), (points.norm(dim=1) > 1.18).long())


def bars(count: int, seed: int) -> Examples:
    """Images with an upright or a lying bar at a random place."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    images = 0.1 * torch.rand(count, 1, 8, 8, generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        row, column = torch.randint(2, 6, (2,), generator=generator).tolist()
        if label:
            image[0, row - 2 : row + 2, column] = 1
        else:
            image[0, row, column - 2 : column + 2] = 1
    return Examples((images,), labels)


def accuracy(found: torch.Tensor, wanted: Any) -> float:
    return float((found == wanted).float().mean())


def test_a_task_on_vectors_is_learned_and_the_parts_predict() -> None:
    task = Task(parse_type("vec[2] -> label[2]"), rings(100, 0))
    held = library()
    asked = problem(task, held)
    found = list(Halving(steps=400).run(asked))
    last, fresh = found[-1], rings(200, 1)
    assert accuracy(predictions(last, held, fresh.inputs[0]), fresh.outputs) > 0.85
    assert sum(last.right) > 80
    assert last.score < task_ceiling(task)
    account = asked.trace.arm("halving")
    assert account.counts["scored"] == len(found)
    assert account.counts["trained"] >= 2
    assert all(reference.name is None for reference in last.candidate.parts)


def test_a_task_on_images_is_learned() -> None:
    task = Task(parse_type("image[1,8,8] -> label[2]"), bars(40, 0))
    held = library()
    found = list(Halving(steps=240).run(problem(task, held)))
    fresh = bars(60, 1)
    assert accuracy(predictions(found[-1], held, fresh.inputs[0]), fresh.outputs) > 0.8


def test_a_block_that_makes_the_task_easy_wins_and_stays_frozen_or_is_a_parent() -> None:
    class Radius(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale * x.norm(dim=1, keepdim=True) - 1

    radius = block("test/radius", "vec[2] -> vec[1]", Radius())
    held = library(radius)
    task = Task(parse_type("vec[2] -> label[2]"), rings(20, 0))
    found = list(Halving(steps=800).run(problem(task, held)))
    fresh = rings(200, 1)
    assert accuracy(predictions(found[-1], held, fresh.inputs[0]), fresh.outputs) > 0.9
    candidate = found[-1].candidate
    parents = {parent for part in candidate.parts.values() for parent in part.parents}
    assert radius[0].digest in parents or radius[0].reference in references(candidate.term)
    assert [parameter.item() for parameter in radius[1].parameters()] == [1]


def test_a_function_between_vectors_is_learned() -> None:
    x = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    matrix = torch.tensor([[1.0, 2.0], [0.0, -1.0], [0.5, 0.0]])
    task = Task(parse_type("vec[3] -> vec[2]"), Examples((x,), x @ matrix))
    held = library()
    found = list(Halving(steps=800).run(problem(task, held)))
    fresh = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    error = predictions(found[-1], held, fresh) - fresh @ matrix
    assert float(error.square().mean().sqrt()) < 0.2
    assert sum(found[-1].right) > 50


def sums(count: int, low: int, high: int, seed: int) -> Examples:
    """Lists of one-hot digits 0 to 2 and their sums."""
    generator = torch.Generator().manual_seed(seed)
    lists, totals = [], []
    for _ in range(count):
        length = int(torch.randint(low, high + 1, (), generator=generator))
        digits = torch.randint(3, (length,), generator=generator)
        lists.append(tuple(torch.eye(3)[digits]))
        totals.append(int(digits.sum()))
    return Examples((tuple(lists),), tuple(totals))


def test_lists_are_read_by_a_recurrent_network_also_through_a_block() -> None:
    reader = block("test/reader", "vec[3] -> vec[2]", nn.Linear(3, 2))
    held = library(reader)
    task = Task(parse_type("list[vec[3]] -> int"), sums(60, 1, 4, 0))
    asked = problem(task, held, clock=Clock(12, time.process_time))
    found = list(Halving(steps=300).run(asked))
    assert asked.trace.arm("halving").counts["trained"] >= 2
    fresh = sums(50, 1, 4, 1)
    batch = to_batch(fresh.inputs[0], task.given[0])
    wanted = torch.tensor(fresh.outputs)
    assert accuracy(predictions(found[-1], held, batch), wanted) > 0.5


def test_a_learner_adapts_the_blocks_that_fit() -> None:
    calls: list[int] = []

    class Keep:
        def __call__(self, model: nn.Module, support: Examples, generator: Any) -> Any:
            calls.append(len(support))
            return type("Fitted", (), {"model": model})()

    whole = block("test/whole", "vec[2] -> logits[2]", nn.Linear(2, 2))
    task = Task(parse_type("vec[2] -> label[2]"), rings(20, 0))
    asked = problem(task, library(whole), learners=(Keep(),))
    list(Halving(steps=10).run(asked))
    assert calls[0] == 16


def test_the_deadline_is_kept_and_what_was_found_stays_found() -> None:
    task = Task(parse_type("image[1,8,8] -> label[2]"), bars(40, 0))
    start = time.monotonic()
    found = list(Halving(steps=10**6).run(problem(task, library(), clock=Clock(0.5))))
    assert time.monotonic() - start < 2
    assert found
    assert not found[-1].exact  # an example that was never held out counts as wrong


def test_one_example_a_class_is_enough_to_run() -> None:
    task = Task(parse_type("image[1,8,8] -> label[2]"), bars(2, 0))
    found = list(Halving(steps=60).run(problem(task, library())))
    assert len(found[-1].right) == 2


def test_equal_seeds_give_equal_networks() -> None:
    task = Task(parse_type("vec[2] -> label[2]"), rings(20, 0))
    one, other = (list(Halving(steps=40).run(problem(task, library(), seed=3))) for _ in range(2))
    assert [s.score for s in one] == [s.score for s in other]
    assert one[-1].candidate.term == other[-1].candidate.term


def test_a_library_without_argmax_is_named_as_what_is_missing() -> None:
    task = Task(parse_type("vec[2] -> label[2]"), rings(20, 0))
    asked = problem(task, MemoryLibrary())
    assert list(Halving().run(asked)) == []
    assert "no primitive logits[k] -> label[k]" in asked.trace.arm("halving").notes[0]


def test_it_applies_to_one_argument_of_tensors_alone() -> None:
    held = library()
    numbers = Task(parse_type("list[int] -> int"), Examples((((1,),),), (1,)))
    assert not Halving().applies(problem(numbers, held))
    assert Halving().applies(problem(Task(parse_type("vec[2] -> label[2]"), rings(4, 0)), held))
    assert Halving().applies(
        problem(Task(parse_type("list[vec[3]] -> int"), sums(4, 1, 2, 0)), held)
    )


def test_wrong_integers_are_exceptions_and_unjudged_examples_are_wrong() -> None:
    measure = Measure(INT, torch.tensor([2, 4, 6]))
    standard = (torch.tensor([[2.0], [4.0], [6.0]]) - 4) / measure.scale
    assert measure.judged(standard, torch.arange(3)) == (0.0, (True, True, True))
    nats, right = measure.judged(standard[:2], torch.arange(2))
    assert right == (True, True, False)
    assert nats > math.log(3)


def test_modules_of_equal_state_have_equal_digests() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    assert state_digest(one) != state_digest(other)
    other.load_state_dict(one.state_dict())
    assert state_digest(one) == state_digest(other)


@pytest.mark.parametrize("frozen", [True, False])
def test_the_recurrent_control_learns_sums_and_predicts_on_longer_lists(frozen: bool) -> None:
    torch.manual_seed(0)
    encoder = nn.Linear(3, 3)
    before = encoder.weight.detach().clone()
    train, longer = sums(200, 1, 3, 0), sums(50, 4, 5, 1)
    type_ = parse_type("list[vec[3]]")
    lists, wanted = to_batch(train.inputs[0], type_), torch.tensor(train.outputs)
    control = recurrent_regressor(encoder, frozen=frozen)
    model = control.fit(lists, wanted, torch.Generator().manual_seed(0), steps=300)
    assert torch.equal(encoder.weight, before)
    assert torch.equal(next(model.encoder.parameters()), before) == frozen
    constant = float(wanted.double().std())
    assert rmse(model, lists, wanted) < 0.3 * constant
    far = rmse(model, to_batch(longer.inputs[0], type_), torch.tensor(longer.outputs))
    assert 0 < far < 5
    assert model(Ragged(torch.zeros(0, 3), torch.tensor([0, 0]))).shape == (2,)


def test_the_recurrent_control_keeps_its_clock() -> None:
    train = sums(20, 1, 3, 0)
    lists = to_batch(train.inputs[0], parse_type("list[vec[3]]"))
    start = time.monotonic()
    recurrent_regressor(nn.Identity()).fit(
        lists, torch.tensor(train.outputs), torch.Generator().manual_seed(0), 10**6, Clock(0.3)
    )
    assert time.monotonic() - start < 1.5


def test_what_is_trained_follows_from_the_generator_alone() -> None:
    images = torch.rand(120, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    task = Task(
        parse_type("image[1,16,16] -> label[2]"), Examples((images,), torch.arange(120) % 2)
    )

    def trained(before: int) -> list[Reference]:
        torch.manual_seed(before)
        *_, last = Halving(steps=3, last=2, contestants=1).run(problem(task, library()))
        return list(last.candidate.parts)

    assert len(trained(1)) == 2
    assert trained(1) == trained(2)
