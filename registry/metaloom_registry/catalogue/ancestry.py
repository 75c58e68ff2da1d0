"""Lineage: what a block, run or task came from, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import sqlalchemy as core
from sqlalchemy import BindParameter, bindparam
from sqlmodel import Session

from metaloom_registry.catalogue import publishing, tables
from metaloom_registry.catalogue.versions import first_names
from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound
from metaloom_registry.names import Reference

Direction: TypeAlias = Literal["parents", "children"]
BATCH = 500


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
    """What is found from `root` in one direction, nearest first; `complete` unless cut off."""

    root: str
    direction: Direction
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    complete: bool = True

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
    session: Session, start: Digest | Reference, direction: Direction, depth: int, limit: int
) -> Lineage:
    """Follow the edges breadth first, at most `depth` steps and `limit` nodes. Raises NotFound."""
    key = start.hex if isinstance(start, Digest) else str(start)
    root = publishing.nodes(session, [key]).get(key)
    if root is None:
        raise NotFound(f"the lineage knows nothing of {start}; it has not been used here")
    reached: dict[int, None] = {root: None}
    edges: dict[tuple[int, int, str], None] = {}
    frontier = [root]
    complete = True
    for step in range(depth + 1):
        if step == depth:  # one step further only says whether there is more
            complete = complete and not _edges(session, frontier, direction, 1)
            break
        found = _edges(session, frontier, direction, limit * 4)
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
    nodes = _described(session, list(reached))
    return Lineage(
        root=nodes[root].key,
        direction=direction,
        nodes=tuple(nodes[id_] for id_ in reached),
        edges=tuple(Edge(nodes[c].key, nodes[p].key, role) for c, p, role in edges),
        complete=complete,
    )


def _edges(
    session: Session, frontier: Sequence[int], direction: Direction, limit: int
) -> list[tuple[int, int, str]]:
    """The edges out of these nodes, oldest first, at most `limit`."""
    near, far = (_edge.c.child_id, _edge.c.parent_id)
    if direction == "children":
        near, far = far, near
    found: list[tuple[int, int, str]] = []
    query = core.select(_edge).where(near.in_(_IDS)).order_by(near, far)
    for start in range(0, len(frontier), BATCH):
        rows = session.connection().execute(
            query.limit(limit - len(found)), {"ids": frontier[start : start + BATCH]}
        )
        found.extend((row.child_id, row.parent_id, row.role) for row in rows)
    return found


def _described(session: Session, ids: Sequence[int]) -> dict[int, Node]:
    """The nodes with what people call them, in a few queries a batch."""
    found: dict[int, Node] = {}
    for start in range(0, len(ids), BATCH):
        rows = session.connection().execute(_NODES, {"ids": ids[start : start + BATCH]}).all()
        labels: dict[int, tuple[str, str]] = {}
        for kind, describe in (("block", _blocks), ("run", _runs), ("task", _tasks)):
            keys = {id_: key for id_, of, key in rows if of == kind}
            if keys:
                labels |= describe(session, keys)
        for id_, kind, text in rows:
            key = text if kind == "primitive" else f"sha256:{text}"
            found[id_] = Node(key, kind, *labels.get(id_, (key, "")))
    return found


def _blocks(session: Session, keys: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    named = first_names(session, list(keys))
    labels = {id_: f"{name}@{number}" for id_, (name, number) in named.items()}
    return {
        id_: (labels.get(id_) or f"@{Digest(keys[id_]).short}", signature)
        for id_, signature in session.connection().execute(_BLOCKS, {"ids": list(keys)})
    }


def _runs(session: Session, keys: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    return {
        id_: (f"{kind} {keys[id_][:12]}", f"{status}, {seconds or 0:.1f} s")
        for id_, kind, status, seconds in session.connection().execute(_RUNS, {"ids": list(keys)})
    }


def _tasks(session: Session, keys: Mapping[int, str]) -> dict[int, tuple[str, str]]:
    return {
        id_: (name, signature)
        for id_, name, signature in session.connection().execute(_TASKS, {"ids": list(keys)})
    }


# Asked of up to `BATCH` nodes at once, and so over rows instead of objects.
_node, _edge, _block, _run, _task = (
    tables.METADATA.tables[name] for name in ("node", "edge", "block", "run", "task")
)
_IDS: BindParameter[Any] = bindparam("ids", expanding=True)
_NODES, _BLOCKS, _RUNS, _TASKS = (
    core.select(*columns).where(columns[0].in_(_IDS))
    for columns in (
        (_node.c.id, _node.c.kind, _node.c.key),
        (_block.c.id, _block.c.signature),
        (_run.c.id, _run.c.kind, _run.c.status, _run.c.seconds),
        (_task.c.id, _task.c.name, _task.c.signature),
    )
)
