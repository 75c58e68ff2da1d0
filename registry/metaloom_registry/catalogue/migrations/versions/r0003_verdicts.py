"""What came of validating graph blocks, so that each is validated once."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def exact(length: int) -> Any:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "verdict",
        sa.Column("digest", exact(64), nullable=False),
        sa.Column("opset", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("validator", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("outcome", exact(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("error", exact(40), nullable=False),
        sa.Column("measured", sa.JSON, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", "opset", "validator", name=op.f("pk_verdict")),
        sqlite_with_rowid=False,
    )
