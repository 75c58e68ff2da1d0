"""The options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Home: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--home",
        envvar="METALOOM_HOME",
        help="The library's folder.",
        show_default="~/.metaloom",
        metavar="FOLDER",
    ),
]

AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON value, and nothing else, to stdout.")
]

Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="cpu, cuda or cuda:1.",
        show_default="cuda where there is one",
        metavar="DEVICE",
    ),
]

Seed: TypeAlias = Annotated[
    int, typer.Option("--seed", min=0, help="Equal seeds find equal solutions.")
]

Budget: TypeAlias = Annotated[
    str, typer.Option("--budget", help="The time to search: 500ms, 10s, 2min.", metavar="TIME")
]

Kind: TypeAlias = Annotated[
    str | None, typer.Option("--kind", help="graph, program or primitive.", metavar="KIND")
]

License: TypeAlias = Annotated[
    str | None, typer.Option("--license", help="SPDX, such as MIT.", metavar="LICENCE")
]

Card: TypeAlias = Annotated[
    Path | None, typer.Option("--card", help="A Markdown file about it.", metavar="FILE")
]

NewTags: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--tag", help="A word to find it by; may be repeated.", metavar="TAG"),
]
