"""The seals of blocks: who signed what."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def exact(length: int) -> Any:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "seal",
        sa.Column("block_id", sa.Integer, nullable=False),
        sa.Column("key", exact(64), nullable=False),
        sa.Column("signed", sa.BigInteger, nullable=False),
        sa.Column("signature", exact(128), nullable=False),
        sa.PrimaryKeyConstraint("block_id", "key", name=op.f("pk_seal")),
        sa.ForeignKeyConstraint(["block_id"], ["block.id"], name=op.f("fk_seal_block_id")),
        sqlite_with_rowid=False,
    )
