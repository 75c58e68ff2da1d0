"""Lineage: what a block, run or task came from, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import sqlalchemy as core
from sqlalchemy import Connection, bindparam, func
from sqlmodel import Session

from metaloom_registry.catalogue.naming.versions import first_names
from metaloom_registry.catalogue.publish import publishing
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among
from metaloom_registry.catalogue.schema.cursors import read_cursor, write_cursor
from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound
from metaloom_registry.names import Reference

Direction: TypeAlias = Literal["parents", "children"]
MOST_COUNTED = 10_000
"""Up to so many further relatives are counted."""


@dataclass(frozen=True, slots=True)
class Node:
    """A block, primitive, run or task.

    `key` is `sha256:...`, or a primitive's reference; `label` is for people: a block's name and
    number, a task's name.  `detail` is its type, or how a run ended.
    """

    key: str
    kind: str
    label: str
    detail: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """The child came from the parent; both are keys of nodes."""

    child: str
    parent: str
    role: str


@dataclass(frozen=True)
class Lineage:
    """What is found from `root` in one direction, nearest first; `complete` unless cut off.

    Where the root has more relatives than are here, `cursor` asks for the next of them, and `more`
    is how many there are, counted up to `MOST_COUNTED`.
    """

    root: str
    direction: Direction
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    complete: bool = True
    more: int = 0
    cursor: str | None = None

    @property
    def rest(self) -> str:
        """How many more relatives the root has, for people."""
        return f"{'at least ' if self.more == MOST_COUNTED else ''}{self.more:,}"

    def node(self, key: str) -> Node:
        """The node of a key. Raises KeyError."""
        for node in self.nodes:
            if node.key == key:
                return node
        raise KeyError(key)

    def next(self, key: str) -> tuple[tuple[str, Node], ...]:
        """The role and the node one step on from a node, in the direction of this lineage."""
        known = {node.key: node for node in self.nodes}
        if self.direction == "parents":
            return tuple((e.role, known[e.parent]) for e in self.edges if e.child == key)
        return tuple((e.role, known[e.child]) for e in self.edges if e.parent == key)


def trace(
    session: Session,
    start: Digest | Reference,
    direction: Direction,
    depth: int,
    limit: int,
    cursor: str | None = None,
) -> Lineage:
    """Follow the edges breadth first, at most `depth` steps and `limit` nodes.

    `cursor` is that of a lineage of the same root and direction: it goes on with the root's next
    relatives.  Raises NotFound, or ParseError where the cursor is of another lineage.
    """
    key = start.hex if isinstance(start, Digest) else str(start)
    root = publishing.nodes(session, [key]).get(key)
    if root is None:
        raise NotFound(f"the lineage knows nothing of {start}; it has not been used here")
    mark = Digest.of(f"{direction} {key}".encode()).short
    after = 0 if cursor is None else read_cursor(cursor.removeprefix(f"{direction}."), mark)[1]
    walk = _Walk(session.connection(), direction)
    reached: dict[int, None] = {root: None}
    edges: dict[tuple[int, int, str], None] = {}
    frontier, more, complete = [root], 0, True
    for step in range(depth + 1):
        if step == depth or len(reached) >= limit:  # a step further says whether there is more
            complete = complete and not walk.onward(frontier, 1)
            break
        if step == 0:
            found, more = walk.first(root, after, limit - 1)
        else:
            found = walk.onward(frontier, limit * 4)
            complete = complete and len(found) < limit * 4
        frontier = []
        for child, parent, role in found:
            beyond = parent if direction == "parents" else child
            if beyond not in reached:
                if len(reached) >= limit:
                    complete = False
                    continue
                reached[beyond] = None
                frontier.append(beyond)
            edges[child, parent, role] = None
        if not frontier:
            break
        if step == 0:
            after = frontier[-1]
    nodes = _described(walk.connection, list(reached))
    return Lineage(
        root=nodes[root].key,
        direction=direction,
        nodes=tuple(nodes[id_] for id_ in reached),
        edges=tuple(Edge(nodes[c].key, nodes[p].key, role) for c, p, role in edges),
        complete=complete and not more,
        more=more,
        cursor=f"{direction}.{write_cursor(mark, (0.0, after, 0))}" if more else None,
    )


@dataclass(frozen=True)
class _Walk:
    """Steps along the edges in one direction; what is older comes first."""

    connection: Connection
    direction: Direction

    def first(self, root: int, after: int, room: int) -> tuple[list[tuple[int, int, str]], int]:
        """The edges to the next relatives of the root after an id, and how many more there are."""
        query, count = _RELATIVES[self.direction]
        values = {"node": root, "after": after, "limit": room + 1}
        found = self.connection.execute(query, values).scalars().all()
        page, more = found[:room], 0
        if len(found) > room:
            values = {"node": root, "after": page[-1], "limit": MOST_COUNTED}
            more = self.connection.execute(count, values).scalar_one()
        rows = self.connection.execute(_BETWEEN[self.direction], {"node": root, "ids": page}).all()
        return [(child, parent, role) for child, parent, role in rows], more

    def onward(self, frontier: Sequence[int], limit: int) -> list[tuple[int, int, str]]:
        """The edges out of these nodes, at most `limit`."""
        values = {"ids": frontier, "limit": limit}
        rows = self.connection.execute(_ONWARD[self.direction], values).all()
        return [(child, parent, role) for child, parent, role in rows]


def _described(connection: Connection, ids: Sequence[int]) -> dict[int, Node]:
    """The nodes with what people call them, in a few queries."""
    rows = connection.execute(_NODES, {"ids": ids}).all()
    labels: dict[int, tuple[str, str]] = {}
    for kind, describe in (("run", _runs), ("task", _tasks)):
        keys = {id_: key for id_, of, key, _ in rows if of == kind}
        if keys:
            labels |= describe(connection, keys)
    named = first_names(connection, [id_ for id_, of, _, _ in rows if of == "block"])
    found: dict[int, Node] = {}
    for id_, kind, text, signature in rows:
        key = text if kind == "primitive" else f"sha256:{text}"
        if kind == "block":
            first = named.get(id_)
            label = f"@{Digest(text).short}" if first is None else f"{first[0]}@{first[1]}"
            found[id_] = Node(key, kind, label, signature)
        else:
            found[id_] = Node(key, kind, *labels.get(id_, (key, "")))
    return found


def _runs(connection: Connection, keys: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    return {
        id_: (f"{kind} {keys[id_][:12]}", f"{status}, {seconds or 0:.1f} s")
        for id_, kind, status, seconds in connection.execute(_RUNS, {"ids": list(keys)})
    }


def _tasks(connection: Connection, keys: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    return {
        id_: (name, signature)
        for id_, name, signature in connection.execute(_TASKS, {"ids": list(keys)})
    }


# Asked of up to hundreds of nodes at once, and so over rows instead of objects.
_node, _edge, _block, _run, _task = (
    tables.METADATA.tables[name] for name in ("node", "edge", "block", "run", "task")
)
_NODES = (
    core.select(_node.c.id, _node.c.kind, _node.c.key, _block.c.signature)
    .outerjoin_from(_node, _block, _block.c.id == _node.c.id)
    .where(Among(_node.c.id))
)
_RUNS, _TASKS = (
    core.select(*columns).where(Among(columns[0]))
    for columns in (
        (_run.c.id, _run.c.kind, _run.c.status, _run.c.seconds),
        (_task.c.id, _task.c.name, _task.c.signature),
    )
)
_ENDS: Mapping[Direction, tuple[core.Column[Any], core.Column[Any]]] = {
    "parents": (_edge.c.child_id, _edge.c.parent_id),
    "children": (_edge.c.parent_id, _edge.c.child_id),
}
_LIMIT = bindparam("limit", type_=core.Integer)


def _relatives(
    near: core.Column[Any], far: core.Column[Any]
) -> tuple[core.Select[Any], core.Select[Any]]:
    """The next relatives of a node in order, and how many there are."""
    found = core.select(far).where(near == bindparam("node"), far > bindparam("after"))
    found = found.distinct().order_by(far).limit(_LIMIT)
    return found, core.select(func.count()).select_from(found.subquery())


_RELATIVES = {direction: _relatives(*ends) for direction, ends in _ENDS.items()}
_BETWEEN = {
    direction: core.select(_edge).where(near == bindparam("node"), Among(far)).order_by(far)
    for direction, (near, far) in _ENDS.items()
}
_ONWARD = {
    direction: core.select(_edge).where(Among(near)).order_by(near, far).limit(_LIMIT)
    for direction, (near, far) in _ENDS.items()
}
