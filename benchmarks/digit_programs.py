"""Counting and summing the digits in lists of images: programs found in a growing library.

The sequences of tasks are HOUDINI's (Valkov et al. 2018, section 4), each on a library that is
empty but for primitives and grows by what solves its tasks:

    CS1  recognise d1, recognise d2, count d1, count d2
    CS2  recognise d1, count d1, count d2, recognise d2    (d2 is learned by counting it)
    CS3  recognise d1, count d1, count t, recognise t      (t: a character of Kuzushiji-MNIST)
    SS   classify digits, sum digits

`count_*` are means over CS1's two counting tasks, whose recognisers the library has; the tasks that
have to learn a new recogniser from lists alone stand in `sequences`.  Controls see the same lists:
the same recogniser, frozen, with an LSTM, and convolutions with an LSTM from scratch; each is
trained at several rates for at least as many seconds as the search took, and stopped early by held
out lists, which also choose among the rates and between the recogniser's logits and probabilities.
What a program gives is read from its certain form, as the mean of its soft form, or as that mean
over images shifted by a pixel in four directions and as they are, whichever errs less on the lists
it was found with.  Deadlines are kept in processor time, so that a busy machine
changes no figure.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.digit_library import GrowingLibrary
from benchmarks.digit_lists import Images, Lists, Split, balanced, counted, cycled, summed
from metaloom_metalearn import (
    Clock,
    Examples,
    Halving,
    RecurrentControl,
    Soft,
    SoftInt,
    Solution,
    Task,
    compile_term,
    rmse,
    solve,
)
from metaloom_metalearn.search.holdout import shifts
from metaloom_metalearn.search.networks import convolutional_encoder, jittered
from metaloom_registry import NoSolution, TypeMismatch, parse_type

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
}


@dataclass(frozen=True)
class Scale:
    """How much is done: data shares in percent, numbers of lists and images, steps and seconds.

    Each group of sequences is run by one process; those that learn a recogniser from lists are run
    at the first share alone.

    `reader` and `binary` are gradient steps and seconds for the recogniser of ten classes and of
    two; `search` the seconds for a program; `control` the least seconds of a control.
    """

    shares: tuple[int, ...] = (2, 10, 100)
    sequences: tuple[tuple[str, ...], ...] = (("SS",), ("CS1",), ("CS3",), ("CS2",))
    images: int = 6000
    tests: int = 1000
    reader: tuple[int, float] = (6000, 180.0)
    binary: tuple[int, float] = (1500, 50.0)
    search: tuple[int, float] = (9600, 50.0)
    control: float = 12.0


QUICK = Scale(
    shares=(1,),
    sequences=(("CS1",),),
    images=600,
    tests=100,
    reader=(150, 8.0),
    binary=(120, 4.0),
    search=(200, 4.0),
    control=1.0,
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
            progress(f"{name} at {share} %: {task}")
            measured = self.measured(task, library, done, share)
            found.append(measured)
            if measured.solution is not None:
                library.publish(measured.solution, task.replace(" ", "-"))
                progress(f"  {measured.facts}\n  {measured.solution.text}")
            else:
                progress(f"  no solution: {measured.facts}")
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
        steps, seconds = self.scale.reader if classes == 10 else self.scale.binary
        type_ = parse_type(f"image[1,28,28] -> label[{classes}]")
        if classes == 2:
            images = balanced(images, self.digits[task.split()[1]])
        support = Examples((images.pixels,), wanted(images.labels))
        arm = Halving(steps=steps // 3, blocks=1, last=steps)
        asked = Task(type_, support, name=task)
        solution = self.solve(asked, library, arm, seconds, generator)
        facts: dict[str, Any] = {} if solution is None else effort(solution)
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
        steps, seconds = self.scale.search
        type_ = parse_type("list[image[1,28,28]] -> int")
        solution = self.solve(
            Task(type_, train.examples(), name=task), library,
            Halving(steps=steps, last=steps // 4), seconds, generator,
        )  # fmt: skip
        facts: dict[str, Any] = {"lists": len(train.totals)}
        if solution is not None:
            facts |= effort(solution)
            facts |= readings(solution, train, test)
            facts["long"] = {"library": exact(answered(solution, long), long.totals)}
        readers = [e.name for e, _ in library.held.blocks.values() if e.kind == "program"]
        name = task.replace("count", "recognise").replace("sum", "classify").replace(" ", "-")
        reader = (
            name if name in readers else next((n for n in readers if "-" in n or n == name), "")
        )
        budget = max(self.scale.control, 0.0 if solution is None else solution.seconds)
        controls: dict[str, tuple[Sequence[nn.Module], bool]] = {
            "scratch": ((convolutional_encoder((1, 28, 28)),), False)
        }
        if reader:
            logits = library.module(reader)
            controls["frozen"] = ((logits, nn.Sequential(logits, nn.Softmax(1))), True)
        for control, (encoders, frozen) in controls.items():
            model = fitted(encoders, frozen, train, generator, budget)
            facts[control] = round(rmse(model, test.ragged(), test.wanted()), 4)
            with torch.no_grad():
                said = model(long.ragged()).round().long().tolist()
            facts.setdefault("long", {})[control] = exact(said, long.totals)
        return Measured(task, solution, facts)

    def solve(
        self, task: Task, library: GrowingLibrary, arm: Halving, seconds: float, g: torch.Generator
    ) -> Solution | None:
        try:
            clock = Clock(seconds, time.process_time)
            return solve(task, library.held, clock=clock, searches=(arm,), generator=g)
        except NoSolution as error:
            progress(f"  {error}")
            return None

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


def fitted(
    encoders: Sequence[nn.Module],
    frozen: bool,
    train: Lists,
    generator: torch.Generator,
    seconds: float,
) -> nn.Module:
    """The best of three rates on a fifth of the lists, held out, in the seconds given for all."""
    lists, wanted = train.ragged(), train.wanted()
    order = torch.randperm(len(wanted), generator=generator)
    held, kept = order[: len(order) // 5], order[len(order) // 5 :]
    validation = lists.take(held), wanted[held]
    found: list[tuple[float, nn.Module]] = []
    ways = [(encoder, rate) for encoder in encoders for rate in (1e-3, 3e-3, 1e-2)]
    for encoder, rate in ways:
        control = RecurrentControl(
            encoder, frozen, 64, rate, 32, cell=nn.LSTMCell, augment=None if frozen else jittered
        )
        clock = Clock(seconds / len(ways), time.process_time)
        model = control.fit(lists.take(kept), wanted[kept], generator, 10**6, clock, validation)
        found.append((rmse(model, *validation), model))
    return min(found, key=lambda pair: pair[0])[1]


def readings(solution: Solution, train: Lists, test: Lists) -> dict[str, Any]:
    """The RMSE of each reading of a program, and of the one that errs least where it was found."""
    known = train.take(range(min(CHOOSING, len(train.totals))))
    ways: dict[str, Callable[[Solution, Lists], Sequence[float]]] = {
        "certain": answered,
        "mean": meant,
        "shifted": shifted_mean,
    }
    chosen = min(ways, key=lambda way: distance(ways[way](solution, known), known.totals))
    found = {way: distance(read(solution, test), test.totals) for way, read in ways.items()}
    told: dict[str, Any] = {f"library_{way}": round(error, 4) for way, error in found.items()}
    return told | {"library": round(found[chosen], 4), "reading": chosen}


CHOOSING = 600
"""By at most so many lists a reading is chosen."""


def meant(solution: Solution, lists: Lists) -> list[float]:
    """The expectation of what a program gives, its recognisers being as sure as they say."""
    resolver = solution.resolver
    try:
        module = compile_term(solution.term, resolver.type_of, resolver, Soft()).eval()
    except TypeMismatch:
        return [float(one) for one in answered(solution, lists)]
    found: list[float] = []
    for start in range(0, len(lists.totals), BATCH):
        some = lists.take(range(start, min(start + BATCH, len(lists.totals))))
        with torch.no_grad():
            said = module(some.ragged())
        found += (said.mean() if isinstance(said, SoftInt) else said.double()).tolist()
    return found


def shifted_mean(solution: Solution, lists: Lists) -> list[float]:
    """The mean over the images as they are and shifted by a pixel in four directions."""
    images = lists.images
    views = [images.pixels, *shifts(images.pixels)]
    said = [meant(solution, replace(lists, images=replace(images, pixels=v))) for v in views]
    return [sum(one) / len(views) for one in zip(*said, strict=True)]


BATCH = 200


def answered(solution: Solution, lists: Lists) -> list[int]:
    """What a solution gives for lists, some at a time; 0 where it has no value."""
    found: list[int] = []
    inputs = lists.examples().inputs[0]
    for start in range(0, len(inputs), BATCH):
        said = solution.predict_many(inputs[start : start + BATCH])
        found += [0 if one is None else int(str(one)) for one in said]
    return found


def distance(said: Sequence[float], wanted: Sequence[int]) -> float:
    """The root mean squared error."""
    return math.sqrt(sum((s - w) ** 2 for s, w in zip(said, wanted, strict=True)) / len(wanted))


def exact(said: Sequence[int], wanted: Sequence[int]) -> float:
    """The share of lists whose number is right."""
    return round(sum(s == w for s, w in zip(said, wanted, strict=True)) / len(wanted), 4)


def effort(solution: Solution) -> dict[str, Any]:
    """What a search did: programs generated, pruned, trained, and its seconds."""
    counts = solution.trace.arm("halving").counts
    return {
        "generated": counts["generated"],
        "pruned": counts["pruned"],
        "trained": counts["trained"],
        "seconds": round(solution.seconds, 1),
    }


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
    torch.set_num_threads(1)
    made = bench(options, scale)
    tables: dict[str, Any] = {}
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
    rmses = {f"count_{kind}": mean(counts, kind) for kind in kinds}
    rmses |= {f"sum_{kind}": mean(sums, kind) for kind in kinds}
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
    run("digit_programs", measure, settings=SETTINGS)
