"""Programs with new networks: typed, pruned before training, trained through their soft form."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import nn

from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import (
    Clock,
    Examples,
    Halving,
    Ragged,
    Task,
    solve,
    to_batch,
)
from metaloom_metalearn.engines.batched.soft import SoftBool, SoftInt
from metaloom_metalearn.search.neural.few_shot import Chain
from metaloom_metalearn.search.neural.fillings import Fillings, inlined
from metaloom_metalearn.search.neural.holdout import part_of
from metaloom_metalearn.search.neural.measure import Measure, chance
from metaloom_metalearn.search.neural.networks import (
    LIST_NETWORKS,
    Frozen,
    convolutional_encoder,
    jittered,
)
from metaloom_metalearn.search.neural.programs import Programs
from metaloom_metalearn.search.neural.sketches import Network, Sketch, Sketches, item_of
from metaloom_metalearn.search.resolver import Resolver
from metaloom_registry import (
    BOOL,
    INT,
    Digest,
    Entry,
    MemoryLibrary,
    PrimitiveTable,
    Reference,
    Tensor,
    Type,
    check,
    parse_term,
    parse_type,
    print_term,
    references,
)

from .arms import block, library, predictions, problem

ITEM = Tensor("vec", (3,))
TWO, THREE = (Network(ITEM, Tensor("logits", (k,))) for k in (2, 3))
LIST_TASK = parse_type("list[vec[3]] -> int")


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


def programs(task: Task, held: MemoryLibrary, budget: float = 20) -> Programs:
    asked = problem(task, held, clock=Clock(budget, time.process_time))
    column = to_batch(task.support.inputs[0], task.given[0])
    measure = Measure(task.want, to_batch(task.support.outputs, task.want))
    return Programs(asked, asked.trace.arm("halving"), column, measure)


def reader(seed: int = 0) -> tuple[Entry, nn.Module]:
    """Reads one-hot digits 0 to 2, perfectly."""
    layer = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        layer.weight.copy_(9.0 * torch.eye(3))
    return block(f"test/reader{seed}", "vec[3] -> logits[3]", layer)


def test_every_sketch_has_the_type_of_the_task_and_reads_the_input() -> None:
    held = library()
    entries = [entry for entry, p in held.blocks.values() if getattr(p, "soft", None) is not None]
    sketches = Sketches(LIST_TASK, entries, [0.0] * len(entries), (TWO,), lambda e: None, limit=40)
    types = {entry.reference: entry.type for entry, _ in held.blocks.values()}
    types[TWO.reference] = TWO.type
    found = list(sketches)
    assert len(found) == 40
    assert len({sketch.term for sketch in found}) == 40
    for sketch in found:
        check(sketch.term, LIST_TASK, types.__getitem__)
        assert TWO.reference in references(sketch.term)
        assert sketch.networks == (TWO,)
        assert sketch.cost > 0


def test_where_nothing_can_read_the_input_there_is_no_sketch() -> None:
    held = library()
    entries = [entry for entry, _ in held.blocks.values()]
    assert not list(Sketches(LIST_TASK, entries, [0.0] * len(entries), (), lambda e: None))


def test_a_program_of_known_blocks_is_found_and_nothing_is_trained() -> None:
    task = Task(LIST_TASK, sums(60, 1, 4, 0))
    held = library(reader())
    asked = problem(task, held)
    found = list(Halving().run(asked))
    counts = asked.trace.arm("halving").counts
    assert found[-1].exact
    assert not found[-1].candidate.parts
    assert counts["trained"] == 0
    assert counts["generated"] > counts["scored"] > 0
    longer = sums(30, 8, 9, 1)
    batch = to_batch(longer.inputs[0], task.given[0])
    assert predictions(found[-1], held, batch).tolist() == list(longer.outputs)


def test_solve_stops_at_a_program_of_known_blocks_that_fits() -> None:
    examples = sums(60, 1, 4, 0)
    wrong = Examples(examples.inputs, (*examples.outputs[:-1], 40))
    clock = Clock(60)
    generator = torch.Generator().manual_seed(0)
    found = solve(Task(LIST_TASK, wrong), library(reader()), clock=clock, generator=generator)
    assert found.search == "compositions"
    assert set(found.trace.arms) == {"compositions"}
    assert found.seconds < 30


def test_sketches_that_cannot_give_an_output_are_pruned_and_classes_are_mined() -> None:
    task = Task(LIST_TASK, sums(60, 1, 4, 0))
    made = programs(task, library())
    assert [n.made for n in made.networks()] == [TWO.made, THREE.made]
    assert max(task.support.outputs) > 3
    found = made.open()
    assert found
    assert made.account.counts["pruned"] > 0
    texts = [print_term(s.term) for s in found if "lists/head" in print_term(s.term)]
    assert not [t for t in texts if "length" not in t and "fold" not in t and "map" not in t]


def test_a_program_is_solved_again_for_another_reader() -> None:
    held = library(reader(1), reader(2))
    names = PrimitiveTable(LISTS).short_names
    one, two = (entry for entry, _ in held.blocks.values() if entry.kind == "graph")
    solved = parse_term(
        f"(lam (sum (map (lam (heads/value@1 (heads/argmax@1 ({one.reference} $0)))) $0)))", names
    )
    digest = Digest.of(b"solved")
    held.add(Entry(Reference(None, digest), digest, "program", LIST_TASK, "sum"), solved)
    made = programs(Task(LIST_TASK, sums(10, 1, 3, 0)), held)
    sketches = made._sketches((THREE,))
    first = [next(sketches) for _ in range(3)]
    assert references(first[0].term) == (Reference(None, digest),)
    assert {s.networks for s in first[1:]} == {(THREE,), ()}
    assert any(two.reference in references(s.term) for s in first)


def learnt(count: int, noise: float, seed: int) -> Examples:
    """Lists of points; how many of them lie on one side of a line."""
    generator = torch.Generator().manual_seed(seed)
    lists, totals = [], []
    for i in range(count):
        points = torch.randn(2 + i % 4, 3, generator=generator)
        lists.append(tuple(points))
        totals.append(int((points @ torch.tensor([1.0, -1.0, 0.5]) > noise).sum()))
    return Examples((tuple(lists),), tuple(totals))


def test_a_new_network_is_trained_through_the_program_and_counts_longer_lists() -> None:
    task = Task(LIST_TASK, learnt(120, 0.0, 0))
    held = library()
    asked = problem(task, held, clock=Clock(12, time.process_time))
    found = list(Halving(steps=600, last=300, contestants=6).run(asked))
    account = asked.trace.arm("halving")
    assert 0 < account.counts["trained"] <= 8
    assert len(found[-1].candidate.parts) == 1
    assert any(note.startswith("rung 1") for note in account.notes)
    assert len(found[-1].right) == 24
    longer = learnt(200, 0.0, 1)
    batch = to_batch(longer.inputs[0], task.given[0])
    said = predictions(found[-1], held, batch)
    assert float((said == torch.tensor(longer.outputs)).float().mean()) > 0.8


def fillings(*blocks: tuple[Entry, nn.Module]) -> tuple[Fillings, list[Entry]]:
    held = library(*blocks)
    entries = [entry for entry, _ in held.blocks.values()]
    graphs = [e for e in entries if e.kind == "graph" and str(e.type) == "vec[3] -> vec[2]"]
    chains = [Chain((e,), parse_type("vec[2]"), 0.0) for e in graphs]
    return Fillings(Resolver(held, entries), chains, (3,)), entries


def counting(network: Network) -> Sketch:
    names = PrimitiveTable(LISTS).short_names
    text = "(lam (sum (map (lam (heads/value@1 (heads/argmax@1 ({} $0)))) $0)))"
    return Sketch(parse_term(text.format(network.reference), names), 3.0, (network,))


def test_a_network_is_filled_by_fresh_frozen_and_tuned_blocks() -> None:
    encoder = block("test/encoder", "vec[3] -> vec[2]", nn.Linear(3, 2))
    made, entries = fillings(encoder, reader())
    names = {filling.name for filling in made.fillings(THREE, entries)}
    assert names == {
        "test/reader0 tuned",
        "test/encoder frozen, linear layer",
        "test/encoder frozen, two layers",
        "test/encoder tuned, linear layer",
        "fresh layers",
    }
    contestants = list(made.of(counting(THREE), entries))
    assert len(contestants) == len(names)
    before = encoder[1].state_dict()["weight"].clone()
    for contestant in contestants:
        module = contestant.fresh()
        pieces = contestant.pieces(module)
        parts = [Reference(None, Digest.of(bytes([i]))) for i in range(len(pieces))]
        types: dict[Reference, Type] = {e.reference: e.type for e in entries}
        types |= {r: p.type for r, p in zip(parts, pieces, strict=True)}
        check(contestant.term(parts), LIST_TASK, types.__getitem__)
        assert set(parts) <= set(references(contestant.term(parts)))
    assert torch.equal(encoder[1].state_dict()["weight"], before)


def test_the_soft_and_the_certain_form_share_what_is_trained() -> None:
    made, entries = fillings()
    (contestant,) = made.of(counting(TWO), entries)
    module = contestant.fresh()
    assert contestant.certain is not None
    certain = contestant.certain(module)
    lists = Ragged(torch.randn(5, 3), torch.tensor([2, 0, 3]))
    soft = module(lists)
    assert isinstance(soft, SoftInt)
    assert soft.probabilities.shape == (3, 4)
    assert torch.allclose(soft.probabilities.sum(1), torch.ones(3))
    assert certain(lists).dtype == torch.int64
    assert {id(p) for p in certain.parameters()} == {id(p) for p in module.parameters()}


def test_a_chain_takes_the_place_of_a_network() -> None:
    one, two = (Reference(None, Digest.of(bytes([i]))) for i in range(2))
    term = parse_term(f"(lam ({TWO.reference} $0))")
    assert inlined(term, TWO.reference, (one, two)) == parse_term(f"(lam ({two} ({one} $0)))")


def test_of_many_lists_the_longest_are_held_out() -> None:
    lengths = torch.tensor([1, 4, 2, 4, 3, 4, 1, 2, 3, 1])
    lists = Ragged(torch.zeros(int(lengths.sum()), 3), lengths)
    fold = part_of(lists, 10, torch.Generator().manual_seed(0))
    assert lengths[fold.held].tolist() == [4, 4]
    assert sorted([*fold.held.tolist(), *fold.kept.tolist()]) == list(range(10))


def test_the_loss_of_a_soft_value_is_minus_the_log_of_its_chance() -> None:
    soft = SoftInt(torch.tensor([[0.25, 0.75], [0.5, 0.5]]), 1)
    assert chance(soft, torch.tensor([2, 7])).tolist() == [0.75, 0.0]
    assert chance(SoftBool(torch.tensor([0.9, 0.2])), torch.tensor([True, False])).tolist() == (
        pytest.approx([0.9, 0.8])
    )
    measure = Measure(INT, torch.tensor([2, 1]))
    loss = measure.loss(soft, torch.arange(2))
    assert float(loss) == pytest.approx(-float(torch.tensor([0.75, 0.5]).log().mean()))


def test_of_a_large_support_one_part_stands_for_all() -> None:
    measure = Measure(BOOL, torch.tensor([True, False, True, True]))
    nats, right = measure.judged(
        torch.tensor([True, True]), torch.tensor([0, 1]), torch.tensor([0, 1])
    )
    alone, _ = measure.judged(torch.tensor([True, True, True, True]), torch.arange(4))
    assert right == (True, False)
    assert nats == pytest.approx(2 * alone)


@pytest.mark.parametrize("name", sorted(LIST_NETWORKS))
def test_readers_of_lists_take_any_lengths_and_each_row_alone(name: str) -> None:
    torch.manual_seed(0)
    network = LIST_NETWORKS[name](3, 8, 2)
    items = torch.randn(5, 3)
    said = network(Ragged(items, torch.tensor([2, 0, 3])))
    assert said.shape == (3, 2)
    alone = network(Ragged(items[2:], torch.tensor([3])))
    assert torch.allclose(said[2:], alone, atol=1e-5)
    assert network(Ragged(None, torch.tensor([0]))).shape == (1, 2)


@pytest.mark.parametrize("size", [8, 16, 28, 33])
def test_the_encoder_takes_images_of_any_size(size: int) -> None:
    encoder = convolutional_encoder((1, size, size)).eval()
    assert encoder(torch.rand(2, 1, size, size)).shape == (2, 64)


def test_jittered_images_differ_but_little() -> None:
    images = torch.zeros(4, 1, 28, 28)
    images[:, :, 8:20, 12:16] = 1
    moved = jittered(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape
    assert not torch.equal(moved, images)
    assert float((moved.sum((1, 2, 3)) / images.sum((1, 2, 3)) - 1).abs().max()) < 0.5
    again = jittered(images, torch.Generator().manual_seed(0))
    assert torch.equal(moved, again)


def test_a_frozen_block_stays_in_eval_mode() -> None:
    frozen = Frozen(nn.Dropout(0.5))
    nn.Sequential(frozen).train()
    assert not frozen.training
    assert not frozen.block.training


@pytest.mark.parametrize(
    ("text", "item"),
    [("list[vec[3]]", "vec[3]"), ("image[1,8,8]", "image[1,8,8]"), ("list[int]", None)],
)
def test_networks_read_the_tensors_of_the_input(text: str, item: Any) -> None:
    assert item_of(parse_type(text)) == (None if item is None else parse_type(item))


def test_the_deadline_cuts_the_making_of_sketches_short() -> None:
    task = Task(LIST_TASK, sums(60, 1, 4, 0))
    assert len(programs(task, library(), budget=1e-6).open()) == 0
