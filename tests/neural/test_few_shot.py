"""The few-shot arm: it finds the right encoder and head on the support alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_metalearn import Clock, Examples, Support, Task, compile_term, to_support
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Scored
from metaloom_metalearn.search.neural.few_shot import FewShot, encoders, label_nats
from metaloom_metalearn.search.neural.holdout import folds_of, perturbed, shifts
from metaloom_metalearn.search.prior import Weights
from metaloom_registry import (
    Digest,
    Entry,
    MemoryLibrary,
    Primitive,
    Reference,
    Use,
    fits,
    infer,
    parse_type,
    print_term,
    subterms,
)


class Columns(nn.Module):
    """Some of the numbers of a vector."""

    def __init__(self, *places: int) -> None:
        super().__init__()
        self.places = places
        self.rows = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.rows += len(x)
        return x[:, list(self.places)]


def block(name: str, type_: str, module: nn.Module) -> tuple[Entry, nn.Module]:
    digest = Digest.of(name.encode())
    return Entry(Reference(None, digest), digest, "graph", parse_type(type_), name), module


KNOWN_HEADS = sum(str(primitive.signature).startswith("examples[vec[n], ") for primitive in HEADS)
"""Those without settings of their own, which are for tuning."""

SIGNAL = block("test/signal", "vec[6] -> vec[2]", Columns(0, 1))
NOISE = block("test/noise", "vec[6] -> vec[4]", Columns(2, 3, 4, 5))
HALF = block("test/half", "vec[2] -> vec[1]", Columns(0))
OTHER = block("test/other", "image[1,8,8] -> vec[4]", nn.Flatten())


def library(*blocks: tuple[Entry, nn.Module]) -> MemoryLibrary:
    found = MemoryLibrary.of(HEADS)
    for entry, module in blocks:
        found.add(entry, module)
    return found


def problem(task: Task, held: MemoryLibrary, **settings: Any) -> Problem:
    entries = tuple(entry for entry, _ in held.blocks.values())
    return Problem(task, held, entries, settings.pop("clock", Clock(60)), **settings)


def episode(shots: int, seed: int = 0, query: Examples | None = None) -> Task:
    """Three classes that the first two numbers tell apart; four more are loud noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(3).repeat_interleave(shots)
    angles = 2 * math.pi * labels / 3
    signal = torch.stack([angles.cos(), angles.sin()], dim=1)
    signal = signal + 0.1 * torch.randn(signal.shape, generator=generator)
    noise = 3 * torch.randn(len(labels), 4, generator=generator)
    inputs = torch.cat([signal, noise], dim=1)
    return Task(parse_type("vec[6] -> label[3]"), Examples((inputs,), labels), query)


def best(found: list[Scored]) -> Scored:
    return min(found, key=lambda scored: scored.rank)


def names(scored: Scored, held: MemoryLibrary) -> set[str]:
    known = {entry.reference: entry.name for entry, _ in held.blocks.values()}
    return {known[t.reference] for t in subterms(scored.candidate.term) if isinstance(t, Use)}


@pytest.mark.parametrize("shots", [2, 5])
def test_the_right_encoder_wins(shots: int) -> None:
    held = library(NOISE, SIGNAL, HALF, OTHER)
    for seed in range(3):
        found = list(FewShot().run(problem(episode(shots, seed), held)))
        assert "test/signal" in names(best(found), held)
        assert "test/half" not in names(best(found), held)


