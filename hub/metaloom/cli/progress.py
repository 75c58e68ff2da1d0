"""A search as it goes, on stderr: the time that is left, what was tried, the best so far."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from metaloom.cli.output import progress_console, visible

if TYPE_CHECKING:
    from metaloom_metalearn import Event


class Bar:
    """A journal that shows the newest of what it is told; the bar itself runs with the clock."""

    def __init__(self, progress: Progress, what: str, budget: float) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=budget, said="")
        self._tried = 0
        self._best = ""

    def record(self, event: Event) -> None:
        tried = event.facts.get("tried")
        if isinstance(tried, int):
            self._tried = tried
        elif event.kind == "candidate":
            self._tried += 1
        if event.kind == "best":
            self._best = _said(event.facts)
        said = f"{self._tried} tried" if self._tried else ""
        if self._best:
            said = f"{said}  best {self._best}" if said else f"best {self._best}"
        self._progress.update(self._task, said=visible(said))


class _Clock(BarColumn):
    """A bar whose length is the time gone by, in the task's total of seconds."""

    def render(self, task: Task):  # type: ignore[no-untyped-def]
        if task.total is not None and task.elapsed is not None:
            task.completed = min(task.elapsed, task.total)
        return super().render(task)


@contextmanager
def search_bar(what: str, budget: float) -> Iterator[Bar]:
    """A bar on stderr while a search runs; on a terminal only, and gone when it ends."""
    console = progress_console()
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        _Clock(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        yield Bar(progress, what, budget)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A spinner on stderr while something takes its time; on a terminal only."""
    console = progress_console()
    if console.is_terminal:
        with console.status(Text(visible(what))):
            yield
    else:
        yield


def _said(facts: Mapping[str, object]) -> str:
    """The best candidate in a few words."""
    term = str(facts.get("term", ""))
    right = facts.get("right")
    words = term if len(term) <= 60 else term[:57] + "..."
    return f"{words} ({right} right)" if right is not None else words
