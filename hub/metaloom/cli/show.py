"""`metaloom show`: one block on one page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

import metaloom
from metaloom.cli.example import example_of_use
from metaloom.cli.facts import in_bytes, measured, others, said, training
from metaloom.cli.listing import describe, state
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import console, counted, show_json, table, visible
from metaloom.cli.verify import signer_json
from metaloom_metalearn import Score
from metaloom_registry import BadSeal

if TYPE_CHECKING:
    from rich.table import Table

    from metaloom.blocks import Block
    from metaloom.family import Family
    from metaloom_registry import Standing
    from metaloom_registry.catalogue import Lineage

FACT = "solution"
"""The fact of a program that was found for a task."""

ADAPTATION = "adaptation"
"""The search of a program that was adapted instead."""

TOLD = ("name", "type", "search", "seed")
"""What of that fact is shown as it is; its scores follow."""

CARD_LINES, CARD_CHARACTERS = 60, 6_000
"""Of a card on the page."""

SHOWN = 12
"""Relatives in one role listed on the page; `metaloom lineage` draws them all."""

_DIGEST = re.compile(r"(?<=@)sha256:([0-9a-f]{12})[0-9a-f]{52}")


def show(
    reference: Annotated[
        str, typer.Argument(help="namespace/name, @3, @alias or a digest.", metavar="BLOCK")
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show a block: its type, who signed it, card, facts, program, family, and how to use it.

    The exit code is 1 where a signature does not hold.

    [bold]Examples[/bold]

      metaloom show vision/conv4
      metaloom show lists/map
      metaloom show me/evens@champion --json
    """
    with metaloom.Hub.open(home) as hub:
        block = hub[reference]
        signers = hub.signers(block)
        family = hub.lineage(block, depth=1)
        if as_json:
            show_json(
                {
                    **describe(block),
                    "card": block.card,
                    "tags": block.tags,
                    "facts": block.facts,
                    "seen": len(block.seen),
                    "signers": [signer_json(signer) for signer in signers],
                    "term": hub.show(block.body) if block.body is not None else None,
                    "source": block.source,
                    "versions": _numbers(block)[0],
                    "current": _numbers(block)[1] or None,
                    "parents": _relatives_json(family.parents),
                    "users": _relatives_json(family.children),
                    "more": {"parents": family.parents.more, "users": family.children.more},
                }
            )
        else:
            out = console()
            for part in _page(block, signers, family):
                out.print(part)
    for signer in signers:
        if signer.state == "bad":
            raise BadSeal(signer.problem)


def _page(
    block: Block,
    signers: Sequence[Standing],
    family: Family,
) -> list[RenderableType]:
    page: list[RenderableType] = [
        Text.assemble((visible(block.reference), "bold"), f"   {block.kind}"),
        Text(visible(block.signature), style="cyan"),
        Text(_facts_line(block), style="dim"),
        *(Text(visible(said), style="bold yellow") for said in filter(None, (state(block),))),
        *(Text(visible(line), style=style) for line, style in _signed(signers, block)),
    ]
    if block.card:
        page += [Text(), *_card(block.card.strip())]
    if FACT in block.facts:
        told = block.facts[FACT]
        adapted = isinstance(told, Mapping) and told.get("search") == ADAPTATION
        title = "Adapted to a task" if adapted else "Found for a task"
        page += _section(title, table(("", ""), _task_rows(told)))
    for title, rows in (
        ("Measured", measured(block.facts)),
        ("Trained on", training(block.facts, len(block.seen))),
        ("Also said", others(block.facts, frozenset({FACT}))),
    ):
        if rows:
            page += _section(title, table(("", ""), rows))
    if block.body is not None:
        page += _section("Term", _DIGEST.sub(r"\1", block.hub.show(block.body)))
    if block.source:
        page += _section("Program", block.source)
    for title, lineage in (("Came from", family.parents), ("Led to", family.children)):
        if rows := _by_role(lineage):
            page += _section(title, table(("", ""), rows))
    page += _section("Use it", example_of_use(block, FACT in block.facts))
    return page


