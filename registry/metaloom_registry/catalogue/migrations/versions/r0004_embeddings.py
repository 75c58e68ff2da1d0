"""What blocks are near to: embeddings, out of the facts; and an index of words for PostgreSQL."""

import json

import sqlalchemy as sa
from alembic import op

from metaloom_registry.catalogue.search.embeddings import block_space, packed
from metaloom_registry.catalogue.search.words import plain_words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BATCH = 1_000


def upgrade() -> None:
    op.create_table(
        "embedding",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("node_id", sa.Integer, nullable=False),
        sa.Column("space", sa.BigInteger, nullable=False),
        sa.Column("point", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_embedding")),
        sa.UniqueConstraint("node_id", name=op.f("uq_embedding_node_id")),
        sa.ForeignKeyConstraint(["node_id"], ["node.id"], name=op.f("fk_embedding_node_id")),
    )
    fingerprints(op.get_bind())
    empty = sa.text("''")
    op.add_column("document", sa.Column("words", sa.Text, nullable=False, server_default=empty))
    if op.get_bind().dialect.name == "postgresql":
        words(op.get_bind())
        op.execute(
            "CREATE INDEX document_words_gin ON document "
            "USING gin (array_to_tsvector(string_to_array(words, ' ')))"
        )


def fingerprints(connection: sa.Connection) -> None:
    """Make embeddings of the fingerprints of all blocks, in the order of publishing."""
    after = 0
    while rows := connection.execute(
        sa.text(
            "SELECT id, signature_id, facts FROM block WHERE id > :after ORDER BY id LIMIT :batch"
        ),
        {"after": after, "batch": BATCH},
    ).all():
        after = rows[-1][0]
        for id_, signature, text in rows:
            facts = json.loads(text) if isinstance(text, str) else text
            fingerprint = facts.pop("fingerprint", None)
            point = packed(fingerprint)
            if fingerprint is None:
                continue
            if point is not None:
                parts = connection.execute(
                    sa.text(
                        "SELECT key FROM signature_part WHERE signature_id = :signature "
                        "AND position >= 0 ORDER BY position"
                    ),
                    {"signature": signature},
                ).scalars()
                connection.execute(
                    sa.text(
                        "INSERT INTO embedding (node_id, space, point) VALUES (:id, :space, :point)"
                    ),
                    {"id": id_, "space": block_space(fingerprint, parts), "point": point},
                )
            connection.execute(
                sa.text("UPDATE block SET facts = :facts WHERE id = :id"),
                {"id": id_, "facts": json.dumps(facts)},
            )


def words(connection: sa.Connection) -> None:
    """Fill the words of all documents in."""
    after = 0
    while rows := connection.execute(
        sa.text(
            "SELECT id, title, tags, card FROM document WHERE id > :after ORDER BY id LIMIT :batch"
        ),
        {"after": after, "batch": BATCH},
    ).all():
        after = rows[-1][0]
        connection.execute(
            sa.text("UPDATE document SET words = :words WHERE id = :id"),
            [{"id": id_, "words": plain_words(*texts)} for id_, *texts in rows],
        )
