"""The recognition network: derivations, its objective in closed form, learning, and publishing."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import pytest
import torch
from torch import nn

from metaloom import Hub
from metaloom_metalearn import (
    Enumerate,
    Examples,
    Guidance,
    Lesson,
    Space,
    Task,
    Uniform,
    dreams,
    train_recognition,
)
from metaloom_metalearn.search.enumeration.node import term_of
from metaloom_metalearn.search.guidance.derivation import Alternatives, choices, node_of, tables
from metaloom_metalearn.search.guidance.properties import PROPERTIES, properties
from metaloom_metalearn.search.guidance.recognition import _Objective
from metaloom_registry import INT, Apply, InvalidTask, Reference, Type, parse_term, parse_type

from .conftest import LISTS, library, problem_of, task_of, term

Given: TypeAlias = dict[Type, Alternatives]
A, B = Reference.parse("me/a@1"), Reference.parse("me/b@1")


def space() -> Space:
    held = library("map", "filter", "add", "is_even", "sum", "length", "reverse", "tail", "head")
    made = Space.of(problem_of(task_of("list[int] -> list[int]", lambda x: x[1:]), held), "test")
    assert made is not None
    return made


def test_a_term_is_derived_as_it_was_drawn() -> None:
    made = space()
    for _ in range(50):
        node = made.drawn(30.0)
        if node is not None:
            again = node_of(made, term_of(node, 1))
            assert again is not None
            assert term_of(again, 1) == term_of(node, 1)
            assert again.cost <= node.cost + 1e-9


def test_the_choices_of_a_term_are_its_blocks_and_leaves_by_the_type_that_was_wanted() -> None:
    made = space()
    node = node_of(made, term("(lam (map (lam (add $0 1)) (filter (lam (is_even $0)) $0)))"))
    assert node is not None
    ints, lists = INT, parse_type("list[int]")
    assert choices(made, node) == Counter(
        {
            (lists, Reference.parse("lists/map@1")): 1,
            (lists, Reference.parse("lists/filter@1")): 1,
            (lists, None): 1,
            (ints, Reference.parse("lists/add@1")): 1,
            (ints, None): 3,
            (parse_type("bool"), Reference.parse("lists/is_even@1")): 1,
        }
    )


def test_terms_over_other_blocks_are_not_derived() -> None:
    assert node_of(space(), term("(lam (sort $0))")) is None
    assert node_of(space(), term("(lam (sum $0))")) is None


def test_the_objective_is_the_log_probability_of_the_choices() -> None:
    """Two blocks and a variable at 1/2, 1/4, 1/4; a network that adds ln 2 to the second block."""
    alternatives: Given = {
        INT: Alternatives((A, B, None), (math.log(0.5), math.log(0.25), math.log(0.25)))
    }
    lesson = Lesson(torch.zeros(2, PROPERTIES), {(INT, B): 2, (INT, None): 1})

    class Doubling(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.tensor([0.0, math.log(2)]).expand(len(x), 2)

    loss = _Objective([lesson], alternatives, (A, B)).loss(Doubling(), [0])
    assert float(loss) == pytest.approx(-(2 * math.log(0.5 / 1.25) + math.log(0.25 / 1.25)))


def test_training_favours_the_block_that_the_examples_call_for() -> None:
    """Reversed lists call for A, others for B."""
    alternatives: Given = {INT: Alternatives((A, B, None), (math.log(1 / 3),) * 3)}
    lessons = []
    for i in range(40):
        xs = tuple(range(i, i + 4))
        for block, output in ((A, xs[::-1]), (B, xs)):
            lessons.append(Lesson(torch.tensor([properties((xs,), output)]), {(INT, block): 1}))
    guide = train_recognition(lessons, alternatives, torch.Generator().manual_seed(0), steps=150)
    for block, output in ((A, (9, 8, 7)), (B, (7, 8, 9))):
        with torch.no_grad():
            said = guide.network(torch.tensor([properties(((7, 8, 9),), output)]))[0]
        assert guide.references[int(said.argmax())] == block
    again = train_recognition(lessons, alternatives, torch.Generator().manual_seed(0), steps=150)
    for one, other in zip(guide.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_nothing_is_learned_from_no_lesson() -> None:
    with pytest.raises(InvalidTask, match="give one or more"):
        train_recognition([], {}, torch.Generator())


def test_dreams_read_their_input_and_say_more_than_one_thing() -> None:
    made = space()
    for lesson in islice(dreams(made), 20):
        assert lesson.examples.shape == (len(made.examples), PROPERTIES)
        assert sum(lesson.choices.values()) > 1


def test_a_guided_search_makes_fewer_programs_and_no_guidance_is_the_uniform_prior() -> None:
    made = space()
    task = task_of("list[int] -> list[int]", lambda x: tuple(v + v for v in x if v % 2 == 0))
    node = node_of(made, term("(lam (map (lam (add $0 $0)) (filter (lam (is_even $0)) $0)))"))
    assert node is not None
    told = torch.tensor([properties(i, o) for i, o in zip(
        zip(*task.support.inputs, strict=True), task.support.outputs, strict=True)])  # fmt: skip
    lesson = Lesson(told, choices(made, node))
    guide = train_recognition(
        [lesson], tables(made.grammar), torch.Generator().manual_seed(0), steps=60
    )

    def generated(prior: object) -> int:
        held = library(
            "map", "filter", "add", "is_even", "sum", "length", "reverse", "tail", "head"
        )
        problem = problem_of(task, held)
        object.__setattr__(problem, "prior", prior)
        for one in Enumerate().run(problem):
            if one.exact:
                return problem.trace.arm("enumerate").counts["generated"]
        raise AssertionError("not found")

    deaf = Guidance(guide.network, guide.references, strength=0.0)
    assert generated(guide) < generated(Uniform()) == generated(deaf)


def test_a_guidance_is_published_and_loaded_like_any_block(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(PROPERTIES, 8), nn.ReLU(), nn.Linear(8, 2))
    guide = Guidance(network, (A, B))
    task = Task(parse_type("list[int] -> list[int]"), Examples((LISTS[:4],), LISTS[:4]))
    with Hub.open(tmp_path) as hub:
        hub.publish("me/guide", network, f"vec[{PROPERTIES}] -> vec[2]")
        hub.publish("me/guide-names", guide.names, "list[text]")
        block, names = hub["me/guide"].load(), hub["me/guide-names"].load()
        assert isinstance(block, nn.Module)
        assert isinstance(names, Apply)
        again = Guidance.of(block, names)
    entries = problem_of(task, library("map")).entries
    assert again.references == guide.references
    assert again.log_weights(task, entries) == [0.0] * len(entries)
    x = torch.randn(3, PROPERTIES, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(block(x), network(x))


def test_names_that_are_no_list_of_texts_are_refused() -> None:
    with pytest.raises(InvalidTask, match="a list of texts"):
        Guidance.of(nn.Identity(), parse_term("(lam $0)"))