def _section(title: str, body: str | Table) -> list[RenderableType]:
    indented = (
        Text(indent(visible(body.strip("\n")), "  "))
        if isinstance(body, str)
        else Padding(body, (0, 0, 0, 2), expand=False)
    )
    return [Text(), Text(title, style="bold"), indented]


def _signed(signers: Sequence[Standing], block: Block) -> list[tuple[str, str]]:
    """Who signed a block, a line each, and how each is to look."""
    if block.primitive is not None:
        return []
    styles = {"trusted": "green", "bad": "bold red", "unchecked": "yellow"}
    found = [(str(signer), styles.get(signer.state, "")) for signer in signers]
    return found or [("NOT signed", "dim")]


def _card(text: str) -> list[RenderableType]:
    """A card as far as it has room on a page."""
    shown = "\n".join(text[:CARD_CHARACTERS].split("\n")[:CARD_LINES])
    if shown == text:
        return [Text(visible(text))]
    rest = f"... {counted(len(text) - len(shown), 'more character')}; --json has the whole card"
    return [Text(visible(shown)), Text(rest, style="dim")]


def _numbers(block: Block) -> tuple[int, str]:
    """How many versions its name has, and what the name alone means, if anything."""
    name = block.reference.name
    if block.version is None or name is None:
        return 1, str(block.reference)
    there = block.hub.registry.versions(name)
    offered = next((str(version) for version in there if version.yanked is None), "")
    return len(there), offered


def _facts_line(block: Block) -> str:
    version = block.version
    parts = [str(block.digest)[: len("sha256:") + 12]]
    if version is not None:
        parts.append(f"licence {version.licence or 'not stated'}")
        parts.append(in_bytes(version.size))
        parts.append(f"published {version.created:%Y-%m-%d}")
        count, offered = _numbers(block)
        if offered != str(block.reference) and block.reference.name is not None:
            parts.append(f"{counted(count, 'version')}, now {offered or 'none'}")
        elif count > 1:
            parts.append(f"newest of {counted(count, 'version')}")
        parts.append(f"used by {version.uses}")
        if version.aliases:
            parts.append("alias " + ", ".join(version.aliases))
    if block.tags:
        parts.append(" ".join(f"#{tag}" for tag in block.tags))
    return visible("   ".join(parts))


def _relatives_json(lineage: Lineage) -> list[dict[str, str]]:
    """What stands one step from the root, each with its role."""
    return [{"role": role, "label": node.label} for role, node in lineage.next(lineage.root)]


def _by_role(lineage: Lineage) -> list[tuple[str, str]]:
    """What stands one step from the root, a line a role, the primitives last."""
    roles: dict[str, list[str]] = {}
    for role, node in lineage.next(lineage.root):
        roles.setdefault(role, []).append(node.label)
    rows = []
    for role in sorted(roles, key=lambda role: role == "requires"):
        labels = roles[role]
        more = len(labels) - SHOWN
        rest = f" and {more} more: see `metaloom lineage`" if more > 0 else ""
        rows.append((role, ", ".join(labels[:SHOWN]) + rest))
    if lineage.more:
        rows.append(("", f"{lineage.rest} more beyond these: see `metaloom lineage`"))
    return rows


def _task_rows(told: Any) -> list[tuple[str, str]]:
    """What is told of the task a program was found for, as far as it is told."""
    told = told if isinstance(told, Mapping) else {}
    rows = [(name, said(told[name])) for name in TOLD if name in told]
    if isinstance(leaked := told.get("leakage"), Mapping):
        seen = f"{', '.join(map(said, leaked))} saw its classes in training: its scores are no test"
        rows.append(("LEAKAGE", seen))
    scores = told.get("scores")
    for name, score in scores.items() if isinstance(scores, Mapping) else ():
        try:
            rows.append((name, str(Score.from_json(score))))
        except (KeyError, TypeError, ValueError):
            rows.append((name, said(score)))
    return rows
