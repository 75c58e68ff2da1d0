"""Counting and summing the digits in lists of images: programs found in a growing library.

The sequences of tasks are HOUDINI's (Valkov et al. 2018, section 4), each on a library that is
empty but for primitives and grows by what solves its tasks:

    CS1  recognise d1, recognise d2, count d1, count d2
    CS2  recognise d1, count d1, count d2, recognise d2    (d2 is learned by counting it)
    CS3  recognise d1, count d1, count t, recognise t      (t: a character of Kuzushiji-MNIST)
    SS   classify digits, sum digits

`count_*` are means over CS1's two counting tasks, whose recognisers the library has; the tasks that
have to learn a new recogniser from lists alone stand in `sequences`, and as `learned` in `rmse`.
Controls see the same lists: the same recogniser, frozen, with an LSTM, and convolutions with an
LSTM from scratch (`digit_controls`).  Where the search trained networks, they are trained on as
many images as these were.  `digit_readings` says how numbers are read from programs and controls.

Steps end every training; deadlines, in processor time, are there for slow machines alone.  So the
same seed gives the same figures.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.digits import controls
from benchmarks.digits.library import GrowingLibrary
from benchmarks.digits.lists import Images, Lists, Split, balanced, counted, cycled, summed
from benchmarks.digits.readings import (
    answered,
    distance,
    errors,
    exact,
    reading,
    regressed,
    views,
)
from metaloom_metalearn import Clock, Examples, Halving, Solution, Task, one_thread, solve
from metaloom_registry import NoSolution, parse_type

TRAIN_LENGTHS, TEST_LENGTHS, LONG = (2, 3, 4, 5), (6, 7, 8), 10
WHOLE = 6000
"""Lists at a data share of 100 %."""

PERCEPTION = ("recognise", "classify")

SEQUENCES: Mapping[str, tuple[str, ...]] = {
    "CS1": ("recognise d1", "recognise d2", "count d1", "count d2"),
    "CS2": ("recognise d1", "count d1", "count d2", "recognise d2"),
    "CS3": ("recognise d1", "count d1", "count t", "recognise t"),
    "SS": ("classify", "sum"),
}
SETTINGS = {
    "sequences": {name: list(tasks) for name, tasks in SEQUENCES.items()},
    "recogniser_images": 6000,
    "lists_at_100_percent": WHOLE,
    "train_lengths": list(TRAIN_LENGTHS),
    "test_lengths": list(TEST_LENGTHS),
    "long_length": LONG,
    "items": "counting: the digit with probability 1/2; summing: digits drawn uniformly",
    "count": "mean over count d1 and count d2 of CS1",
    "learned": "mean over the counting tasks whose recogniser was learned from lists",
    "reading": "mean over five views of the images, of controls and of what programs expect; or"
    " what a program gives, where no network was trained and that errs less on its own lists",
    "budget": "controls: steps of 32 lists, shared out over their rates; where the search trained"
    " networks, in steps of 16 lists, as many lists as these saw",
}


@dataclass(frozen=True)
class Effort:
    """Gradient steps: those that contestants share, and the winner's own; a deadline in seconds."""

    contest: int
    last: int
    seconds: float

    @property
    def arm(self) -> Halving:
        return Halving(steps=self.contest, last=self.last)


@dataclass(frozen=True)
class Scale:
    """How much is done: data shares in percent, numbers of lists and images, steps and seconds.

    Each group of sequences is run by one process; those that learn a recogniser from lists are run
    at the first share alone.

    `reader` and `binary` are for the recogniser of ten classes and of two, `search` for a program.
    `control` are the gradient steps of a control where the search trained nothing.
    """

    shares: tuple[int, ...] = (2, 10, 100)
    sequences: tuple[tuple[str, ...], ...] = (("CS1", "CS2"), ("SS", "CS3"))
    images: int = 6000
    tests: int = 1000
    reader: Effort = Effort(1200, 6000, 500.0)
    binary: Effort = Effort(900, 1500, 200.0)
    search: Effort = Effort(2800, 1200, 300.0)
    control: int = 480

    @property
    def learned(self) -> int:
        """The steps of a control, of 32 lists, that see as many as those of a search, of 16."""
        return (self.search.contest + self.search.last) // 2


QUICK = Scale(
    shares=(2,),
    sequences=(("CS1",),),
    images=600,
    tests=100,
    reader=Effort(40, 120, 30.0),
    binary=Effort(100, 120, 30.0),
    search=Effort(16, 30, 30.0),
    control=30,
)


