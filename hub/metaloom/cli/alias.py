"""`metaloom alias`: the names of versions that can be moved, and where they were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import metaloom
from metaloom.cli.custody import Key, acting
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import show, show_json, table
from metaloom_registry import BlockName, NotFound, ParseError

if TYPE_CHECKING:
    from metaloom import Hub


def alias(
    reference: Annotated[
        str,
        typer.Argument(help="The version, as namespace/name@3; a name to list.", metavar="BLOCK"),
    ],
    name: Annotated[
        str | None,
        typer.Argument(help="The alias, such as champion; all without.", metavar="ALIAS"),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the alias away.")] = False,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Give a version a name that can be moved to another, or list the aliases of a name.

    The list tells every move they made.

    [bold]Examples[/bold]

      metaloom alias vision/conv4@3 champion
      metaloom show vision/conv4@champion
      metaloom alias vision/conv4
      metaloom alias vision/conv4 champion --remove
    """
    with metaloom.Hub.open(home) as hub:
        if name is None:
            if remove:
                raise ParseError(f"say which alias of {reference} to take away")
            _list(hub, _name(reference), as_json)
            return
        if remove:
            of = _name(reference)
            hub.registry.remove_alias(of, name, by=acting(hub, of.namespace, key))
            _tell(f"{of}@{name}", None, as_json)
            return
        version = hub[reference].reference
        acting(hub, version, key)  # asks for its passphrase
        block = hub.alias(reference, name, key)
        _tell(f"{block.reference.name}@{name}", str(block.reference), as_json)


def _name(reference: str) -> BlockName:
    """The name that a reference begins with. Raises InvalidName."""
    return BlockName.parse(reference.partition("@")[0])


def _tell(named: str, means: str | None, as_json: bool) -> None:
    if as_json:
        show_json({"alias": named, "reference": means})
    else:
        show(f"{named} is {means or 'no alias any more'}")


def _list(hub: Hub, name: BlockName, as_json: bool) -> None:
    """Print where the aliases of a name are, and every move of them."""
    if hub.vocabulary.versions(name):
        raise NotFound(f"{name} is a primitive, and has no aliases; its plugin holds its versions")
    hub.vocabulary.published(name)  # raises NotFound, naming what it may have meant
    moves = hub.registry.alias_history(name)
    means = {move.alias: move.number for move in moves}
    if as_json:
        show_json(
            {
                "name": str(name),
                "aliases": {alias: f"{name}@{at}" for alias, at in means.items() if at is not None},
                "moves": [
                    {
                        "alias": move.alias,
                        "reference": None if move.number is None else f"{name}@{move.number}",
                        "when": move.when.isoformat(),
                    }
                    for move in moves
                ],
            }
        )
        return
    if not moves:
        show(f"{name} has no alias; `metaloom alias {name}@1 champion` gives one")
        return
    rows = [(f"{name}@{alias}", _said(name, at)) for alias, at in sorted(means.items())]
    show(table(("alias", "is"), rows), "")
    past = [(f"{m.when:%Y-%m-%d %H:%M}", m.alias, _said(name, m.number)) for m in moves]
    show(table(("since (UTC)", "alias", "was"), past))


def _said(name: BlockName, number: int | None) -> str:
    return "taken away" if number is None else f"{name}@{number}"
