"""The options that many commands share."""

from __future__ import annotations

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
