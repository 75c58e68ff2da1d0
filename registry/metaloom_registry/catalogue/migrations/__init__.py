"""The migrations of the catalogue, which Alembic finds in this folder."""
