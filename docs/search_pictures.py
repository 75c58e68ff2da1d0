"""The pictures of "How search works", drawn from the traces of solves that run when it is called.

python docs/search_pictures.py docs/pictures
"""

from __future__ import annotations

import html
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import (
    Arm,
    Clock,
    Enumerate,
    Examples,
    Problem,
    Scored,
    Task,
    Trace,
    anneal,
    beam,
    evolve,
    solve,
)
from metaloom_registry import MemoryLibrary, NoSolution, parse_type

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 300, 70, 30, 40
COLOURS = {"generated": "#bcd4e6", "distinct": "#2a6f97", "failed": "#d08c60"}
LINES = ("#2a6f97", "#d08c60", "#5a9367", "#8d6a9f")

INPUTS = ((1, 2, 3, 4), (5, 6), (8, 8, 1), (), (7, 3, 9), (10, 2, 4, 4))
OUTPUTS = ((4, 8), (12,), (16, 16), (), (), (20, 4, 8, 8))


@dataclass(frozen=True)
class Run:
    """A solve: by which search, its trace, and how many seconds of processor time it took."""

    search: str
    trace: Trace
    seconds: float


@dataclass(frozen=True)
class Watched:
    """An arm whose trace is kept, whether or not the task is solved."""

    inner: Arm
    traces: list[Trace]

    name = property(lambda self: self.inner.name)
    gradients = property(lambda self: self.inner.gradients)

    def applies(self, problem: Problem) -> bool:
        return self.inner.applies(problem)

    def run(self, problem: Problem) -> Iterator[Scored]:
        self.traces.append(problem.trace)
        return self.inner.run(problem)


def solved(arm: Arm, seconds: float = 4.0) -> Run:
    """The page's task, "evens doubled", by one search."""
    task = Task(parse_type("list[int] -> list[int]"), Examples((INPUTS,), OUTPUTS), name="evens")
    generator = torch.Generator().manual_seed(0)
    clock, watched = Clock(seconds, time.process_time), Watched(arm, [])
    library = MemoryLibrary.of(PRIMITIVES)
    with suppress(NoSolution):
        solve(task, library, clock=clock, searches=[watched], generator=generator)
    return Run(arm.name, watched.traces[0], clock.elapsed())


def levels(trace: Trace) -> str:
    """What an enumeration made at each level: generated, of these distinct, and without a value."""
    held = trace.arm("enumerate").levels
    most = max(math.log10(1 + counts["generated"]) for counts in held.values())
    step = (WIDTH - LEFT - 20) / len(held)
    drawn = []
    for place, (nats, counts) in enumerate(sorted(held.items())):
        for name, colour in COLOURS.items():
            size = math.log10(1 + counts[name]) / most * (HEIGHT - TOP - BOTTOM)
            share = {"generated": 0.9, "distinct": 0.55, "failed": 0.2}[name]
            drawn.append(
                f'<rect x="{LEFT + place * step:.1f}" y="{HEIGHT - BOTTOM - size:.1f}" '
                f'width="{step * share:.1f}" height="{size:.1f}" fill="{colour}">'
                f"<title>{nats:g} nats: {counts[name]} {name}</title></rect>"
            )
        if place % max(1, len(held) // 8) == 0:
            drawn.append(_text(LEFT + place * step, HEIGHT - BOTTOM + 16, f"{nats:g}"))
    for power in range(int(most) + 1):
        y = HEIGHT - BOTTOM - power / most * (HEIGHT - TOP - BOTTOM)
        drawn.append(_text(8, y, f"{10**power:,}"))
    for place, (name, colour) in enumerate(COLOURS.items()):
        drawn.append(_text(LEFT + 120 * place, 16, name, colour))
    drawn.append(_text(LEFT, HEIGHT - 6, "cost of the terms made at a level, in nats"))
    return _picture("Terms made at each level of an enumeration", drawn)


def improvements(runs: Sequence[Run]) -> str:
    """The best score of each search against time, one step an improvement."""
    last = max(s.seconds for s in runs)
    highest = max(step.score for s in runs for step in s.trace.best)
    first = min(s.trace.best[0].seconds for s in runs) / 2

    def x(seconds: float) -> float:
        far = math.log(max(seconds, first) / first) / math.log(last / first)
        return LEFT + far * (WIDTH - LEFT - 20)

    def y(score: float) -> float:
        return TOP + (1 - score / highest) * (HEIGHT - TOP - BOTTOM)

    drawn = []
    for place, (run, colour) in enumerate(zip(runs, LINES, strict=False)):
        points = []
        for before, step in zip([None, *run.trace.best], run.trace.best, strict=False):
            if before is not None:
                points.append((x(step.seconds), y(before.score)))
            points.append((x(step.seconds), y(step.score)))
            drawn.append(
                f'<circle cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="3.5" '
                f'fill="{colour}"><title>{html.escape(step.term)}: {step.right} right, '
                f"{step.score:.1f} nats at {step.seconds:.2f} s</title></circle>"
            )
        points.append((x(run.seconds), points[-1][1]))
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        said = f"{run.search}: {run.trace.tried:,} tried"
        drawn.append(_text(LEFT + 160 * place, 16, said, colour))
    for score in range(0, int(highest) + 1, 50):
        drawn.append(_text(8, y(score), f"{score}"))
    for seconds in (0.01, 0.1, 1.0, 10.0):
        if first <= seconds <= last:
            drawn.append(_text(x(seconds), HEIGHT - BOTTOM + 16, f"{seconds:g} s"))
    drawn.append(
        _text(LEFT, HEIGHT - 6, "score of the best candidate so far, in nats; time is log")
    )
    return _picture("The best score of four searches against time", drawn)


def _text(x: float, y: float, said: str, colour: str = "#777") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}">{html.escape(said)}</text>'


def _picture(title: str, drawn: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12"><title>{title}</title>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def draw(folder: Path) -> None:
    """Solve, and write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    found = [solved(arm) for arm in (Enumerate(), beam(), anneal(), evolve())]
    (folder / "search-levels.svg").write_text(levels(found[0].trace), encoding="utf-8")
    (folder / "search-improvements.svg").write_text(improvements(found), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
