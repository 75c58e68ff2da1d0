"""Names, versions and blocks; types; text; lineage, tasks and runs; the outbox."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NO_ROWID = {"sqlite_with_rowid": False}


def exact(length: int) -> Any:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}"))


def primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def upgrade() -> None:
    names()
    blocks()
    versions()
    lineage()
    text()


def names() -> None:
    op.create_table(
        "namespace",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("key", exact(96), nullable=False),
        sa.Column("spelling", exact(96), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        primary("namespace", "id"),
        unique("namespace", "key"),
    )
    op.create_table(
        "name",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("namespace_id", sa.Integer, nullable=False),
        sa.Column("key", exact(193), nullable=False),
        sa.Column("part", exact(96), nullable=False),
        sa.Column("spelling", exact(193), nullable=False),
        sa.Column("newest", sa.Integer, nullable=False),
        sa.Column("current", sa.Integer, nullable=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        primary("name", "id"),
        unique("name", "key"),
        foreign("name", "namespace_id", "namespace"),
    )
    index("name", "namespace_id")
    index("name", "part")


def blocks() -> None:
    op.create_table(
        "node",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("kind", exact(16), nullable=False),
        sa.Column("key", exact(210), nullable=False),
        primary("node", "id"),
        unique("node", "key"),
    )
    op.create_table(
        "signature",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("digest", exact(64), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("arity", sa.Integer, nullable=False),
        primary("signature", "id"),
        unique("signature", "digest"),
    )
    op.create_table(
        "signature_part",
        sa.Column("signature_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("head", exact(40), nullable=False),
        sa.Column("key", exact(400), nullable=False),
        primary("signature_part", "signature_id", "position"),
        foreign("signature_part", "signature_id", "signature"),
        **NO_ROWID,
    )
    index("signature_part", "key", "position", "signature_id")
    index("signature_part", "head", "position", "signature_id")
    op.create_table(
        "class_set",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("digest", exact(64), nullable=False),
        primary("class_set", "id"),
        unique("class_set", "digest"),
    )
    op.create_table(
        "class_set_member",
        sa.Column("digest", exact(64), nullable=False),
        sa.Column("class_set_id", sa.Integer, nullable=False),
        primary("class_set_member", "digest", "class_set_id"),
        foreign("class_set_member", "class_set_id", "class_set"),
        **NO_ROWID,
    )
    index("class_set_member", "class_set_id")
    op.create_table(
        "block",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("kind", exact(16), nullable=False),
        sa.Column("signature_id", sa.Integer, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("licence", sa.String(200), nullable=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("class_set_id", sa.Integer, nullable=True),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        primary("block", "id"),
        foreign("block", "id", "node"),
        foreign("block", "signature_id", "signature"),
        foreign("block", "class_set_id", "class_set"),
    )
    index("block", "class_set_id")
    index("block", "signature_id", "current", "uses", "id")
    index("block", "current", "uses", "id")
    op.create_table(
        "primitive",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("uses", sa.Integer, nullable=False),
        primary("primitive", "id"),
        foreign("primitive", "id", "node"),
    )
    op.create_table(
        "tag",
        sa.Column("tag", exact(64), nullable=False),
        sa.Column("block_id", sa.Integer, nullable=False),
        primary("tag", "tag", "block_id"),
        foreign("tag", "block_id", "block"),
        **NO_ROWID,
    )
    index("tag", "block_id")


def versions() -> None:
    op.create_table(
        "version",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("block_id", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("yanked", sa.BigInteger, nullable=True),
        sa.Column("yank_reason", sa.Text, nullable=True),
        primary("version", "id"),
        unique("version", "name_id", "number"),
        unique("version", "name_id", "block_id"),
        foreign("version", "name_id", "name"),
        foreign("version", "block_id", "block"),
    )
    index("version", "block_id")
    op.create_table(
        "alias",
        sa.Column("name_id", sa.Integer, nullable=False),
        sa.Column("alias", exact(63), nullable=False),
        sa.Column("version_id", sa.Integer, nullable=False),
        primary("alias", "name_id", "alias"),
        foreign("alias", "name_id", "name"),
        foreign("alias", "version_id", "version"),
        **NO_ROWID,
    )
    index("alias", "version_id")
    op.create_table(
        "alias_event",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name_id", sa.Integer, nullable=False),
        sa.Column("alias", exact(63), nullable=False),
        sa.Column("version_id", sa.Integer, nullable=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        primary("alias_event", "id"),
        foreign("alias_event", "name_id", "name"),
        foreign("alias_event", "version_id", "version"),
    )
    index("alias_event", "name_id")


def lineage() -> None:
    op.create_table(
        "edge",
        sa.Column("child_id", sa.Integer, nullable=False),
        sa.Column("parent_id", sa.Integer, nullable=False),
        sa.Column("role", exact(40), nullable=False),
        primary("edge", "child_id", "parent_id", "role"),
        foreign("edge", "child_id", "node"),
        foreign("edge", "parent_id", "node"),
        **NO_ROWID,
    )
    index("edge", "parent_id", "child_id")
    op.create_table(
        "task",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        primary("task", "id"),
        foreign("task", "id", "node"),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("kind", exact(16), nullable=False),
        sa.Column("status", exact(16), nullable=False),
        sa.Column("task_id", sa.Integer, nullable=True),
        sa.Column("seed", sa.BigInteger, nullable=True),
        sa.Column("budget", sa.Float, nullable=True),
        sa.Column("seconds", sa.Float, nullable=True),
        sa.Column("term", sa.Text, nullable=True),
        sa.Column("scores", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        primary("run", "id"),
        foreign("run", "id", "node"),
        foreign("run", "task_id", "task"),
    )
    index("run", "task_id")
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("kind", exact(40), nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("sent", sa.BigInteger, nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=True),
        primary("outbox", "id"),
    )
    index("outbox", "sent", "id")


def text() -> None:
    op.create_table(
        "document",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("card", sa.Text, nullable=False),
        primary("document", "id"),
        foreign("document", "id", "name"),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE document_words USING fts5("
            "title, tags, card, content='document', content_rowid='id', "
            "tokenize='unicode61 remove_diacritics 2', prefix='2 3')"
        )
        insert = "INSERT INTO document_words(rowid, title, tags, card) VALUES "
        delete = (
            "INSERT INTO document_words(document_words, rowid, title, tags, card) "
            "VALUES ('delete', old.id, old.title, old.tags, old.card);"
        )
        new = "(new.id, new.title, new.tags, new.card);"
        for event, body in (
            ("INSERT", insert + new),
            ("DELETE", delete),
            ("UPDATE", delete + insert + new),
        ):
            op.execute(
                f"CREATE TRIGGER document_words_{event.lower()} AFTER {event} ON document "
                f"BEGIN {body} END"
            )
