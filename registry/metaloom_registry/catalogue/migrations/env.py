"""What Alembic runs: the migrations, on the connection that `database.py` hands over."""

from alembic import context
from sqlalchemy import Connection

from metaloom_registry.catalogue.schema.tables import METADATA

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
