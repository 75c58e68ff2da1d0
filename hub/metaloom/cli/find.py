"""`metaloom search` and `metaloom fits`: blocks by words, types, neighbours and similar tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

import metaloom
from metaloom.cli.listing import describe, state
from metaloom.cli.options import AsJson, Home, Kind
from metaloom.cli.output import note, show, show_json, table
from metaloom_registry import ParseError

if TYPE_CHECKING:
    from rich.table import Table

    from metaloom.blocks import Block
    from metaloom.finding import Found
    from metaloom.hub import Hub

Tags: TypeAlias = Annotated[
    list[str] | None, typer.Option("--tag", help="A tag it has; give several.", metavar="TAG")
]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]
Cursor: TypeAlias = Annotated[
    str | None, typer.Option("--cursor", help="Where the page before ended.", metavar="CURSOR")
]

SHOWN = 3
"""How many of a block's numbers a row shows."""


def search(
    words: Annotated[
        list[str] | None, typer.Argument(help="Words of the name, tags or card.", metavar="WORDS")
    ] = None,
    takes: Annotated[
        str | None,
        typer.Option("--takes", help="A type that one of its arguments accepts.", metavar="TYPE"),
    ] = None,
    gives: Annotated[
        str | None, typer.Option("--gives", help="The type it gives.", metavar="TYPE")
    ] = None,
    like: Annotated[
        str | None, typer.Option("--like", help="A block that behaves alike.", metavar="BLOCK")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", help="A file of examples; what did well on such.", metavar="FILE"),
    ] = None,
    kind: Kind = None,
    tag: Tags = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find blocks by words, by what they take and give, by behaviour and by similar tasks.

    [bold]Examples[/bold]

      metaloom search digits
      metaloom search --takes "image[1,8,8]" --gives "vec\\[n]"
      metaloom search --takes "list\\[int]" --kind program
      metaloom search --like vision/conv4
      metaloom search --task examples.jsonl
    """
    with metaloom.Hub.open(home) as hub:
        found = hub.search(
            " ".join(words or ()),
            takes=takes,
            gives=gives,
            like=like,
            task=None if task is None else metaloom.read_task(task),
            kind=kind,
            tag=tag or (),
            limit=limit,
            cursor=cursor,
        )
        nothing = ""
        if not found and not as_json:
            nothing = _nothing(hub, words or (), bool(takes or gives), like, task, kind, tag)
        _show(found, nothing, as_json)


def _nothing(
    hub: Hub,
    words: Sequence[str],
    typed: bool,
    like: str | None,
    task: str | None,
    kind: str | None,
    tags: Sequence[str] | None,
) -> str:
    """What to try where nothing was found."""
    near = hub.vocabulary.near_words(word.lower() for text in words for word in text.split())
    if near:
        return f"no block fits; did you mean {' or '.join(map(repr, near))}?"
    tries = [
        "fewer words" if words else "",
        "a wider type such as vec[n]" if typed else "",
        "no --tag" if tags else "",
        "no --kind" if kind else "",
    ]
    if any(tries):
        return f"no block fits; try {' or '.join(filter(None, tries))}"
    if like:
        return "no other trained block takes the same inputs; `metaloom search --takes` looks wider"
    if task:
        return "nothing was solved yet that is like this task"
    return "nothing here yet; `metaloom publish` adds a block"


def fits(
    after: Annotated[
        str | None, typer.Argument(help="What `>>` has on the left.", metavar="BLOCK")
    ] = None,
    before: Annotated[
        str | None,
        typer.Option("--before", help="What `>>` has on the right.", metavar="BLOCK"),
    ] = None,
    kind: Kind = None,
    tag: Tags = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Find what fits after a block, before another, or between the two.

    [bold]Examples[/bold]

      metaloom fits vision/conv4
      metaloom fits --before heads/prototypes
      metaloom fits lists/reverse --before lists/sum
    """
    if after is None and before is None:
        raise ParseError("name a block, as in `metaloom fits vision/conv4`, or one with --before")
    with metaloom.Hub.open(home) as hub:
        found = hub.fits(
            after=after, before=before, kind=kind, tag=tag or (), limit=limit, cursor=cursor
        )
        _show(found, "no block fits there; `metaloom search --takes TYPE` looks wider", as_json)


def _show(found: Found, nothing: str, as_json: bool) -> None:
    if as_json:
        show_json([{**describe(block), "why": list(block.why)} for block in found])
    else:
        show(_table(found) if found else nothing)
    if found.cursor is not None:
        note(f"there are more; --cursor {found.cursor} shows what follows")


def _table(found: Found) -> Table:
    """Blocks with their types and what was measured of them."""
    return table(
        ("name", "kind", "type", "measured", ">used by", "why"),
        (
            (
                block.reference,
                block.kind,
                block.signature,
                measures(block),
                block.version.uses or "" if block.version else "",
                "; ".join(filter(None, (*block.why, state(block)))),
            )
            for block in found
        ),
    )


def measures(block: Block) -> str:
    """The scores that were measured of a block, and its size."""
    if block.version is None:
        return ""
    facts = block.version.facts
    solution = facts.get("solution")
    scores = solution.get("scores") if isinstance(solution, Mapping) else None
    numbers = [*facts.items(), *(scores.items() if isinstance(scores, Mapping) else ())]
    said = [
        f"{name} {value:.3g}"
        for name, value in ((name, _number(number)) for name, number in numbers)
        if value is not None
    ]
    parameters = facts.get("parameters")
    if isinstance(parameters, int):
        said.append(f"{parameters:,} parameters")
    return ", ".join(said[-SHOWN:])


def _number(score: object) -> float | None:
    """A score, alone or with what else is known of it."""
    if isinstance(score, Mapping):
        score = score.get("value")
    return score if isinstance(score, float) else None
