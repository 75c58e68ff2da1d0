"""`metaloom plugins` and `metaloom demo`: what is installed, and what it can do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.text import Text

import metaloom
from metaloom.cli.options import AsJson, Device, Home
from metaloom.cli.output import show, show_json, table
from metaloom_registry import MissingExtra, PluginError, discover
from metaloom_registry.plugins import GROUPS


def plugins(home: Home = None, as_json: AsJson = False) -> None:
    """List the installed plugins, with the exception of each that does not load.

    [bold]Examples[/bold]

      metaloom plugins
      metaloom plugins --json
    """
    rows = []
    with metaloom.Hub.open(home) as hub:
        counts = hub.vocabulary.outcomes
    for group in GROUPS:
        outcomes = counts if group == "metaloom.primitives" else discover(group).outcomes()
        for outcome in outcomes:
            plugin = outcome.plugin
            rows.append(
                {
                    "group": group,
                    "name": plugin.name,
                    "distribution": f"{plugin.distribution} {plugin.version}".strip(),
                    "object": plugin.value,
                    "error": None if outcome.error is None else str(outcome.error),
                }
            )
    if as_json:
        show_json(rows)
        return
    show(
        table(
            ("plugin", "extends", "from", "state"),
            (
                (
                    row["name"],
                    row["group"],
                    row["distribution"],
                    Text("loads", style="green")
                    if row["error"] is None
                    else Text(str(row["error"]), style="red"),
                )
                for row in rows
            ),
        )
    )


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the report goes.", metavar="FILE")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds, equal figures.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer episodes, weaker figures.")] = False,
    home: Annotated[
        Path | None,
        typer.Option("--home", help="The demo's library.", show_default="./metaloom-demo"),
    ] = None,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Show the whole way on handwritten digits: publish, compose, adapt, solve, publish back.

    The demo has a library of its own, which the other commands see with --home.

    [bold]Examples[/bold]

      metaloom demo
      metaloom demo --json
    """
    try:
        run = cast(Callable[..., object], discover("metaloom.demos").load("first-light"))
    except PluginError as error:
        if isinstance(error.__cause__, ModuleNotFoundError):
            raise MissingExtra(
                f"the demo needs {error.__cause__.name}; "
                'install it with `pip install "metaloom[demo]"`'
            ) from None
        raise
    run(out=out, seed=seed, quick=quick, home=home, device=device, as_json=as_json)
