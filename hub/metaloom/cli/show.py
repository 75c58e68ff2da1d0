"""`metaloom show`: one block on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

import metaloom
from metaloom.cli.listing import describe
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import console, show_json, table, visible
from metaloom_metalearn import Score
from metaloom_registry import taught, uncurried

if TYPE_CHECKING:
    from rich.table import Table

    from metaloom.blocks import Block
    from metaloom_registry import Json, Type

FACT = "solution"
"""The fact of a program that was found for a task."""

TOLD = ("name", "type", "search", "seed")
"""What of that fact is shown as it is; its scores follow."""

UNREADABLE = {"fingerprint", FACT}
"""Facts that are for machines, or shown in a section of their own."""

SHOWN = 12
"""Relatives listed on the page; `metaloom lineage` draws them all."""


def show(
    reference: Annotated[str, typer.Argument(help="namespace/name, @3, @alias or a digest.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show a block: what it takes and gives, its card, its program, its family, how to use it.

    [bold]Examples[/bold]

      metaloom show vision/conv4
      metaloom show lists/map
      metaloom show me/evens@champion --json
    """
    with metaloom.Hub.open(home) as hub:
        block = hub[reference]
        family = hub.lineage(block, depth=1)
        parents = [(role, node.label) for role, node in family.parents.next(family.root.key)]
        users = [(role, node.label) for role, node in family.children.next(family.root.key)]
        if as_json:
            show_json(
                {
                    **describe(block),
                    "card": block.card,
                    "tags": block.tags,
                    "facts": block.facts,
                    "term": hub.show(block.body) if block.body is not None else None,
                    "source": block.source,
                    "parents": [{"role": role, "label": label} for role, label in parents],
                    "users": [{"role": role, "label": label} for role, label in users],
                }
            )
            return
        out = console()
        for part in _page(block, parents, users):
            out.print(part)


def _page(
    block: Block, parents: Sequence[tuple[str, str]], users: Sequence[tuple[str, str]]
) -> list[RenderableType]:
    page: list[RenderableType] = [
        Text.assemble((visible(block.reference), "bold"), f"   {block.kind}"),
        Text(visible(block.signature), style="cyan"),
        Text(_facts_line(block), style="dim"),
    ]
    if block.card:
        page += [Text(), Text(visible(block.card.strip()))]
    if FACT in block.facts:
        page += _section("Found for a task", table(("", ""), _task_rows(block.facts[FACT])))
    if set(block.facts) - UNREADABLE:
        rows = [(n, _said(v)) for n, v in sorted(block.facts.items()) if n not in UNREADABLE]
        page += _section("Measured", table(("fact", "value"), rows))
    if block.body is not None:
        page += _section("Term", block.hub.show(block.body))
    if block.source:
        page += _section("Program", block.source)
    for title, relatives in (("Came from", parents), ("Used by", users)):
        if relatives:
            page += _section(title, table(("role", "block"), relatives[:SHOWN]))
            if len(relatives) > SHOWN:
                page.append(Text("  ... `metaloom lineage` shows the rest", style="dim"))
    page += _section("Use it", example_of_use(block))
    return page


def _section(title: str, body: str | Table) -> list[RenderableType]:
    indented = (
        Text(indent(visible(body.strip("\n")), "  "))
        if isinstance(body, str)
        else Padding(body, (0, 0, 0, 2), expand=False)
    )
    return [Text(), Text(title, style="bold"), indented]


def _facts_line(block: Block) -> str:
    version = block.version
    parts = [str(block.digest)[: len("sha256:") + 12]]
    if version is not None:
        parts.append(f"licence {version.licence or 'not stated'}")
        parts.append(_bytes(version.size))
        parts.append(f"published {version.created:%Y-%m-%d}")
        parts.append(f"used by {version.uses}")
        if version.aliases:
            parts.append("alias " + ", ".join(version.aliases))
        if version.yanked:
            parts.append(f"yanked: {version.yanked}")
    if block.tags:
        parts.append(" ".join(f"#{tag}" for tag in block.tags))
    return visible("   ".join(parts))


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _task_rows(told: Any) -> list[tuple[str, str]]:
    """What is told of the task a program was found for, as far as it is told."""
    told = told if isinstance(told, Mapping) else {}
    rows = [
        (name, _said(told[name])) for name in ("name", "type", "search", "seed") if name in told
    ]
    scores = told.get("scores")
    for name, score in scores.items() if isinstance(scores, Mapping) else ():
        try:
            rows.append((name, str(Score.from_json(score))))
        except (KeyError, TypeError, ValueError):
            rows.append((name, _said(score)))
    return rows


def _said(value: Json) -> str:
    """A fact in a line: what holds of truth values, items of lists, names with their values."""
    if isinstance(value, Mapping):
        words = [
            name if held is True else f"{name} {_said(held)}"
            for name, held in value.items()
            if held is not False
        ]
        text = ", ".join(words)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        text = ", ".join(map(_said, value))
    else:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 110 else text[:107] + "..."


def example_of_use(block: Block) -> str:
    """Python that uses the block, as far as its type tells."""
    name = visible(block.reference)
    lines = ["from metaloom import Hub", "", "hub = Hub.open()"]
    takes, _ = uncurried(block.signature)
    if block.kind == "graph":
        shape = _shape(takes[0]) if takes else ""
        lines.append(f'module = hub["{name}"].load()   # a torch.nn.Module')
        lines.append(f"module(torch.rand({shape}))" if shape else "module(...)")
    elif taught(block.signature) is not None and FACT not in block.facts:
        lines.append(f'hub.adapt(hub["{name}"], task.support).predict(...)')
    elif block.kind == "program":
        lines.append(f'hub.solution("{name}").predict(...)   # {", ".join(map(str, takes))}')
    else:
        lines.append(f'hub.run("{name}", ...)   # {", ".join(map(str, takes))}')
    return "\n".join(lines)


def _shape(type_: Type) -> str:
    sizes = getattr(type_, "dimensions", None)
    return ", ".join(["1", *map(str, sizes)]) if sizes else ""
