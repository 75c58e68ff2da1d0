"""Indexes of uses that hold the kind and the type: no block is looked up to be passed over."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BEFORE = (("signature_id", "current", "uses", "id"), ("current", "uses", "id"))
AFTER = (
    ("signature_id", "current", "uses", "id", "kind"),
    ("current", "uses", "id", "kind", "signature_id"),
)


def upgrade() -> None:
    for before in BEFORE:
        op.drop_index(op.f(f"ix_block_{'_'.join(before)}"), "block")
    for after in AFTER:
        op.create_index(op.f(f"ix_block_{'_'.join(after)}"), "block", list(after))
