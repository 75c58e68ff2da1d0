"""What a search found and how, as a value that prints as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metaloom_metalearn.search.trace import Trace
from metaloom_registry import Json


@dataclass(frozen=True)
class Report:
    """Rows of a name and a text, and notes; `str` aligns them."""

    title: str
    rows: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        width = max((len(name) for name, _ in self.rows), default=0)
        lines = [self.title, ""]
        for name, text in self.rows:
            first, *rest = text.splitlines() or [""]
            lines.append(f"  {name:<{width}}  {first}".rstrip())
            lines += [f"  {'':<{width}}  {line}".rstrip() for line in rest]
        lines += [f"  - {note}" for note in self.notes]
        return "\n".join(lines)

    def to_json(self) -> Json:
        return {
            "title": self.title,
            "rows": [[name, text] for name, text in self.rows],
            "notes": list(self.notes),
        }


def account_rows(trace: Trace) -> list[tuple[str, str]]:
    """One row an arm: what it counted and how long it took."""
    rows = []
    for name, account in trace.arms.items():
        counts = ", ".join(f"{value:,} {what}" for what, value in account.counts.most_common())
        engine = f", {account.engine}" if account.engine else ""
        rows.append((name, f"{counts or 'nothing'} in {account.seconds:.2f} s{engine}"))
    return rows


def notes_of(trace: Trace) -> Sequence[str]:
    """What the arms noted, in order."""
    return [f"{name}: {note}" for name, account in trace.arms.items() for note in account.notes]
