"""The words of documents as PostgreSQL searches them: kept, where each search made them anew."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.drop_index("document_words_gin", "document")
    op.alter_column("document", "words", server_default=None)
    words = "array_to_tsvector(string_to_array(words, ' '))"
    op.alter_column("document", "words", type_=TSVECTOR(), postgresql_using=words)
    op.alter_column("document", "words", server_default=sa.text("''"))
    # What is published is in the index at once: a list of what is not is read by every search.
    op.execute(
        "CREATE INDEX document_words_gin ON document USING gin (words) WITH (fastupdate = off)"
    )
    op.execute("ANALYZE document")
