"""Runs and tasks: what was tried on which task, from which blocks, with which scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlmodel import Session

from metaloom_registry.canonical import Json, dump_canonical
from metaloom_registry.catalogue import publishing, tables
from metaloom_registry.catalogue.embeddings import add_embedding, point_of, task_space
from metaloom_registry.digest import Digest
from metaloom_registry.manifest import Parent
from metaloom_registry.names import Reference
from metaloom_registry.types import Type


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
        return Digest.of(
            dump_canonical(
                {
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
            )
        )


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
            started=int(run.started * 1_000_000),
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
