"""Who may publish where, what is deprecated or gone for good, and how often blobs were removed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def exact(length: int) -> Any:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "owner",
        sa.Column("namespace_id", sa.Integer, nullable=False),
        sa.Column("key", exact(64), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("namespace_id", "key", name=op.f("pk_owner")),
        sa.ForeignKeyConstraint(
            ["namespace_id"], ["namespace.id"], name=op.f("fk_owner_namespace_id")
        ),
        sqlite_with_rowid=False,
    )
    sweep = op.create_table(
        "sweep",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep")),
    )
    op.bulk_insert(sweep, [{"id": 1, "count": 0}])
    op.add_column("block", sa.Column("tombstone", sa.Text, nullable=True))
    op.add_column("version", sa.Column("deprecation", sa.Text, nullable=True))
    op.add_column("version", sa.Column("successor", exact(300), nullable=True))
