"""`metaloom publish`: a program from a file, or a block that was saved as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import metaloom
import metaloom_metalearn
from metaloom.cli.files import read_bytes, read_program, read_text
from metaloom.cli.key import unlock
from metaloom.cli.listing import advised, describe
from metaloom.cli.options import AsJson, Card, Home, License, NewTags
from metaloom.cli.output import show, show_json
from metaloom.exchange.pickles import refuse_pickle
from metaloom_registry import Refused
from metaloom_registry.manifest import GRAPH_FILE, WEIGHTS_FILE

if TYPE_CHECKING:
    from metaloom import Hub, StoredGraph
    from metaloom_metalearn import Solution
    from metaloom_registry import Term

SOLUTION_FILE = "program.json"
"""What a folder holds that `Solution.save` wrote."""


def publish(
    name: Annotated[str, typer.Argument(help="namespace/name.", metavar="NAME")],
    what: Annotated[
        str,
        typer.Argument(
            help="A program's text, or the path of a .sexpr or .json file, "
            "or of a folder: a saved solution, or graph.json and weights.safetensors.",
            metavar="PROGRAM|FILE|FOLDER",
        ),
    ],
    signature: Annotated[
        str | None,
        typer.Option("--signature", help="Its type; a program's is inferred.", metavar="TYPE"),
    ] = None,
    license: License = None,  # noqa: A002 - the word people look for
    card: Card = None,
    tag: NewTags = None,
    parent: Annotated[
        list[str] | None,
        typer.Option("--parent", help="A block it came from; may be repeated.", metavar="BLOCK"),
    ] = None,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign it with your key: see `metaloom key`.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option("--key", help="The name of the key to sign with.", metavar="NAME"),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Publish a program or a trained graph; no code of it is run.

    A trained PyTorch module is published from Python, because reading a pickled one would run
    code: [bold]Hub.open().publish("me/net", net, "image[1,28,28] -> vec[64]")[/bold].

    [bold]Examples[/bold]

      metaloom publish me/add3 '(lam (map (lam (add 3 $0)) $0))' --license MIT
      metaloom publish me/evens evens.sexpr --card evens.md --tag lists --sign
      metaloom publish vision/conv4 conv4/ --signature "image[1,28,28] -> vec[64]"
    """
    with metaloom.Hub.open(home) as hub:
        signs = sign or key is not None
        if signs:
            unlock(hub, key)
        block = hub.publish(
            name,
            _given(what, hub),
            signature,
            license=license,
            card=None if card is None else read_text(card),
            tags=tag or (),
            parents=parent or (),
            sign=hub.keys.secret(key) if signs else None,
        )
        advised(block)  # the same as was published and yanked before
        if as_json:
            show_json(describe(block))
        else:
            show(f"{block.reference} : {block.signature}   {block.digest}")


def _given(what: str, hub: Hub) -> Term | str | StoredGraph | Solution:
    """The program, solution or graph that was named; a text in parentheses is a program itself."""
    path = Path(what)
    if what.lstrip().startswith("(") or not what.strip():
        return what
    refuse_pickle(path)
    if path.suffix in (".pt2", ".zip"):
        raise Refused(f"{what} is no program; `metaloom import NAME {what}` takes such files")
    if (path / SOLUTION_FILE).is_file():
        return metaloom_metalearn.load_solution(path, hub.library)
    if path.is_dir():
        return metaloom.StoredGraph(read_bytes(path / GRAPH_FILE), read_bytes(path / WEIGHTS_FILE))
    if path.is_file() or path.suffix in (".sexpr", ".json"):
        return read_program(path)
    return what
