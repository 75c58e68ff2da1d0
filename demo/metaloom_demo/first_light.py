"""The demo as a whole: publish, find, compose, adapt, score, publish back; no network needed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn

from metaloom import Hub
from metaloom_demo.episodes import measure_episodes
from metaloom_demo.figures import Figures
from metaloom_demo.library import character_block, reader_block
from metaloom_demo.narrator import Narrator
from metaloom_demo.puzzles import DOUBLED_EVENS, WITH_TOTAL, solve_puzzle
from metaloom_demo.report import write_report
from metaloom_demo.scale import FULL, QUICK
from metaloom_demo.sums import measure_sums
from metaloom_metalearn import adam, fine_tune, one_thread
from metaloom_registry import Reference, Term, references
from metaloom_registry.catalogue import Lineage
from metaloom_vision import digits

FOLDER = Path("metaloom-demo")
REPORT = "report.html"


def run(
    *,
    out: Path | None = None,
    seed: int = 0,
    quick: bool = False,
    home: Path | None = None,
    device: str | None = None,
    as_json: bool = False,
) -> Figures:
    """Run the demo, print what it found, and write the report.

    `home` is the demo's library, by default a folder of its own; blocks that an earlier run
    published from the same recipe are taken from there.  `quick` trains less and asks fewer
    episodes, to see that everything works.  `device` is where searches compute.  With `as_json`
    the figures are the last line printed.
    """
    started = time.monotonic()
    folder = home or FOLDER
    page = out or folder / REPORT
    scale = QUICK if quick else FULL
    say = Narrator(as_json)
    with ExitStack() as stack:
        hub = stack.enter_context(Hub.open(folder))
        control = stack.enter_context(Hub.open(folder / "control"))
        generator = torch.Generator().manual_seed(seed)
        labelled, rest = digits().split(0.5, generator)
        known, unseen = rest.split(0.5, generator)

        say.title("a", "Two blocks for the library")
        with say.progress("meta-training an encoder on invented characters") as journal:
            encoder = character_block(hub, seed, scale, journal)
        say.published(encoder)
        with say.progress("training a recogniser on labelled digits") as journal:
            reader = reader_block(hub, labelled, seed, scale, journal)
        say.published(reader)

        rows = []
        few_shot = []
        scratch = fine_tune(steps=scale.scratch_steps, optimiser=adam(0.003))
        for shots in (1, 5):
            say.title("b", f"Real digits, 5-way {shots}-shot, none of them seen by the encoder")
            # Networks on a handful of 8x8 images are faster on one thread than on several.
            with say.counting("solving episodes", scale.episodes) as done, one_thread():
                solution, row = measure_episodes(
                    hub, rest, shots, scale.episodes, seed, scratch, done, device
                )
            say.few_shot(row)
            rows.append(row)
            few_shot.append(hub.publish(f"demo/digits-5w{shots}s", solution))

        say.title("c", "The sum of a list of digit images")
        module = reader.load()
        assert isinstance(module, nn.Module)
        with say.waiting("searching, then training the controls"):
            adder, sums = measure_sums(hub, module, known, unseen, seed, scale, device)
        say.sums(sums)
        hub.publish("demo/sum-of-digits", adder)

        say.title("d", DOUBLED_EVENS.description)
        first, doubled = solve_puzzle(hub, DOUBLED_EVENS, scale.puzzle_budget, seed)
        say.puzzle(doubled)
        hub.publish(f"demo/{DOUBLED_EVENS.name}", first)

        say.title("e", WITH_TOTAL.description)
        with say.waiting("solving with the library, then without it"):
            second, total = solve_puzzle(hub, WITH_TOTAL, scale.puzzle_budget, seed, control)
        say.puzzle(total)
        last = hub.publish(f"demo/{WITH_TOTAL.name}", second)

        family = hub.lineage(last)
        say.family(family)
        terms = [row.term for row in rows] + [sums.term, doubled.term, total.term]
        figures = Figures(
            few_shot=tuple(rows),
            sum=sums,
            list=doubled,
            reuse=total,
            lineage=tuple(_rows(family.parents)),
            labels=_labels(hub, terms),
            seconds=time.monotonic() - started,
            seed=seed,
        )
        with say.waiting("sending the lineage to MLflow"):
            say.sent(hub.sync(), hub)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_report(figures, page)
    say.finish(figures, page, folder)
    return figures


def _rows(lineage: Lineage) -> Iterator[tuple[int, str]]:
    """The lineage as lines with their depth; what was met before is not followed again."""
    met = {lineage.root}
    yield 0, lineage.node(lineage.root).label
    waiting = [(1, role, node) for role, node in reversed(lineage.next(lineage.root))]
    while waiting:
        depth, role, node = waiting.pop()
        yield depth, f"{role} {node.label}  {node.detail}".rstrip()
        if node.key not in met:
            met.add(node.key)
            waiting += [(depth + 1, r, n) for r, n in reversed(lineage.next(node.key))]


def _labels(hub: Hub, terms: list[Term]) -> Mapping[Reference, tuple[str, str]]:
    """What each block of the programs is called, and its kind."""
    found = {}
    for term in terms:
        for reference in references(term):
            block = hub[reference]
            name = block.reference.name
            text = str(reference) if name is None else name.name
            found[reference] = (text, block.kind)
    return found
