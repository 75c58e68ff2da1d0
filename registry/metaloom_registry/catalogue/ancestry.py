"""Lineage: what a block, run or task came from, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sqlmodel import Session, col, select

from metaloom_registry.catalogue import publishing, tables
from metaloom_registry.catalogue.versions import described, first_names
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
        found = _edges(session, frontier, direction, limit * 4)
        if step == depth:  # one step further only says whether there is more
            complete = complete and not found
            break
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
    near, far = (
        (tables.Edge.child_id, tables.Edge.parent_id)
        if direction == "parents"
        else (tables.Edge.parent_id, tables.Edge.child_id)
    )
    found: list[tuple[int, int, str]] = []
    for start in range(0, len(frontier), BATCH):
        query = (
            select(tables.Edge.child_id, tables.Edge.parent_id, tables.Edge.role)
            .where(col(near).in_(frontier[start : start + BATCH]))
            .order_by(col(near), col(far))
            .limit(limit - len(found))
        )
        found.extend(session.exec(query))
    return found


def _described(session: Session, ids: Sequence[int]) -> dict[int, Node]:
    """The nodes with what people call them, in a few queries a batch."""
    found: dict[int, Node] = {}
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        rows = session.exec(select(tables.Node).where(col(tables.Node.id).in_(batch))).all()
        kinds: dict[str, list[int]] = {}
        for row in rows:
            assert row.id is not None
            kinds.setdefault(row.kind, []).append(row.id)
        labels: dict[int, tuple[str, str]] = {}
        for kind, describe in (("block", _blocks), ("run", _runs), ("task", _tasks)):
            if kind in kinds:
                labels |= describe(session, kinds[kind])
        for row in rows:
            assert row.id is not None
            key = row.key if row.kind == "primitive" else f"sha256:{row.key}"
            label, detail = labels.get(row.id, (key, ""))
            found[row.id] = Node(key, row.kind, label, detail)
    return found


def _blocks(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    versions = described(session, first_names(session, ids))
    return {
        id_: (str(v.reference) if v.name is not None else f"@{v.digest.short}", str(v.type))
        for id_, v in zip(ids, versions, strict=True)
    }


def _runs(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    rows = session.exec(
        select(tables.Run, tables.Node.key).where(
            tables.Run.id == tables.Node.id, col(tables.Run.id).in_(ids)
        )
    )
    return {
        run.id: (f"{run.kind} {key[:12]}", f"{run.status}, {run.seconds or 0:.1f} s")
        for run, key in rows
    }


def _tasks(session: Session, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    rows = session.exec(select(tables.Task).where(col(tables.Task.id).in_(ids)))
    return {task.id: (task.name, task.signature) for task in rows}
