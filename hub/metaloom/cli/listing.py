"""`metaloom list`: what the library holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

import metaloom
from metaloom.cli.options import AsJson, Home, Kind
from metaloom.cli.output import note, show, show_json, table

if TYPE_CHECKING:
    from rich.table import Table

    from metaloom.blocks import Block
    from metaloom.hub import Hub


def list_blocks(
    namespace: Annotated[
        str | None, typer.Argument(help="Only the names in this namespace.", metavar="NAMESPACE")
    ] = None,
    kind: Kind = None,
    versions: Annotated[
        str | None,
        typer.Option("--versions", help="All versions of one name.", metavar="NAME"),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the blocks of the library, newest version of each; or the plugins' primitives.

    [bold]Examples[/bold]

      metaloom list
      metaloom list vision --kind graph
      metaloom list lists --kind primitive
      metaloom list --versions vision/conv4
    """
    with metaloom.Hub.open(home) as hub:
        found = (
            hub.versions(versions)
            if versions is not None
            else hub.list(namespace, kind=kind, limit=limit + 1)
        )
        shown = found[:limit]
        if as_json:
            show_json([describe(block) for block in shown])
        else:
            show(block_table(shown) if shown else _nothing(hub, namespace, kind))
        if len(found) > limit:
            note(f"there are more than these {limit}; --limit shows more")


def _nothing(hub: Hub, namespace: str | None, kind: str | None) -> str:
    """What to do where a list is empty."""
    place = "" if namespace is None else f" in the namespace {namespace}"
    if kind != "primitive" and namespace is not None and hub.list(namespace, kind="primitive"):
        return f"no blocks{place}, but primitives; --kind primitive lists them"
    if kind is not None or (namespace is not None and hub.list(limit=1)):
        return f"no {kind or 'block'}{place}; `metaloom list` shows what there is"
    return (
        "nothing here yet; `metaloom publish` adds a block, `metaloom solve FILE --publish NAME` "
        "finds one, `metaloom demo` shows the whole way in a library of its own"
    )


def block_table(blocks: Sequence[Block]) -> Table:
    """Blocks by name with their kind, type and use, and why some should not be used."""
    states = [state(block) for block in blocks]
    rows = [
        (
            block.reference,
            block.kind,
            block.signature,
            block.version.uses or "" if block.version else "",
            ", ".join(block.version.aliases) if block.version else "",
        )
        for block in blocks
    ]
    columns = ("name", "kind", "type", ">used by", "aliases")
    if not any(states):
        return table(columns, rows)
    return table((*columns, "but"), ((*row, said) for row, said in zip(rows, states, strict=True)))


def state(block: Block) -> str:
    """Why a version should not be used, and what instead; empty where nothing is against it."""
    version = block.version
    if version is None:
        return ""
    if version.tombstone is not None:
        return f"taken away for good: {version.tombstone}"
    if version.yanked is not None:
        return f"yanked: {version.yanked}" if version.yanked else "yanked"
    if version.deprecated is None:
        return ""
    why = f"deprecated: {version.deprecated}" if version.deprecated else "deprecated"
    return why if version.successor is None else f"{why}; use {version.successor}"


def advised(block: Block) -> Block:
    """The block; where it should not be used, people are told on stderr."""
    if said := state(block):
        note(f"warning: {block.reference} is {said}")
    return block


def describe(block: Block) -> dict[str, object]:
    """A block as JSON."""
    version = block.version
    about: dict[str, object] = {
        "reference": str(block.reference),
        "digest": str(block.digest),
        "kind": block.kind,
        "signature": str(block.signature),
    }
    if version is not None:
        about |= {
            "license": version.licence,
            "bytes": version.size,
            "uses": version.uses,
            "created": version.created.isoformat(),
            "yanked": version.yanked,
            "tombstone": version.tombstone,
            "deprecated": version.deprecated,
            "successor": None if version.successor is None else str(version.successor),
            "aliases": list(version.aliases),
        }
    return about