@dataclass
class Measured:
    """One task of a sequence: what solved it, what it took, how it and its controls err."""

    task: str
    solution: Solution | None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class Bench:
    """The images, the digits and the budgets of one run."""

    scale: Scale
    seed: int
    splits: Mapping[str, Split]
    digits: Mapping[str, int]
    known: dict[tuple[object, ...], Measured] = field(default_factory=dict)

    def sequence(self, name: str, share: int) -> list[Measured]:
        """The tasks in turn, each on what the library then holds."""
        library, found = GrowingLibrary(), []
        done: tuple[str, ...] = ()
        for task in SEQUENCES[name]:
            done = (*done, task)
            measured = self.measured(task, library, done, share)
            found.append(measured)
            progress(line(name, f"{share}%", task, measured.facts))
            if measured.solution is not None:
                library.publish(measured.solution, task.replace(" ", "-"))
        return found

    def measured(
        self, task: str, library: GrowingLibrary, done: tuple[str, ...], share: int
    ) -> Measured:
        """The task on this library: once where sequences begin alike, as their libraries do."""
        perception = all(one.split()[0] in PERCEPTION for one in done)
        key = (*done, 0 if perception else share)
        if key not in self.known:
            generator = torch.Generator().manual_seed(self.seed + len(done))
            seen = task.split()[0] in PERCEPTION
            found = (
                self.recogniser(task, library, generator)
                if seen
                else self.program(task, library, generator, share)
            )
            self.known[key] = found
        return self.known[key]

    def recogniser(
        self, task: str, library: GrowingLibrary, generator: torch.Generator
    ) -> Measured:
        """From images to whether they show a digit, or which."""
        split, wanted = self.split(task), self.wanted(task)
        images = split.recogniser.take(torch.arange(min(self.scale.images, len(split.recogniser))))
        classes = 10 if task == "classify" else 2
        effort = self.scale.reader if classes == 10 else self.scale.binary
        type_ = parse_type(f"image[1,28,28] -> label[{classes}]")
        if classes == 2:
            images = balanced(images, self.digits[task.split()[1]])
        support = Examples((images.pixels,), wanted(images.labels))
        asked = Task(type_, support, name=task)
        solution, facts = self.solve(asked, library, effort, generator)
        if solution is not None:
            said = solution.predict_many(split.test.pixels)
            assert isinstance(said, Tensor)
            right = (said == wanted(split.test.labels)).double().mean()
            facts["accuracy"] = round(float(right), 4)
        return Measured(task, solution, facts)

    def program(
        self, task: str, library: GrowingLibrary, generator: torch.Generator, share: int
    ) -> Measured:
        """From lists of images to a number, with its controls."""
        split = self.split(task)
        train = self.lists(
            task, split.programs, cycled(TRAIN_LENGTHS, WHOLE * share // 100), generator
        )
        test = self.lists(task, split.test, cycled(TEST_LENGTHS, self.scale.tests), generator)
        long = self.lists(task, split.test, [LONG] * self.scale.tests, generator)
        type_ = parse_type("list[image[1,28,28]] -> int")
        asked = Task(type_, train.examples(), name=task)
        solution, facts = self.solve(asked, library, self.scale.search, generator)
        facts |= {"lists": len(train.totals), "long": {}}
        if solution is not None:
            found = errors(solution, test)
            chosen = reading(solution, train)
            facts |= {kind: round(error, 4) for kind, error in found.items()}
            facts |= {"library": round(found[chosen], 4), "reading": chosen}
            facts["long"]["library"] = exact(answered(solution, long), long.totals)
        steps = self.scale.learned if facts.get("trained") else self.scale.control
        budget = controls.Budget(steps, generator)
        models = {"scratch": controls.scratch(train, budget)}
        if reader := self.reader(task, library):
            models["frozen"] = controls.frozen(library.module(reader), train, budget)
        many = views(split.test)
        for name, model in models.items():
            facts[name] = round(distance(regressed(model, test, many), test.totals), 4)
            facts["long"][name] = exact(regressed(model, long, many[:1]), long.totals)
        return Measured(task, solution, facts)

    def reader(self, task: str, library: GrowingLibrary) -> str | None:
        """The library's recogniser of what a task is about, or else its first one."""
        known = [e.name for e, _ in library.held.blocks.values() if e.kind == "program"]
        readers = [name for name in known if name.startswith(PERCEPTION)]
        wanted = task.replace("count", "recognise").replace("sum", "classify").replace(" ", "-")
        return wanted if wanted in readers else next(iter(readers), None)

    def solve(
        self, task: Task, library: GrowingLibrary, effort: Effort, generator: torch.Generator
    ) -> tuple[Solution | None, dict[str, Any]]:
        """What solves a task, if anything does, and what the search did."""
        clock = Clock(effort.seconds, time.process_time)
        try:
            solution = solve(
                task, library.held, clock=clock, searches=(effort.arm,), generator=generator
            )
        except NoSolution as error:
            return None, {"error": str(error)}
        counts = solution.trace.arm("halving").counts
        facts: dict[str, Any] = {key: counts[key] for key in ("generated", "pruned", "trained")}
        facts["seconds"] = round(solution.seconds, 1)
        facts["program"] = re.sub(r"@sha256:(\w{6})\w*", r"\1", solution.text)
        return solution, facts

    def lists(self, task: str, images: Images, lengths: list[int], g: torch.Generator) -> Lists:
        if task == "sum":
            return summed(images, lengths, g)
        return counted(images, self.digits[task.split()[1]], lengths, g)

    def split(self, task: str) -> Split:
        return self.splits["kmnist" if task.endswith(" t") else "mnist"]

    def wanted(self, task: str) -> Any:
        if task == "classify":
            return lambda labels: labels
        digit = self.digits[task.split()[1]]
        return lambda labels: (labels == digit).long()


def line(sequence: str, share: str, task: str, facts: Mapping[str, Any]) -> str:
    """One line of the table: whose figures they are, and the figures."""

    def told() -> Iterator[str]:
        for name in ("accuracy", "library", "expected", "certain", "frozen", "scratch"):
            if name in facts:
                yield f"{name} {facts[name]:.4f}"
        for name in ("lists", "generated", "trained"):
            if name in facts:
                yield f"{name} {facts[name]}"
        if "seconds" in facts:
            yield f"{facts['seconds']:.1f} s"
        yield facts.get("program", facts.get("error", "no solution"))

    return f"{sequence:<4} {share:>4}  {task:<12}  {', '.join(told())}"


def bench(options: Options, scale: Scale) -> Bench:
    """The images of the options, split, and the digits that the seed draws."""
    generator = torch.Generator().manual_seed(options.seed)
    splits = {}
    every = [name for group in scale.sequences for name in group]
    for name in ("mnist", "kmnist") if "CS3" in every else ("mnist",):
        test = None if options.train_data is None else options.file(f"{name}.npz")
        splits[name] = Split.of(options.train_file(f"{name}.npz"), test, generator)
    one, other = torch.randperm(10, generator=generator)[:2].tolist()
    toy = int(torch.randint(10, (), generator=generator))
    return Bench(scale, options.seed, splits, {"d1": one, "d2": other, "t": toy})


def tables_of(options: Options, scale: Scale, group: Sequence[str]) -> dict[str, Any]:
    """What one process measures: by sequence, data share and task."""
    made = bench(options, scale)
    tables: dict[str, Any] = {}
    with one_thread():
        for name in group:
            for share in scale.shares[:1] if name in TRANSFER else scale.shares:
                found = made.sequence(name, share)
                tables.setdefault(name, {})[f"{share}%"] = {m.task: m.facts for m in found}
    return tables


TRANSFER = ("CS2", "CS3")


def measure(options: Options) -> Metrics:
    """Every sequence at every data share, two at a time, and the figures at the first."""
    scale = QUICK if options.quick else Scale()
    tables: dict[str, Any] = {}
    if len(scale.sequences) == 1:
        tables = tables_of(options, scale, scale.sequences[0])
    else:
        with ProcessPoolExecutor(2, get_context("spawn")) as pool:
            jobs = [pool.submit(tables_of, options, scale, group) for group in scale.sequences]
            for job in jobs:
                tables |= job.result()
    progress("root mean squared errors, shares of right answers, and what was done")
    for name in sorted(tables):
        for share, tasks in tables[name].items():
            for task, facts in tasks.items():
                progress(line(name, share, task, facts))
    digits = dict(bench(options, scale).digits)
    return {**figures(tables, scale), "sequences": tables, "digits": digits}


def figures(tables: Mapping[str, Any], scale: Scale) -> dict[str, Any]:
    """The figures of the contract, at the smallest data share."""
    first = f"{scale.shares[0]}%"
    counts = [tables["CS1"][first][task] for task in ("count d1", "count d2")]
    sums = [tables["SS"][first]["sum"]] if "SS" in tables else []
    programs = [
        facts
        for sequence in tables.values()
        for task, facts in sequence[first].items()
        if task.split()[0] in ("count", "sum")
    ]

    def mean(group: Sequence[Mapping[str, Any]], key: str) -> float | None:
        values = [facts[key] for facts in group if key in facts]
        return round(sum(values) / len(values), 4) if values else None

    kinds = ("library", "frozen", "scratch")
    learned = [facts for facts in programs if facts.get("trained")]
    rmses = {f"count_{kind}": mean(counts, kind) for kind in kinds}
    rmses |= {f"sum_{kind}": mean(sums, kind) for kind in kinds}
    rmses |= {f"learned_{kind}": mean(learned, kind) for kind in kinds}
    return {
        "rmse": rmses,
        "programs_generated": max(facts.get("generated", 0) for facts in programs),
        "programs_trained": max(facts.get("trained", 0) for facts in programs),
        "seconds": max(facts.get("seconds", 0.0) for facts in programs),
        "long_lists_right": {
            kind: {
                "count": mean([f.get("long", {}) for f in counts], kind),
                "sum": mean([f.get("long", {}) for f in sums], kind),
            }
            for kind in kinds
        },
    }


if __name__ == "__main__":
    run("digit_programs", measure, settings={**SETTINGS, "scale": asdict(Scale())})
