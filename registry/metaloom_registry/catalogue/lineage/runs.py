"""Runs and tasks: what was tried on which task, from which blocks, with which scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlmodel import Session, col, select

from metaloom_registry.canonical import Json, dump_canonical
from metaloom_registry.catalogue.publish import publishing
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.search.embeddings import add_embedding, point_of, task_space
from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound
from metaloom_registry.manifest import Parent
from metaloom_registry.names import Reference
from metaloom_registry.types import Type, parse_type


@dataclass(frozen=True)
class TaskRecord:
    """A task as the registry remembers it: the digest of its examples, a name, its type.

    `point` are 128 numbers by which tasks like it are found, if any were computed.
    """

    digest: Digest
    name: str
    type: Type
    facts: Mapping[str, Json] = field(default_factory=dict)
    point: tuple[float, ...] | None = None


@dataclass(frozen=True)
class RunRecord:
    """One solve, adaptation or training that ended, well or not.

    `started` is in seconds since 1970, `seconds` how long it took, `budget` how long it might have.
    `inputs` are the blocks it used, `requires` the primitives.  Its identity is `digest`.
    """

    kind: str
    started: float
    seconds: float
    task: TaskRecord | None = None
    status: str = "finished"
    seed: int | None = None
    budget: float | None = None
    term: str | None = None
    scores: Mapping[str, Json] = field(default_factory=dict)
    facts: Mapping[str, Json] = field(default_factory=dict)
    inputs: tuple[Parent, ...] = ()
    requires: tuple[Reference, ...] = ()

    @property
    def digest(self) -> Digest:
        """The digest of all that is recorded."""
        return Digest.of(dump_canonical(self.as_json()))

    def as_json(self) -> dict[str, Json]:
        """All that is recorded, as plain data."""
        return {
            "kind": self.kind,
            "started": self.started,
            "seconds": self.seconds,
            "task": None if self.task is None else str(self.task.digest),
            "status": self.status,
            "seed": self.seed,
            "budget": self.budget,
            "term": self.term,
            "scores": self.scores,
            "facts": self.facts,
            "inputs": [[str(p.digest), p.role] for p in self.inputs],
            "requires": list(map(str, self.requires)),
        }


def add_run(session: Session, run: RunRecord, now: int) -> bool:
    """Record a run, its task and its edges; False where it is recorded already."""
    digest = run.digest
    if publishing.nodes(session, [digest.hex]):
        return False
    publishing.check_parents(session, [p.digest for p in run.inputs])
    task = None if run.task is None else add_task(session, run.task, now)
    node = publishing.add_node(session, "run", digest.hex)
    session.add(
        tables.Run(
            id=node,
            kind=run.kind,
            status=run.status,
            task_id=task,
            seed=run.seed,
            budget=run.budget,
            seconds=run.seconds,
            term=run.term,
            scores=dict(run.scores),
            facts=dict(run.facts),
            started=round(run.started * 1_000_000),
        )
    )
    session.flush()
    if task is not None:
        session.add(tables.Edge(child_id=node, parent_id=task, role="task"))
    blocks = publishing.nodes(session, [p.digest.hex for p in run.inputs], "block")
    for parent in dict.fromkeys(run.inputs):
        session.add(
            tables.Edge(child_id=node, parent_id=blocks[parent.digest.hex], role=parent.role)
        )
    for reference in dict.fromkeys(run.requires):
        primitive = publishing.add_primitive(session, reference)
        session.add(tables.Edge(child_id=node, parent_id=primitive, role="requires"))
    return True


def work(session: Session, prefix: str) -> Digest:
    """The digest of the one run or task that begins with these digits. Raises NotFound."""
    key, kind = col(tables.Node.key), col(tables.Node.kind)
    query = select(key).where(key >= prefix, key < prefix + "g", kind.in_(("run", "task")))
    found = session.exec(query.order_by(key).limit(2)).all()
    if len(found) != 1:
        many = "several runs and tasks have" if found else "no run and no task has"
        raise NotFound(f"{many} a digest that begins with {prefix}")
    return Digest(found[0])


def read_run(session: Session, digest: Digest) -> RunRecord:
    """A run as it was recorded, what it used in the order of the registry. Raises NotFound."""
    node = publishing.nodes(session, [digest.hex], "run").get(digest.hex)
    row = None if node is None else session.get(tables.Run, node)
    if row is None:
        raise NotFound(f"the registry holds no run {digest}")
    edge = tables.Edge
    used = session.exec(
        select(tables.Node.kind, tables.Node.key, edge.role)
        .where(col(edge.parent_id) == tables.Node.id, edge.child_id == node)
        .order_by(col(edge.parent_id), edge.role)
    ).all()
    return RunRecord(
        kind=row.kind,
        started=row.started / 1_000_000,
        seconds=row.seconds or 0.0,
        task=None if row.task_id is None else _read_task(session, row.task_id),
        status=row.status,
        seed=row.seed,
        budget=row.budget,
        term=row.term,
        scores=row.scores,
        facts=row.facts,
        inputs=tuple(Parent(Digest(key), role) for kind, key, role in used if kind == "block"),
        requires=tuple(Reference.parse(key) for kind, key, _ in used if kind == "primitive"),
    )


def _read_task(session: Session, node: int) -> TaskRecord:
    row, named = session.get_one(tables.Task, node), session.get_one(tables.Node, node)
    return TaskRecord(Digest(named.key), row.name, parse_type(row.signature), row.facts)


def add_task(session: Session, task: TaskRecord, now: int) -> int:
    """The id of a task's node, which is added where it is new."""
    known = publishing.nodes(session, [task.digest.hex], "task").get(task.digest.hex)
    if known is not None:
        return known
    node = publishing.add_node(session, "task", task.digest.hex)
    session.add(
        tables.Task(
            id=node,
            name=task.name,
            signature=str(task.type),
            facts=dict(task.facts),
            created=now,
        )
    )
    session.flush()
    if task.point is not None:
        add_embedding(session, node, task_space(), point_of(task.point))
    return node
