"""`metaloom push` and `metaloom pull`: blocks to and from the Hugging Face Hub and MLflow."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

import metaloom
from metaloom import exchange
from metaloom.cli.listing import advised, describe
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import show, show_json
from metaloom.cli.progress import waiting
from metaloom_registry import Digest

ADDRESS = "hf://"
MLFLOW = "mlflow:"


def push(
    reference: Annotated[str, typer.Argument(help="A block of the library.", metavar="BLOCK")],
    to: Annotated[
        str,
        typer.Argument(
            help="hf://organisation/name, or mlflow:NAME for MLflow's registry.", metavar="ADDRESS"
        ),
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private, if it is new.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Send a block, with all it came from and a model card, to where others get it.

    METALOOM_ENDPOINT and METALOOM_TOKEN say which server and who you are; without them it is what
    `huggingface_hub` takes.

    [bold]Examples[/bold]

      metaloom push vision/conv4 hf://me/conv4
      metaloom push me/evens@champion mlflow:evens
    """
    with metaloom.Hub.open(home) as hub:
        block = advised(hub[reference])
        if to.startswith(MLFLOW):
            with waiting(f"registering {block.reference}"):
                address = exchange.register_model(block, to.removeprefix(MLFLOW))
        else:  # whose client shows bars of its own, with bytes
            address = exchange.push_to_hub(block, to, private=private or None)
        if as_json:
            show_json({**describe(block), "address": address})
        else:
            show(f"{block.reference} is at {address}")


def pull(
    source: Annotated[
        str,
        typer.Argument(
            help="hf://organisation/name@revision, models:/name/1, or a saved folder.",
            metavar="ADDRESS",
        ),
    ],
    name: Annotated[
        str | None, typer.Option("--as", help="What to call it here.", metavar="NAME")
    ] = None,
    digest: Annotated[
        str | None, typer.Option("--digest", help="The block it has to be.", metavar="sha256:...")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Publish here, under its name there, a block that another library pushed.

    Every byte is checked against its digest, and no code of its author runs.

    [bold]Examples[/bold]

      metaloom pull hf://me/conv4
      metaloom pull hf://me/conv4@v2 --as vision/conv4
    """
    with metaloom.Hub.open(home) as hub:
        wanted = None if digest is None else Digest.parse(digest)
        bars = source.startswith(ADDRESS)  # the client's own, with bytes
        with nullcontext() if bars else waiting(f"fetching {source}"):
            block = exchange.from_pretrained(hub, source, name, digest=wanted)
        if as_json:
            show_json(describe(block))
        else:
            show(f"{block.reference} : {block.signature}   {block.digest}")
