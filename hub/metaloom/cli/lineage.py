"""`metaloom lineage`: where a block came from, and what came of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text
from rich.tree import Tree

import metaloom
from metaloom.cli.files import write_text
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import counted, note, show, show_json, visible
from metaloom.cli.progress import waiting
from metaloom.cli.runs import run_lines
from metaloom.lineage.sender import CALM
from metaloom_registry.errors import ParseError

if TYPE_CHECKING:
    from metaloom_registry.catalogue import Lineage


PATIENCE = 600.0
"""Seconds that another process which is sending has to end."""


def lineage(
    reference: Annotated[
        str | None,
        typer.Argument(
            help="The block, as show takes it; or a run or a task by its digest.", metavar="BLOCK"
        ),
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, help="Generations to show.")] = 5,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Go on where the one before said.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Draw it into a file.", metavar="FILE")
    ] = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Send what waits to MLflow, and wait for it.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Draw where a block came from and what came of it, or send the lineage to MLflow.

    Of what a run made it tells how, so that the run can be done again.

    [bold]Examples[/bold]

      metaloom lineage me/evens
      metaloom lineage vision/conv4 --depth 2 --json
      metaloom lineage me/evens --svg evens.svg
      metaloom lineage 92c2d72110ba
      metaloom lineage --sync
    """
    if reference is None and not sync:
        raise ParseError("name a block, as in `metaloom lineage me/evens`, or give --sync")
    with metaloom.Hub.open(home) as hub:
        if sync:
            os.environ.update({**CALM, **os.environ})
            with waiting("sending to MLflow"):
                report = hub.sync(wait=PATIENCE)
            if as_json and reference is None:
                show_json({"sent": report.sent, "left": report.left, "problem": report.problem})
            else:
                note(
                    f"sent {counted(report.sent, 'message')} to MLflow; {report.left} still to send"
                )
                if report.problem:
                    note(report.problem)
        if reference is None:
            return
        family = hub.lineage(reference, depth, cursor)
        if svg is not None:
            write_text(svg, family.svg)
            note(f"drew {svg}")
        records = {digest: hub.registry.run(digest) for digest in family.runs}
        if as_json:
            told = {str(digest): record.as_json() for digest, record in records.items()}
            show_json({**family.as_json(), "runs": told})
        if svg is not None or as_json:
            return
        for lineage_, title in ((family.parents, "came from"), (family.children, "led to")):
            if cursor is None or cursor.startswith(f"{lineage_.direction}."):
                show(lineage_tree(lineage_, title))
                if lineage_.cursor is not None:
                    note(f"{lineage_.rest} more; go on with --cursor {lineage_.cursor}")
        if cursor is None:
            for digest, record in records.items():
                show("\n" + run_lines(digest, record))


def lineage_tree(lineage: Lineage, title: str) -> Tree:
    """One direction of a lineage as a tree; a node met again is not drawn with its own again."""
    root = lineage.node(lineage.root)
    tree = Tree(Text.assemble((visible(root.label), "bold"), f"  {title}"))
    _grow(tree, lineage, root.key, {root.key})
    if not tree.children:
        tree.add(Text("nothing yet" if lineage.direction == "children" else "nothing"))
    if lineage.more:
        tree.add(Text(f"... {lineage.rest} more", style="dim"))
    elif not lineage.complete:
        tree.add(Text("... more; --depth shows it, or one of these by itself", style="dim"))
    return tree


def _grow(tree: Tree, lineage: Lineage, key: str, drawn: set[str]) -> None:
    for role, node in sorted(lineage.next(key), key=lambda step: step[0] == "requires"):
        line = Text.assemble((role, "dim"), " ", visible(node.label))
        if node.detail:
            line.append(f"  {visible(node.detail)}", style="cyan")
        if node.key not in drawn:
            drawn.add(node.key)
            _grow(tree.add(line), lineage, node.key, drawn)
        elif lineage.next(node.key):
            tree.add(line.append("  (above)", style="dim"))
        else:
            tree.add(line)