class Parity(nn.Module):
    """Sums with the signs of a chess board, which change with every shift."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        board = 1 - 2 * ((torch.arange(8)[:, None] + torch.arange(8)) % 2)
        return (x * board).flatten(1)[:, ::2].cumsum(1)[:, ::8]


def test_with_one_example_a_class_an_encoder_that_withstands_shifts_wins() -> None:
    robust = block(
        "test/pool", "image[1,8,8] -> vec[4]", nn.Sequential(nn.AvgPool2d(4), nn.Flatten())
    )
    brittle = block("test/parity", "image[1,8,8] -> vec[4]", Parity())
    held = library(brittle, robust)
    images = torch.zeros(4, 1, 8, 8)
    for i, (row, column) in enumerate([(1, 1), (1, 5), (5, 1), (5, 5)]):
        images[i, 0, row : row + 2, column : column + 2] = 1
    task = Task(parse_type("image[1,8,8] -> label[4]"), Examples((images,), torch.arange(4)))
    found = list(FewShot().run(problem(task, held)))
    assert "test/pool" in names(best(found), held)
    assert best(found).exact


def test_a_candidate_is_a_well_typed_term_that_predicts() -> None:
    held = library(SIGNAL, HALF)
    task, fresh = episode(5), episode(20, seed=7)
    found = list(FewShot().run(problem(task, held)))
    known = {entry.reference: entry for entry, _ in held.blocks.values()}
    wanted = parse_type("examples[vec[6], label[3]] -> vec[6] -> label[3]")
    for scored in found:
        assert scored.candidate.type == wanted
        assert fits(infer(scored.candidate.term, lambda r: known[r].type), wanted)
        assert len(scored.right) == len(task.support)
    module = compile_term(
        best(found).candidate.term,
        lambda r: known[r].type,
        lambda r: held.load(known[r].digest),
    )
    support = to_support(task.support, task.given[0], task.want)
    labels = module(support, fresh.support.inputs[0])
    assert float((labels == fresh.support.outputs).float().mean()) > 0.95


def test_chains_of_blocks_are_tried_and_the_input_itself() -> None:
    held = library(SIGNAL, HALF)
    found = [print_term(s.candidate.term) for s in FewShot().run(problem(episode(2), held))]
    signal, half = SIGNAL[0].reference, HALF[0].reference
    assert any(f"(lam ({half} ({signal} $0)))" in text for text in found)
    assert "(lam (lam (heads/argmax@1 (heads/prototypes@1 $1 $0))))" in found
    assert len(found) == len(set(found)) == 3 * KNOWN_HEADS


def test_features_are_computed_once_for_each_encoder() -> None:
    held = library(SIGNAL)
    module = SIGNAL[1]
    assert isinstance(module, Columns)
    module.rows = 0
    found = list(FewShot().run(problem(episode(5), held)))
    assert len(found) == 2 * KNOWN_HEADS
    assert module.rows == 15 + 5 * 15  # the support, then all that is judged: it and 4 noisy copies


class Unread(Examples):
    """Examples that nobody may look at."""

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"the query was looked at: {name}")


def test_the_query_is_never_looked_at() -> None:
    found = list(FewShot().run(problem(episode(2, query=Unread()), library(SIGNAL))))
    assert len(found) == 2 * KNOWN_HEADS


def test_only_the_entries_of_the_problem_are_used() -> None:
    held = library(SIGNAL, NOISE)
    entries = tuple(e for e, _ in held.blocks.values() if e.name != "test/signal")
    found = list(FewShot().run(Problem(episode(5), held, entries, Clock(60))))
    assert found
    assert all("test/signal" not in names(scored, held) for scored in found)


def test_the_prior_decides_between_equal_encoders() -> None:
    twin = block("test/twin", "vec[6] -> vec[2]", Columns(0, 1))
    held = library(SIGNAL, twin)
    for favourite in (SIGNAL, twin):
        prior = Weights({favourite[0].reference: 2.0})
        found = list(FewShot().run(problem(episode(2), held, prior=prior)))
        assert favourite[0].name in names(best(found), held)


def test_a_head_or_block_that_fails_is_noted_and_left_out() -> None:
    broken = Primitive(
        "test/broken", 1, "examples[vec[n], label[k]] -> vec[n] -> logits[k]", "Not a number.",
        ("support", "query"),
        batched=lambda support, query: torch.full((len(query), support.classes), float("nan")),
    )  # fmt: skip
    held = MemoryLibrary.of((*HEADS, broken))
    asked = problem(episode(2), held)
    found = list(FewShot().run(asked))
    assert len(found) == KNOWN_HEADS
    account = asked.trace.arm("few-shot")
    assert account.counts["failed"] == 1
    assert account.notes == ["test/broken on the input itself: its logits are no numbers"]


def test_it_stops_when_the_time_is_over() -> None:
    now = iter(range(1000))
    clock = Clock(4, now=lambda: float(next(now)))
    asked = problem(episode(2), library(SIGNAL, NOISE), clock=clock)
    assert 0 < len(list(FewShot().run(asked))) < 9
    assert "the time was over before every encoder was tried" in asked.trace.arm("few-shot").notes


def test_a_library_without_embed_is_named_as_what_is_missing() -> None:
    some = tuple(p for p in HEADS if p.name != "heads/embed")
    asked = problem(episode(2), MemoryLibrary.of(some))
    assert list(FewShot().run(asked)) == []
    assert "has no primitive (a -> b) -> examples" in asked.trace.arm("few-shot").notes[0]


def test_it_applies_to_classification_of_tensors_alone() -> None:
    held = library(SIGNAL)
    assert FewShot().applies(problem(episode(1), held))
    numbers = Task(parse_type("int -> int"), Examples(((1,),), (1,)))
    assert not FewShot().applies(problem(numbers, held))
    assert not FewShot().applies(problem(episode(1), MemoryLibrary()))


def test_knowing_nothing_costs_n_ln_k_and_certainty_almost_nothing() -> None:
    labels = torch.tensor([0, 1, 2])
    owners = torch.arange(3)
    sure, right = label_nats(10 * torch.eye(3), labels, owners)
    assert right == (True, True, True)
    assert sure < 1e-6
    wrong, right = label_nats(10 * torch.eye(3).roll(1, 0), labels, owners)
    assert right == (False, False, False)
    assert wrong == pytest.approx(3 * math.log(3), rel=0.05)
    assert label_nats(torch.zeros(3, 3), labels, owners)[0] == pytest.approx(3 * math.log(3))


def test_every_example_is_held_out_once_and_judged_by_others_of_every_class() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    support = Support(torch.arange(9.0)[:, None], labels, 3)
    folds = folds_of(support, parse_type("vec[1]"))
    assert len(folds) == 2
    owners = torch.cat([fold.owners for fold in folds])
    assert owners.bincount().tolist() == [5] * 9  # as it is, and perturbed four times
    for fold in folds:
        assert not set(fold.owners.tolist()) & set(fold.kept.tolist())
        assert torch.equal(fold.column[:9], support.x)
        assert set(labels[fold.kept].tolist()) == {0, 1, 2}


def test_a_one_shot_task_is_judged_by_perturbations_of_the_same_type() -> None:
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    support = Support(images, torch.arange(3), 3)
    (fold,) = folds_of(support, parse_type("image[1,8,8]"))
    assert fold.kept.tolist() == [0, 1, 2]
    assert fold.column.shape == (18, 1, 8, 8)
    assert float(fold.column.min()) >= 0
    assert float(fold.column.max()) <= 1
    assert fold.owners.tolist() == [0, 1, 2] * 6
    shown, owners = perturbed(torch.randn(2, 5), parse_type("vec[5]"), None)
    assert shown.shape == (4 * 2, 5)
    assert owners.tolist() == [0, 1] * 4


def test_a_shift_moves_every_pixel_by_one() -> None:
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 1, 2] = 1
    places = [tuple(int(i) for i in one[0, 0].nonzero()[0]) for one in shifts(image)]
    assert places == [(1, 3), (1, 1), (2, 2), (0, 2)]


def test_encoders_cost_what_their_choices_do() -> None:
    weighted = [(SIGNAL[0], 0.0), (NOISE[0], 0.0), (HALF[0], 0.0), (OTHER[0], 0.0)]
    chains = encoders(weighted, parse_type("vec[6]"), 2)
    costs = {tuple(e.name for e in chain.entries): chain.cost for chain in chains}
    three, two = math.log(3), math.log(2)
    assert costs[()] == pytest.approx(three)
    assert costs[("test/signal",)] == pytest.approx(three + two)
    assert costs[("test/noise",)] == pytest.approx(three)
    assert costs[("test/signal", "test/half")] == pytest.approx(three + two)
    assert len(costs) == 4
    assert sum(math.exp(-cost) for cost in costs.values()) == pytest.approx(1)
