"""The tables of the catalogue.

    namespace ── name ── version ── block ── signature ── signature_part      names and types
                  │  └─ alias, alias_event     │  ├─ tag, class_set ── class_set_member
                  │                            │  └─ seal                     who signed what
                  └─ document (full text)      │
    node (block, primitive, task, run) ── edge (child, parent, role)          lineage
     └─ embedding                                                             what it is near to
    owner                                                                     who may publish where
    sweep                                                                     what gc removed
    outbox                                                                    what mirrors are told
    verdict                                                                   what was validated

Times are whole microseconds since 1970 in UTC.  Nothing is ever deleted here but aliases and
owners, so names and version numbers are never used again.  Order is by id, never by time: clocks
jump.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    text,
)
from sqlalchemy import UniqueConstraint as Unique
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlmodel import Field, SQLModel

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def exact(length: int) -> Any:
    """A text that is compared and sorted byte by byte in every database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


class Row(SQLModel):
    """What all tables share."""

    metadata: ClassVar[MetaData] = METADATA


class Namespace(Row, table=True):
    """The part of a name before the slash; `key` is its spelling in lower case."""

    __tablename__ = "namespace"
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(sa_type=exact(96), unique=True)
    spelling: str = Field(sa_type=exact(96))
    created: int = Field(sa_type=BigInteger)


class Owner(Row, table=True):
    """A public key, hexadecimal, whose holder may publish into a namespace; without, all may."""

    __tablename__ = "owner"
    __table_args__ = ({"sqlite_with_rowid": False},)
    namespace_id: int = Field(foreign_key="namespace.id", primary_key=True)
    key: str = Field(sa_type=exact(64), primary_key=True)
    created: int = Field(sa_type=BigInteger)


class Name(Row, table=True):
    """A name: `newest` is the last number given, `current` the newest version not yanked."""

    __tablename__ = "name"
    id: int | None = Field(default=None, primary_key=True)
    namespace_id: int = Field(foreign_key="namespace.id", index=True)
    key: str = Field(sa_type=exact(193), unique=True)
    part: str = Field(sa_type=exact(96), index=True)
    spelling: str = Field(sa_type=exact(193))
    newest: int = 0
    current: int | None = None
    created: int = Field(sa_type=BigInteger)


class Node(Row, table=True):
    """A node of the lineage; `key` is a digest in hexadecimal, or a primitive's reference."""

    __tablename__ = "node"
    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(sa_type=exact(16))
    key: str = Field(sa_type=exact(210), unique=True)


class Signature(Row, table=True):
    """A type that blocks have, its variables renamed in order and domains left out.

    `digest` is that of its text: a text may be longer than an index takes.
    """

    __tablename__ = "signature"
    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(sa_type=exact(64), unique=True)
    text: str = Field(sa_type=Text)
    arity: int


class SignaturePart(Row, table=True):
    """One argument of a signature by its position from 0, or at -1 its result.

    `head` is its outermost constructor, `key` its text to a bounded depth, both with `?` for
    variables: what a search narrows by before it unifies.
    """

    __tablename__ = "signature_part"
    __table_args__ = (
        Index(None, "key", "position", "signature_id"),
        Index(None, "head", "position", "signature_id"),
        {"sqlite_with_rowid": False},
    )
    signature_id: int = Field(foreign_key="signature.id", primary_key=True)
    position: int = Field(primary_key=True)
    head: str = Field(sa_type=exact(40))
    key: str = Field(sa_type=exact(400))


