"""A bar that shows how a training goes: what is done, at which rate, and how long it will take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from metaloom_metalearn.journal import Event


class ProgressBar:
    """A journal that shows the newest of what it hears of a training."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("training", total=1.0, said="", rate="", left="")
        self._validated = ""

    def record(self, event: Event) -> None:
        facts = event.facts
        if event.kind.endswith("_validation"):
            named = {k: v for k, v in facts.items() if k in ("accuracy", "mse")}
            self._validated = "".join(
                f"  validation {name} {value:.4g} ± {facts['half']:.2g}"
                for name, value in named.items()
            )
            return
        said = f"loss {facts['loss']:.4g}"
        accuracy = facts["accuracy"]
        if isinstance(accuracy, float) and accuracy == accuracy:
            said += f"  accuracy {accuracy:.1%}"
        left, done = facts["left"], facts["done"]
        assert isinstance(left, float)
        assert isinstance(done, float)
        self._progress.update(
            self._task,
            description=event.kind,
            completed=done,
            said=said + self._validated,
            rate=f"{facts['per_second']:.3g}/s",
            left=f"{int(left) // 60}:{int(left) % 60:02d} left",
        )


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[ProgressBar]:
    """A bar on standard error, or on a console of one's own; a journal for `meta_train`.

    with progress_bar() as bar: meta_train(..., journal=bar)
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        TextColumn("{task.fields[left]}", markup=False),
        TextColumn("{task.fields[said]}", markup=False),
    )
    with Progress(*columns, console=console or Console(stderr=True)) as progress:
        yield ProgressBar(progress)
