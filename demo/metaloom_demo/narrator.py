"""What the demo says while it runs: people read stdout, programs its last line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.syntax import Syntax
from rich.text import Text

from metaloom import Block, Hub
from metaloom.cli.lineage import lineage_tree
from metaloom.cli.output import console, progress_console, show_json, table
from metaloom.family import Family
from metaloom.lineage import Sent
from metaloom_demo.figures import Estimate, FewShot, Figures, Sum, Symbolic
from metaloom_metalearn import Event


class Narrator:
    """Tells what happens; with `as_json` on stderr, so that stdout holds the figures alone."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._out = progress_console() if as_json else console()
        self._progress = progress_console()

    def title(self, part: str, words: str) -> None:
        self._out.print()
        self._out.print(Text.assemble((f"{part}  ", "bold yellow"), (words, "bold")))

    def published(self, block: Block) -> None:
        """A block and its type, as the library now has it."""
        self._say(Text(f"published {block.reference} : {block.signature}"))

    def few_shot(self, row: FewShot) -> None:
        best = max(row.pixels.mean, row.random.mean, row.scratch.mean)
        rows = [
            ("library", row.library, ", ".join(f"{k} ×{n}" for k, n in row.chosen.items())),
            ("raw pixels, prototypes", row.pixels, ""),
            ("random encoder, prototypes", row.random, ""),
            ("network from scratch", row.scratch, ""),
        ]
        self._say(
            table(
                ("method", ">accuracy", "95 %", "chosen by cross-validation on the support"),
                [
                    (name, f"{estimate.mean:.1f} %", f"± {estimate.half_width:.1f}", chosen)
                    for name, estimate, chosen in rows
                ],
            )
        )
        gain = row.gain
        self._say(
            Text(
                f"{gain.mean:+.1f} points over {row.best_control} ({best:.1f} %), paired over "
                f"{row.episodes} episodes: [{gain.low:+.1f}, {gain.high:+.1f}].  "
                f"Excluded, because trained on these classes: {', '.join(row.excluded)}.  "
                f"{1000 * row.seconds / row.episodes:.0f} ms a task."
            )
        )

    def sums(self, found: Sum) -> None:
        self._source(found.source)
        self._say(
            table(
                ("method", f">RMSE on lists of {found.length}"),
                [
                    ("program from the library", f"{found.rmse_library:.2f}"),
                    ("frozen recogniser, recurrent network", f"{found.rmse_frozen:.2f}"),
                    ("network from scratch", f"{found.rmse_scratch:.2f}"),
                ],
            )
        )
        self._say(Text(f"found in {found.seconds:.1f} s among {found.tried:,} programs"))

    def puzzle(self, found: Symbolic) -> None:
        self._source(found.source)
        self._say(
            Text(
                f"found in {found.seconds:.2f} s among {found.tried:,} programs; right on "
                f"{100 * found.exact:.1f} % of {found.fresh:,} fresh inputs.  {found.control}"
            )
        )

    def family(self, family: Family) -> None:
        self._out.print()
        self._say(lineage_tree(family.parents, "came from"))

    def sent(self, report: Sent, hub: Hub) -> None:
        words = f"lineage: sent to MLflow (messages: {report.sent})"
        if report.left:
            words += f", {report.left} wait ({report.problem})"
        elif report.sent:
            uri = f"sqlite:///{hub.home / 'mlflow.db'}"
            words += f"; see it with: mlflow ui --backend-store-uri {uri}"
        self._say(Text(words))

    def finish(self, figures: Figures, page: Path, folder: Path) -> None:
        """The figures once more, and where to look further."""
        self._out.print()
        self._out.print(Text("figures", style="bold yellow"))
        self._say(table(("part", "figure", ">measured", ">wanted"), _summary(figures)))
        self._say(
            Text(
                f"{figures.seconds:.0f} s in all.  The report: {page}\n"
                f"The library: metaloom list --home {folder}"
            )
        )
        if self._as_json:
            show_json(figures.to_json())

    @contextmanager
    def progress(self, what: str) -> Iterator[TrainingBar]:
        """A bar on stderr for a training."""
        with self._bar() as bar:
            yield TrainingBar(bar, what)

    @contextmanager
    def counting(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar on stderr that is told how far things are."""
        with self._bar() as bar:
            task = bar.add_task(what, total=total, said="")
            yield lambda done: bar.update(task, completed=done)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """A spinner on stderr."""
        if self._progress.is_terminal:
            with self._progress.status(what):
                yield
        else:
            yield

    def _bar(self) -> Progress:
        return Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}"),
            console=self._progress,
            transient=True,
            disable=not self._progress.is_terminal,
        )

    def _source(self, source: str) -> None:
        self._say(Syntax(source, "python", theme="ansi_light", background_color="default"))

    def _say(self, part: RenderableType) -> None:
        self._out.print(Padding(part, (0, 0, 0, 3)))


class TrainingBar:
    """The journal of a training as a bar."""

    def __init__(self, bar: Progress, what: str) -> None:
        self._bar = bar
        self._task = bar.add_task(what, total=None, said="")

    def record(self, event: Event) -> None:
        step, steps, accuracy = (event.facts.get(k) for k in ("step", "steps", "accuracy"))
        if isinstance(step, int) and isinstance(steps, int):
            said = f"accuracy {accuracy:.1%}" if isinstance(accuracy, float) else ""
            self._bar.update(self._task, completed=step, total=steps, said=said)


def _summary(figures: Figures) -> Iterator[tuple[str, str, str, str]]:
    for row, wanted in zip(figures.few_shot, ("10", "5"), strict=True):
        yield (
            "b",
            f"{row.setting}: points above the best control",
            _signed(row.gain),
            f">= {wanted}",
        )
    sums = figures.sum
    yield "c", "RMSE, library / scratch", f"{sums.rmse_library / sums.rmse_scratch:.2f}", "<= 0.33"
    yield "c", "RMSE, library / frozen", f"{sums.rmse_library / sums.rmse_frozen:.2f}", "<= 0.50"
    for part, found in (("d", figures.list), ("e", figures.reuse)):
        yield part, f"exact on {found.fresh:,} fresh inputs", f"{100 * found.exact:.1f} %", "100 %"
    yield "d", "seconds of search", f"{figures.list.seconds:.2f}", "<= 2"


def _signed(estimate: Estimate) -> str:
    return f"{estimate.mean:+.1f} [{estimate.low:+.1f}, {estimate.high:+.1f}]"
