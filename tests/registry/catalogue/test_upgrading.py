"""The upgrade path: what the first Metaloom wrote is found, whole, by this one."""

import json

import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from metaloom_registry import Json, Manifest, Reference, Registry, parse_type
from metaloom_registry.catalogue import Database, migrations
from metaloom_registry.catalogue.schema import revisions
from metaloom_registry.catalogue.search.embeddings import block_embedding
from metaloom_registry.catalogue.search.shapes import canonical, identity, indexed
from metaloom_registry.storage import MemoryBlobs

VALUES = [float(i) for i in range(128)]
FINGERPRINT: Json = {"probe": "metaloom-1", "inputs": [{"kind": "uniform"}], "values": VALUES}
TYPE = parse_type("vec[4] -> vec[2]")


def migrated(url, revision: str):
    """An engine on a database that is at an old revision."""
    engine = create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", migrations.__path__[0])
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def old_rows(manifest: Manifest, revision: str, dialect: str) -> list[tuple[str, dict]]:
    """What an older Metaloom wrote for a block under the name a/old."""
    embedded = revision >= "0004"
    facts = json.dumps({"parameters": 8} | ({} if embedded else {"fingerprint": FINGERPRINT}))
    document = {"id": 1, "title": "a/old", "tags": "", "card": "Ancient Caractères"}
    embedding = []
    if embedded:
        words = "a old ancient caracteres" if dialect == "postgresql" else ""
        document["words"] = words
        known = block_embedding(manifest)
        assert known is not None
        space, point = known
        embedding = [("embedding", {"id": 1, "node_id": 1, "space": space, "point": point})]
    name = {"id": 1, "key": "a/old", "part": "old", "spelling": "a/old", "created": 1}
    listed = canonical(TYPE)
    signature = str(listed)
    return [
        ("namespace", {"id": 1, "key": "a", "spelling": "a", "created": 1}),
        ("name", {**name, "namespace_id": 1, "newest": 1, "current": 1}),
        ("node", {"id": 1, "kind": "block", "key": manifest.digest.hex}),
        ("signature", {"id": 1, "digest": identity(listed), "text": signature, "arity": 1}),
        *(
            ("signature_part", {"signature_id": 1, "position": p, "head": head, "key": key})
            for p, head, key in indexed(listed)
        ),
        ("block", {"id": 1, "kind": "graph", "signature_id": 1, "signature": signature, "size": 0,
                   "facts": facts, "uses": 0, "current": True, "created": 1}),
        ("version", {"id": 1, "name_id": 1, "number": 1, "block_id": 1, "created": 1}),
        ("document", document),
        *embedding,
    ]  # fmt: skip


@pytest.mark.parametrize("revision", revisions.REVISIONS[:-1])
def test_what_an_older_metaloom_wrote_is_found_by_this_one(database, revision):
    url = database("template1")
    manifest = Manifest("graph", TYPE, facts={"parameters": 8, "fingerprint": FINGERPRINT})
    engine = migrated(url, revision)
    with engine.begin() as connection:
        dialect = engine.dialect.name
        for table, row in old_rows(manifest, revision, dialect):
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
        if dialect == "postgresql":
            numbered = ("namespace", "name", "node", "signature", "version")
            for table in (*numbered, *(("embedding",) if revision >= "0004" else ())):
                sequence = f"pg_get_serial_sequence('{table}', 'id')"
                connection.execute(text(f"SELECT setval({sequence}, 1)"))
    engine.dispose()

    registry = Registry(MemoryBlobs(), Database(url), validate=lambda *_: None)
    old = registry.resolve("a/old")
    assert old.digest == manifest.digest
    assert [hit.version for hit in registry.search("ancient caracteres").items] == [old]
    assert [hit.version for hit in registry.search(takes=parse_type("vec[4]")).items] == [old]
    twin = Manifest("graph", TYPE, facts={"fingerprint": FINGERPRINT}, card="newer")
    new = registry.publish("a/new", twin, {})
    near = registry.finder.search(like=Reference.parse("a/new"))
    assert [hit.version for hit in near.items] == [old]
    assert near.items[0].why == ("behaves like a/new@1: 0 apart",)
    assert new.digest != old.digest
    with registry.database.reading() as session:
        facts = session.connection().execute(text("SELECT facts FROM block ORDER BY id")).scalars()
        known = [json.loads(f) if isinstance(f, str) else f for f in facts]
    assert known == [{"parameters": 8}, {}]
    registry.close()


def test_each_step_leaves_the_revision_it_is_named_after(database):
    url = database("template1")
    for revision in revisions.REVISIONS:
        engine = migrated(url, revision)
        with engine.connect() as connection:
            assert MigrationContext.configure(connection).get_current_revision() == revision
        engine.dispose()
