"""Finding blocks in a hub: by words, by type, beside others, by behaviour, by similar tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypedDict, Unpack

from metaloom.arguments import as_tags, as_type, require_kind, require_limit
from metaloom.blocks import Block
from metaloom.solving.task_points import task_point
from metaloom.vocabulary import matching, takes_anything
from metaloom_metalearn import Task
from metaloom_registry import (
    Digest,
    ParseError,
    Reference,
    Type,
    catalogue,
    dump_canonical,
    parse_type,
)

if TYPE_CHECKING:
    from metaloom.hub import Hub


PRIMITIVES = "p."
"""How the cursor of a page among the primitives begins, which come after all blocks."""


class Filters(TypedDict, total=False):
    """What may be asked of blocks besides words; filters combine.

    takes, gives: something that one argument accepts, and the result.  type: the whole type; what
    unifies with it fits.  after, before: blocks, or types, that `>>` is to put on the left and on
    the right.  like: a block that behaves alike.  task: a task, on whose like it did well.  kind:
    graph, program or primitive.  tag: one, or several that it all has.  limit: at most so many.
    cursor: that of the page before.
    """

    takes: str | Type | None
    gives: str | Type | None
    type: str | Type | None
    after: str | Block | Type | None
    before: str | Block | Type | None
    like: str | Block | None
    task: Task | None
    kind: str | None
    tag: str | Sequence[str] | None
    limit: int
    cursor: str | None


class Found(list[Block]):
    """Blocks in order, the best first; `cursor` asks for what follows, None at the end."""

    cursor: str | None = None


def search(hub: Hub, text: str = "", **filters: Unpack[Filters]) -> Found:
    """The blocks of a hub, then the primitives, that match all that is given."""
    _require_filters(filters)
    kind, limit, cursor = filters.get("kind"), filters.get("limit", 20), filters.get("cursor")
    require_kind(kind)
    require_limit(limit)
    words = text.strip() or None
    tags = as_tags(filters.get("tag"))
    whole, takes = as_type(filters.get("type")), as_type(filters.get("takes"))
    gives = as_type(filters.get("gives"))
    after, before = _end(hub, filters.get("after")), _end(hub, filters.get("before"))
    like, task = filters.get("like"), filters.get("task")
    wanted = (takes, gives, whole, after, before)
    mark = _mark(words, tags, kind, wanted)
    with_primitives = kind in (None, "primitive") and like is None and task is None
    among_primitives = kind == "primitive" or (cursor or "").startswith(PRIMITIVES)
    found = Found()
    if not among_primitives:
        page = hub.registry.finder.search(
            words,
            takes=takes,
            gives=gives,
            type=whole,
            after=after,
            before=before,
            like=None if like is None else _reference(hub, like),
            task=None if task is None else task_point(task),
            kind=kind,
            tags=tags,
            limit=limit,
            cursor=cursor,
        )
        found += [replace(hub.block(hit.version), why=hit.why) for hit in page.items]
        found.cursor = page.cursor
    if found.cursor is None and (with_primitives or among_primitives):
        start = _start(cursor, mark, with_primitives) if among_primitives else 0
        fitting = sorted(
            matching(hub.primitives, words, tags, *wanted), key=lambda hit: takes_anything(hit[0])
        )
        end = start + limit - len(found)
        found += [replace(hub[p.reference], why=why) for p, why in fitting[start:end]]
        if end < len(fitting):
            found.cursor = PRIMITIVES + catalogue.write_cursor(mark, (0.0, end, 0))
    return found


def listed(hub: Hub, namespace: str | None, kind: str | None, limit: int) -> list[Block]:
    """The named blocks of a hub, or its primitives, in order of their names."""
    require_kind(kind)
    prefix = f"{namespace}/" if namespace else ""
    if kind == "primitive":
        named = [p for p in hub.primitives if p.name.startswith(prefix)]
        return [hub[p.reference] for p in sorted(named, key=lambda p: p.name)][:limit]
    blocks: list[Block] = []
    cursor: str | None = ""
    while cursor is not None and len(blocks) < limit:
        page = hub.registry.names(prefix, limit=1000, cursor=cursor)
        blocks += [hub.block(v) for v in page.items if kind in (None, v.kind)]
        cursor = page.cursor
    return blocks[:limit]


def _require_filters(filters: Filters) -> None:
    """Raise ParseError for a filter there is not."""
    known = sorted(Filters.__annotations__)
    for name in filters:
        if name not in known:
            raise ParseError(f"blocks are not found by {name!r}, but by {', '.join(known)}")


def _mark(
    words: str | None, tags: Sequence[str], kind: str | None, types: Sequence[Type | None]
) -> str:
    """A text that tells a query among the primitives from others."""
    said = [None if type_ is None else str(type_) for type_ in types]
    return Digest.of(dump_canonical([words, sorted(tags), kind, said])).short


def _start(cursor: str | None, mark: str, fits: bool) -> int:
    """Where a page among the primitives begins. Raises ParseError for another query's cursor."""
    if cursor is None:
        return 0
    own = cursor.removeprefix(PRIMITIVES)
    return int(catalogue.read_cursor(own, mark if fits and own != cursor else "")[1])


def _end(hub: Hub, given: str | Block | Type | None) -> Type | None:
    """The type of what stands beside a hit in `>>`: a block's, a reference's, or a type itself."""
    if isinstance(given, str):
        return parse_type(given) if "->" in given else hub[given].signature
    return given.signature if isinstance(given, Block) else given


def _reference(hub: Hub, given: str | Block) -> Reference:
    return (hub[given] if isinstance(given, str) else given).exactly