class Block(Row, table=True):
    """A block; its manifest is the blob that its node's key names.

    `current`: whether it is the current version of some name.  `uses`: how many blocks came from
    it.  `class_set_id`: the classes that it or a block it came from was trained on.  `facts` are
    those of the manifest but for its fingerprint, which is an `Embedding`.  `tombstone` is why its
    bytes were taken away for good, where they were.
    """

    __tablename__ = "block"
    __table_args__ = (
        Index(None, "signature_id", "current", "uses", "id", "kind"),
        Index(None, "current", "uses", "id", "kind", "signature_id"),
    )
    id: int = Field(sa_column=Column(ForeignKey("node.id"), primary_key=True, autoincrement=False))
    kind: str = Field(sa_type=exact(16))
    signature_id: int = Field(foreign_key="signature.id")
    signature: str = Field(sa_type=Text)
    licence: str | None = Field(default=None, sa_type=String(200))
    size: int = Field(sa_type=BigInteger)
    facts: dict[str, Any] = Field(sa_type=JSON)
    class_set_id: int | None = Field(default=None, foreign_key="class_set.id", index=True)
    uses: int = 0
    current: bool = False
    created: int = Field(sa_type=BigInteger)
    tombstone: str | None = Field(default=None, sa_type=Text)


class Primitive(Row, table=True):
    """A primitive that some block needs, by its reference, the key of its node."""

    __tablename__ = "primitive"
    id: int = Field(sa_column=Column(ForeignKey("node.id"), primary_key=True, autoincrement=False))
    uses: int = 0


class Tag(Row, table=True):
    __tablename__ = "tag"
    __table_args__ = ({"sqlite_with_rowid": False},)
    tag: str = Field(sa_type=exact(64), primary_key=True)
    block_id: int = Field(foreign_key="block.id", primary_key=True, index=True)


class Seal(Row, table=True):
    """The signature of a block's manifest by a key, both hexadecimal; `signed` is in seconds."""

    __tablename__ = "seal"
    __table_args__ = ({"sqlite_with_rowid": False},)
    block_id: int = Field(foreign_key="block.id", primary_key=True)
    key: str = Field(sa_type=exact(64), primary_key=True)
    signed: int = Field(sa_type=BigInteger)
    signature: str = Field(sa_type=exact(128))


class ClassSet(Row, table=True):
    """A set of classes that blocks were trained on; `digest` is that of its members."""

    __tablename__ = "class_set"
    id: int | None = Field(default=None, primary_key=True)
    digest: str = Field(sa_type=exact(64), unique=True)


class ClassSetMember(Row, table=True):
    __tablename__ = "class_set_member"
    __table_args__ = ({"sqlite_with_rowid": False},)
    digest: str = Field(sa_type=exact(64), primary_key=True)
    class_set_id: int = Field(foreign_key="class_set.id", primary_key=True, index=True)


class Version(Row, table=True):
    """A number under a name; the same block under one name is one version.

    `deprecation` is why another should be used, and `successor` the reference of that other.
    """

    __tablename__ = "version"
    __table_args__ = (Unique("name_id", "number"), Unique("name_id", "block_id"))
    id: int | None = Field(default=None, primary_key=True)
    name_id: int = Field(foreign_key="name.id")
    number: int
    block_id: int = Field(foreign_key="block.id", index=True)
    created: int = Field(sa_type=BigInteger)
    yanked: int | None = Field(default=None, sa_type=BigInteger)
    yank_reason: str | None = Field(default=None, sa_type=Text)
    deprecation: str | None = Field(default=None, sa_type=Text)
    successor: str | None = Field(default=None, sa_type=exact(300))


class Alias(Row, table=True):
    __tablename__ = "alias"
    __table_args__ = ({"sqlite_with_rowid": False},)
    name_id: int = Field(foreign_key="name.id", primary_key=True)
    alias: str = Field(sa_type=exact(63), primary_key=True)
    version_id: int = Field(foreign_key="version.id", index=True)


class AliasEvent(Row, table=True):
    """One move of an alias; to no version where it was taken away."""

    __tablename__ = "alias_event"
    id: int | None = Field(default=None, primary_key=True)
    name_id: int = Field(foreign_key="name.id", index=True)
    alias: str = Field(sa_type=exact(63))
    version_id: int | None = Field(default=None, foreign_key="version.id")
    created: int = Field(sa_type=BigInteger)


