"""Parts d and e: programs on integer lists, the second found because the first was published."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from dataclasses import dataclass

from metaloom import Hub
from metaloom_demo.figures import Symbolic
from metaloom_metalearn import Examples, Solution, Task
from metaloom_registry import NoSolution, parse_type

FRESH = 1000
_TYPE = parse_type("list[int] -> list[int]")


@dataclass(frozen=True)
class Puzzle:
    """A function on integer lists that is to be found from examples of it."""

    name: str
    description: str
    function: Callable[[list[int]], list[int]]
    examples: int = 8
    longest: int = 8
    largest: int = 20

    def inputs(self, count: int, draw: random.Random, stretch: int = 1) -> list[list[int]]:
        """Random lists; `stretch` times as long, and as large in value, as the examples."""
        return [
            [draw.randrange(self.largest * stretch) for _ in range(length)]
            for length in (draw.randint(0, self.longest * stretch) for _ in range(count))
        ]

    def task(self, seed: int) -> Task:
        """The examples as a task."""
        inputs = self.inputs(self.examples, random.Random(seed))
        outputs = tuple(tuple(self.function(xs)) for xs in inputs)
        return Task(_TYPE, Examples((tuple(map(tuple, inputs)),), outputs), name=self.name)

    def exact(self, solution: Solution, seed: int) -> float:
        """The share of fresh inputs, twice as long and large, on which the solution is right."""
        inputs = self.inputs(FRESH, random.Random(f"fresh {seed}"), stretch=2)
        answers = solution.predict_many(tuple(map(tuple, inputs)))
        wanted = [tuple(self.function(xs)) for xs in inputs]
        return sum(map(bool, map(operator.eq, answers, wanted))) / len(wanted)


def _doubled_evens(xs: list[int]) -> list[int]:
    return [2 * x for x in xs if x % 2 == 0]


DOUBLED_EVENS = Puzzle("doubled-evens", "Keep the even numbers, doubled", _doubled_evens)
WITH_TOTAL = Puzzle(
    "doubled-evens-and-total",
    "The doubled even numbers, then their sum",
    lambda xs: [*_doubled_evens(xs), sum(_doubled_evens(xs))],
)


def solve_puzzle(
    hub: Hub, puzzle: Puzzle, budget: float, seed: int, control: Hub | None = None
) -> tuple[Solution, Symbolic]:
    """Solve a puzzle; `control` is a library without the published blocks, for the same budget."""
    task = puzzle.task(seed)
    solution = hub.solve(task, budget=budget, seed=seed)
    said = ""
    if control is not None:
        found = _without(control, puzzle, budget, seed)
        said = f"Without the published block the same search {found}."
    pairs = zip(task.support.inputs[0], task.support.outputs, strict=True)
    return solution, Symbolic(
        description=puzzle.description,
        examples=tuple((list(given), list(wanted)) for given, wanted in list(pairs)[:4]),
        term=solution.term,
        source=solution.source,
        seconds=solution.seconds,
        tried=solution.tried,
        fresh=FRESH,
        exact=puzzle.exact(solution, seed),
        control=said,
    )


def _without(control: Hub, puzzle: Puzzle, budget: float, seed: int) -> str:
    """What the search finds in the same time without the block."""
    try:
        found = control.solve(puzzle.task(seed), budget=budget, seed=seed)
    except NoSolution:
        return f"finds nothing in {budget:.0f} s"
    share = puzzle.exact(found, seed)
    return (
        f"finds, in {found.seconds:.1f} s among {found.tried:,} programs, one that is right on "
        f"{100 * share:.1f} % of fresh inputs"
    )
