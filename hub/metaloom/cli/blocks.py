"""`metaloom alias` and `metaloom verify`: names that move, and bytes that must not."""

from __future__ import annotations

from typing import Annotated

import typer

import metaloom
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import show, show_json
from metaloom.cli.progress import waiting
from metaloom_registry import Reference


def alias(
    reference: Annotated[str, typer.Argument(help="The version, as namespace/name@3.")],
    name: Annotated[str, typer.Argument(help="The alias, such as champion.", metavar="ALIAS")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give a version a name that can be moved to another version later.

    [bold]Examples[/bold]

      metaloom alias vision/conv4@3 champion
      metaloom show vision/conv4@champion
    """
    with metaloom.Hub.open(home) as hub:
        block = hub.alias(reference, name)
        named = f"{block.reference.name}@{name}"
        if as_json:
            show_json({"alias": named, "reference": str(block.reference)})
        else:
            show(f"{named} is {block.reference}")


def verify(
    reference: Annotated[
        str | None, typer.Argument(help="One block; all of them without.", metavar="[REFERENCE]")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Read every byte of the library and check it against its digest.

    The exit code is 1 where a block is damaged.

    [bold]Examples[/bold]

      metaloom verify
      metaloom verify vision/conv4@3
    """
    with metaloom.Hub.open(home) as hub, waiting("reading every byte"):
        report = hub.verify(reference)
        called = {
            p.block: str(hub.vocabulary.label(Reference(None, p.block))) for p in report.problems
        }
    if as_json:
        show_json(
            {
                "blocks": report.blocks,
                "files": report.files,
                "bytes": report.size,
                "problems": [
                    {"block": str(p.block), "name": called[p.block], "problem": p.message}
                    for p in report.problems
                ],
            }
        )
    else:
        show(f"read {report.size:,} bytes: blocks {report.blocks}, files {report.files}")
        for problem in report.problems:
            show(f"damaged {called[problem.block]}: {problem.message}")
        if report.sound:
            show("all as published")
    if not report.sound:
        raise typer.Exit(1)