class Document(Row, table=True):
    """The words by which the current version of a name is found.

    `words` are all of them in plain form, for the index of PostgreSQL; that of SQLite reads the
    texts themselves, and `words` is empty.
    """

    __tablename__ = "document"
    id: int = Field(sa_column=Column(ForeignKey("name.id"), primary_key=True, autoincrement=False))
    title: str = Field(sa_type=Text)
    tags: str = Field(sa_type=Text)
    card: str = Field(sa_type=Text)
    words: str = Field(
        default="",
        sa_type=Text().with_variant(TSVECTOR(), "postgresql"),
        sa_column_kwargs={"server_default": text("''")},
    )


class Embedding(Row, table=True):
    """A point for a block's behaviour or a task's examples: 128 float16, little-endian.

    Points of one `space` can be compared.  Ids grow in the order of commits, so that what follows
    the last id seen is all that is new.
    """

    __tablename__ = "embedding"
    id: int | None = Field(default=None, primary_key=True)
    node_id: int = Field(foreign_key="node.id", unique=True)
    space: int = Field(sa_type=BigInteger)
    point: bytes = Field(sa_type=LargeBinary)


class Edge(Row, table=True):
    """The child came from the parent, in some role."""

    __tablename__ = "edge"
    __table_args__ = (
        Index(None, "parent_id", "child_id"),
        {"sqlite_with_rowid": False},
    )
    child_id: int = Field(foreign_key="node.id", primary_key=True)
    parent_id: int = Field(foreign_key="node.id", primary_key=True)
    role: str = Field(sa_type=exact(40), primary_key=True)


class Task(Row, table=True):
    """A task that was worked on; its node's key is the task's digest."""

    __tablename__ = "task"
    id: int = Field(sa_column=Column(ForeignKey("node.id"), primary_key=True, autoincrement=False))
    name: str = Field(sa_type=Text)
    signature: str = Field(sa_type=Text)
    facts: dict[str, Any] = Field(sa_type=JSON)
    created: int = Field(sa_type=BigInteger)


class Run(Row, table=True):
    """One solve, adaptation or training; its node's key is the digest of its record."""

    __tablename__ = "run"
    id: int = Field(sa_column=Column(ForeignKey("node.id"), primary_key=True, autoincrement=False))
    kind: str = Field(sa_type=exact(16))
    status: str = Field(sa_type=exact(16))
    task_id: int | None = Field(default=None, foreign_key="task.id", index=True)
    seed: int | None = Field(default=None, sa_type=BigInteger)
    budget: float | None = None
    seconds: float | None = None
    term: str | None = Field(default=None, sa_type=Text)
    scores: dict[str, Any] = Field(sa_type=JSON)
    facts: dict[str, Any] = Field(sa_type=JSON)
    started: int = Field(sa_type=BigInteger)


class Outbox(Row, table=True):
    """Something that happened, to be told to mirrors such as MLflow."""

    __tablename__ = "outbox"
    __table_args__ = (Index(None, "sent", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(sa_type=exact(40))
    payload: dict[str, Any] = Field(sa_type=JSON)
    created: int = Field(sa_type=BigInteger)
    sent: int | None = Field(default=None, sa_type=BigInteger)
    attempts: int = 0
    error: str | None = Field(default=None, sa_type=Text)


class Verdict(Row, table=True):
    """What came of validating a graph block, by its digest, opset and version of the validator."""

    __tablename__ = "verdict"
    __table_args__ = ({"sqlite_with_rowid": False},)
    digest: str = Field(sa_type=exact(64), primary_key=True)
    opset: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    validator: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    outcome: str = Field(sa_type=exact(16))
    reason: str = Field(sa_type=Text)
    error: str = Field(sa_type=exact(40))
    measured: dict[str, Any] = Field(sa_type=JSON)
    created: int = Field(sa_type=BigInteger)


class Sweep(Row, table=True):
    """One row: how often removals of blobs began and ended, so odd while blobs are removed.

    Removing and publishing take turns by a lock on this row, as `putting` says.
    """

    __tablename__ = "sweep"
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    count: int = 0
