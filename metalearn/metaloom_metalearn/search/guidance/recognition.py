"""A recognition network: from a task's examples to a weight for every block of the grammar.

A network makes log weights of each example (`properties`), and their mean over the examples is the
task's: a function of a set (Zaheer et al. 2017).  It is trained so that the weighted grammar makes
the known program of a task likely, on tasks that were solved and on *dreams*: programs drawn from
the grammar and run on the inputs of known tasks (Ellis et al. 2021, "DreamCoder", section 4; its
unigram form).  The network is an ordinary module, vec[50] -> vec[blocks], and can be published.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from metaloom_metalearn.search.enumeration.node import term_of
from metaloom_metalearn.search.examples import checked_examples
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.guidance.derivation import Alternatives, Choice, choices
from metaloom_metalearn.search.guidance.properties import PROPERTIES, properties
from metaloom_metalearn.search.strategies.space import Space
from metaloom_metalearn.tasks import Task
from metaloom_registry import (
    Apply,
    Entry,
    EvaluationError,
    InvalidTask,
    Literal,
    Reference,
    Term,
    Type,
)
from metaloom_registry.terms import Use, spine

CONS, EMPTY = Reference.parse("lists/cons@1"), Reference.parse("lists/empty@1")

LARGEST = 50
"""The most items of an output that is dreamt of."""


@dataclass(frozen=True)
class Lesson:
    """Examples, float [n, PROPERTIES], and the choices that make the program behind them."""

    examples: torch.Tensor
    choices: Mapping[Choice, int]


@dataclass(frozen=True)
class Guidance:
    """A prior that asks a recognition network; blocks that it does not know weigh 1 on average.

    `strength` multiplies what the network says, 0 being no guidance.
    """

    network: nn.Module
    references: tuple[Reference, ...]
    strength: float = 1.0
    _places: dict[Reference, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        places = {reference: i for i, reference in enumerate(self.references)}
        object.__setattr__(self, "_places", places)

    def log_weights(self, task: Task, entries: Sequence[Entry]) -> Sequence[float]:
        """One log weight an entry, from the support alone."""
        told = [properties(i, o) for i, o in checked_examples(task.support, task.type)]
        with torch.no_grad():
            said = self.network(torch.tensor(told)).mean(0)
        known = (self._places.get(entry.reference) for entry in entries)
        return [0.0 if at is None else self.strength * float(said[at]) for at in known]

    @property
    def names(self) -> Term:
        """The blocks in the order of what the network gives, as a program of type list[text]."""
        term: Term = Use(EMPTY)
        for reference in reversed(self.references):
            term = Apply(Apply(Use(CONS), Literal(str(reference))), term)
        return term

    @classmethod
    def of(cls, network: nn.Module, names: Term, strength: float = 1.0) -> Guidance:
        """From a network and the program of its blocks' names, neither of which runs any code.

        Raises InvalidTask where the program is no list of names.
        """
        found = []
        while names != Use(EMPTY):
            head, arguments = spine(names)
            if head != Use(CONS) or len(arguments) != 2 or not isinstance(arguments[0], Literal):
                raise InvalidTask("the names of a guidance are a list of texts written out")
            found.append(Reference.parse(str(arguments[0].value)))
            names = arguments[1]
        return cls(network, tuple(found), strength)


def lesson_of(examples: Sequence[tuple[Sequence[Any], Any]], made: Counter[Choice]) -> Lesson:
    """What a task and the choices of its program teach."""
    return Lesson(torch.tensor([properties(i, o) for i, o in examples]), made)


def dreams(space: Space, nats: float = 25.0) -> Iterator[Lesson]:
    """Lessons without end: programs drawn from the space, run on its inputs.

    Those that fail somewhere, give the same everywhere or do not read the input teach nothing.
    """
    while not space.expired():
        node = space.drawn(nats)
        if node is None or not node.arguments or not node.uses:
            continue
        run = space.blocks.evaluator.compile(term_of(node, len(space.given)))
        outputs: list[Any] = []
        for inputs, _ in space.examples:
            try:
                outputs.append(run(*inputs))
            except EvaluationError:
                outputs.append(FAILED)
        if FAILED not in outputs and len(set(outputs)) > 1 and max(map(_size, outputs)) <= LARGEST:
            pairs = [(i, o) for (i, _), o in zip(space.examples, outputs, strict=True)]
            yield lesson_of(pairs, choices(space, node))


def train_recognition(
    lessons: Sequence[Lesson],
    tables: Mapping[Type, Alternatives],
    generator: torch.Generator,
    steps: int = 1500,
    hidden: int = 96,
    batch: int = 64,
) -> Guidance:
    """The network that makes the lessons' choices likely; raises InvalidTask without a lesson."""
    if not lessons:
        raise InvalidTask("a recognition network learns from lessons; give one or more")
    references = tuple(
        dict.fromkeys(r for table in tables.values() for r in table.references if r is not None)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(1 << 31, (), generator=generator)))
        network = nn.Sequential(
            nn.Linear(PROPERTIES, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, len(references)),
        )  # fmt: skip
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3, weight_decay=1e-2)
    objective = _Objective(lessons, tables, references)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - step / steps)
        some = torch.randint(len(lessons), (min(batch, len(lessons)),), generator=generator)
        loss = objective.loss(network, some.tolist())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Guidance(network.eval(), references)


class _Objective:
    """Minus the log probability of the lessons' choices under the grammar a network weighs."""

    def __init__(
        self,
        lessons: Sequence[Lesson],
        tables: Mapping[Type, Alternatives],
        references: Sequence[Reference],
    ) -> None:
        self.lessons = lessons
        places = {reference: i for i, reference in enumerate(references)}
        self.logs, self.places, self.counts = [], [], []
        for type_, table in tables.items():
            self.logs.append(torch.tensor(table.logs))
            at = [len(references) if r is None else places[r] for r in table.references]
            self.places.append(torch.tensor(at))
            counts = [
                [float(lesson.choices.get((type_, r), 0)) for r in table.references]
                for lesson in lessons
            ]
            self.counts.append(torch.tensor(counts))

    def loss(self, network: nn.Module, some: Sequence[int]) -> torch.Tensor:
        """Over these lessons; a variable or literal weighs what it weighs."""
        examples = [self.lessons[i].examples for i in some]
        owners = torch.tensor([k for k, rows in enumerate(examples) for _ in rows])
        sizes = torch.tensor([float(len(rows)) for rows in examples])
        said: torch.Tensor = network(torch.cat(examples))
        total = said.new_zeros(len(some), said.shape[1]).index_add(0, owners, said)
        weights = nn.functional.pad(total / sizes[:, None], (0, 1))
        loss = said.new_zeros(())
        for logs, places, counts in zip(self.logs, self.places, self.counts, strict=True):
            loss = loss - (counts[some] * (logs + weights[:, places]).log_softmax(1)).sum()
        return loss / len(some)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, tuple | str) else 1
