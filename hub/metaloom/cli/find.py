"""`metaloom search`: blocks by words and by type."""

from __future__ import annotations

from typing import Annotated

import typer

import metaloom
from metaloom.cli.listing import describe
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import show, show_json, table


def search(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words of the name, tags or card.", metavar="[WORDS]")
    ] = None,
    takes: Annotated[
        str | None,
        typer.Option("--takes", help="A type that one of its arguments accepts.", metavar="TYPE"),
    ] = None,
    gives: Annotated[
        str | None, typer.Option("--gives", help="The type it gives.", metavar="TYPE")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", help="graph, program or primitive.", metavar="KIND")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="A tag it has.", metavar="TAG")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find blocks by words, by what they take and by what they give.

    [bold]Examples[/bold]

      metaloom search digits
      metaloom search --takes "image[1,8,8]" --gives "vec\\[n]"
      metaloom search --takes "list\\[int]" --kind program
    """
    with metaloom.Hub.open(home) as hub:
        found = hub.search(
            " ".join(words or ()), takes=takes, gives=gives, kind=kind, tag=tag, limit=limit
        )
        if as_json:
            show_json([{**describe(block), "why": list(block.why)} for block in found])
        elif found:
            columns = ("name", "kind", "type", "why")
            rows = ((b.reference, b.kind, b.signature, "; ".join(b.why)) for b in found)
            show(table(columns, rows))
        else:
            show("no block fits; fewer words or a wider type such as vec[n] find more")
