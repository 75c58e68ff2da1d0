"""The rows that publishing a library would write, written in bulk; a test compares the two.

Blocks are made and written a chunk at a time, each chunk in one transaction, so a load that was
broken off goes on where it was.  Indexes and triggers stand all the while; documents wait for the
end and are written in order, which is what the index of words of SQLite is quick with.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import URL, create_engine, make_url, text

from benchmarks.contract import progress
from benchmarks.scale.blocks import CHUNK, PRIMITIVES, Made, Plan, family_classes
from metaloom_registry import parse_type
from metaloom_registry.catalogue.schema.database import Database
from metaloom_registry.catalogue.search import shapes
from metaloom_registry.catalogue.search.embeddings import block_space, packed
from metaloom_registry.catalogue.search.words import plain_words
from metaloom_registry.digest import Digest
from metaloom_registry.graph.opset import OPSET
from metaloom_registry.types import uncurried
from metaloom_registry.workers import VALIDATOR

COLUMNS = {
    "namespace": ("id", "key", "spelling", "created"),
    "name": ("id", "namespace_id", "key", "part", "spelling", "newest", "current", "created"),
    "node": ("id", "kind", "key"),
    "primitive": ("id", "uses"),
    "signature": ("id", "digest", "text", "arity"),
    "signature_part": ("signature_id", "position", "head", "key"),
    "class_set": ("id", "digest"),
    "class_set_member": ("digest", "class_set_id"),
    "block": (
        "id", "kind", "signature_id", "signature", "licence", "size", "facts", "class_set_id",
        "uses", "current", "created",
    ),
    "tag": ("tag", "block_id"),
    "edge": ("child_id", "parent_id", "role"),
    "embedding": ("id", "node_id", "space", "point"),
    "version": ("id", "name_id", "number", "block_id", "created"),
    "document": ("id", "title", "tags", "card", "words"),
    "outbox": ("id", "kind", "payload", "created", "attempts"),
    "verdict": (
        "digest", "opset", "validator", "outcome", "reason", "error", "measured", "created",
    ),
}  # fmt: skip
"""The tables that a publish writes, each after those it refers to."""

SEQUENCES = (
    "namespace",
    "name",
    "node",
    "signature",
    "class_set",
    "embedding",
    "version",
    "outbox",
)

Rows = dict[str, list[Sequence[Any]]]


class Numbering:
    """The ids that a publish would give, block by block in the order of the plan."""

    def __init__(self, plan: Plan, now: int, plain: bool) -> None:
        self.plan = plan
        self.now = now
        self.plain = plain
        """Whether documents carry their words: in PostgreSQL."""
        self.nodes: list[int] = []
        self.next_node = 1
        self.next_embedding = 1
        self.primitives: dict[int, int] = {}
        self.namespaces: dict[int, int] = {}
        self.names: dict[int, int] = {}
        self.given: dict[int, int] = defaultdict(int)
        self.types: dict[str, tuple[int, list[str]]] = {}
        self.signatures: dict[str, int] = {}
        self.families: list[int] = []
        self.class_sets: dict[int, int] = {}
        self.primitive_uses = [0] * len(PRIMITIVES)
        for number in range(plan.blocks):
            for primitive in plan.requires_of(number):
                self.primitive_uses[primitive] += 1

    def rows(self, number: int, block: Made | None) -> Rows:
        """The rows of the next block; only numbered, where they are written already."""
        found: Rows = defaultdict(list)
        requires = self.plan.requires_of(number)
        for primitive in sorted(requires, key=lambda p: str(PRIMITIVES[p])):
            self._primitive(primitive, found)
        node = self._node()
        self.nodes.append(node)
        graph = bool(self.plan.graph[number])
        listed = self.plan.graph_types if graph else self.plan.program_types
        signature = listed[self.plan.type[number]]
        type_id, arguments = self._signature(signature, found)
        parents = self.plan.parents_of(number)
        class_set = self._class_set(number, parents, found)
        name = int(self.plan.name[number])
        name_id = self._name(name, found)
        self.given[name] += 1
        embedding = self.next_embedding
        self.next_embedding += graph
        if block is None:
            return {}
        current = int(self.plan.last[name]) == number
        facts = {key: fact for key, fact in block.facts.items() if key != "fingerprint"}
        found["node"].append((node, "block", block.digest))
        found["block"].append(
            (
                node, block.kind, type_id, signature, block.licence,
                sum(map(len, block.contents.values())), json.dumps(facts), class_set,
                int(self.plan.uses[number]), current, self.now,
            )
        )  # fmt: skip
        found["tag"] = [(tag, node) for tag in block.tags]
        role = "adapted-from" if graph else "uses"
        found["edge"] = [(node, self.nodes[parent], role) for parent in parents]
        found["edge"] += [(node, self.primitives[p], "requires") for p in requires]
        if graph:
            fingerprint = block.facts["fingerprint"]
            point = packed(fingerprint)
            space = block_space(fingerprint, arguments)
            found["embedding"].append((embedding, node, space, point))
            found["verdict"].append(
                (block.digest, OPSET, VALIDATOR, "accepted", "", "Refused", "{}", self.now)
            )
        version = self.given[name]
        found["version"].append((number + 1, name_id, version, node, self.now))
        if current:
            texts = (block.name, " ".join(block.tags), block.card)
            found["document"].append((name_id, *texts, plain_words(*texts) if self.plain else ""))
        message = {
            "reference": f"{block.name}@{version}",
            "digest": f"sha256:{block.digest}",
            "kind": block.kind,
            "signature": signature,
            "parents": [{"digest": f"sha256:{d}", "role": role} for d, role in block.parents],
            "parts": [],
            "solve": None,
        }
        found["outbox"].append((number + 1, "publish", json.dumps(message), self.now, 0))
        return found

    def _node(self) -> int:
        self.next_node += 1
        return self.next_node - 1

    def _primitive(self, primitive: int, found: Rows) -> None:
        if primitive not in self.primitives:
            node = self.primitives[primitive] = self._node()
            found["node"].append((node, "primitive", str(PRIMITIVES[primitive])))
            found["primitive"].append((node, self.primitive_uses[primitive]))

    def _signature(self, text: str, found: Rows) -> tuple[int, list[str]]:
        known = self.types.get(text)
        if known is not None:
            return known
        type_ = shapes.canonical(parse_type(text))
        digest = shapes.identity(type_)
        parts = shapes.indexed(type_)
        id_ = self.signatures.get(digest)
        if id_ is None:
            id_ = self.signatures[digest] = len(self.signatures) + 1
            found["signature"].append((id_, digest, str(type_), len(uncurried(type_)[0])))
            found["signature_part"] += [(id_, *part) for part in parts]
        self.types[text] = id_, [key for position, _, key in sorted(parts) if position >= 0]
        return self.types[text]

    def _class_set(self, number: int, parents: Iterable[int], found: Rows) -> int | None:
        """The id of the classes that a block and its parents saw; families as a set of bits."""
        family = int(self.plan.family[number])
        bits = 0 if family < 0 else 1 << family
        for parent in parents:
            bits |= self.families[parent]
        self.families.append(bits)
        if not bits:
            return None
        if bits not in self.class_sets:
            id_ = self.class_sets[bits] = len(self.class_sets) + 1
            seen = [family for family in range(bits.bit_length()) if bits >> family & 1]
            members = sorted(digest for family in seen for digest in family_classes(family))
            found["class_set"].append((id_, Digest.of("\n".join(members).encode()).hex))
            found["class_set_member"] += [(member, id_) for member in members]
        return self.class_sets[bits]

    def _name(self, name: int, found: Rows) -> int:
        known = self.names.get(name)
        if known is not None:
            return known
        spelling = self.plan.name_of(name)
        space, part = spelling.split("/")
        namespace = int(self.plan.namespace[name])
        if namespace not in self.namespaces:
            self.namespaces[namespace] = len(self.namespaces) + 1
            found["namespace"].append((self.namespaces[namespace], space.lower(), space, self.now))
        id_ = self.names[name] = len(self.names) + 1
        newest = int(self.plan.versions[name])
        row = (id_, self.namespaces[namespace], spelling.lower(), part.lower(), spelling)
        found["name"].append((*row, newest, newest, self.now))
        return id_


def load(plan: Plan, url: str | URL, now: int) -> None:
    """Write the rows of a plan into a database, which is migrated first; `now` in microseconds."""
    url = make_url(url)
    Database(url).close()
    target: SqliteTarget | PostgresTarget
    if url.get_backend_name() == "sqlite":
        target = SqliteTarget(url.database or "")
    else:
        target = PostgresTarget(url)
    with closing(target):
        _load(plan, target, now)


def _load(plan: Plan, target: SqliteTarget | PostgresTarget, now: int) -> None:
    numbering = Numbering(plan, now, target.plain)
    digests = target.begin()
    done = len(digests)
    if done >= plan.blocks:  # and some published on top of them
        return
    for number in range(done):
        numbering.rows(number, None)
    for start in range(done, plan.blocks, CHUNK):
        stop = min(start + CHUNK, plan.blocks)
        rows: Rows = defaultdict(list)
        for block in plan.make(start, stop, digests):
            for table, some in numbering.rows(block.number, block).items():
                rows[table] += some
        target.write(rows)
        if stop % (10 * CHUNK) == 0 or stop == plan.blocks:
            progress(f"{stop:,} blocks written")
    target.end()


class SqliteTarget:
    """A SQLite file that rows are written into, unsafe against a loss of power."""

    plain = False

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA synchronous = OFF")
        self.connection.execute("PRAGMA cache_size = -400000")

    def begin(self) -> list[str]:
        """The digests of the blocks that are there already, in order."""
        self.connection.execute(
            "CREATE TABLE IF NOT EXISTS waiting (id INTEGER PRIMARY KEY, title, tags, card, words)"
        )
        rows = self.connection.execute("SELECT key FROM node WHERE kind = 'block' ORDER BY id")
        return [row[0] for row in rows]

    def write(self, rows: Rows) -> None:
        """Write the rows of some blocks."""
        self.connection.execute("BEGIN")
        for table, columns in COLUMNS.items():
            marks = ", ".join("?" * len(columns))
            into = "waiting" if table == "document" else table
            insert = f"INSERT INTO {into} ({', '.join(columns)}) VALUES ({marks})"
            self.connection.executemany(insert, rows[table])
        self.connection.execute("COMMIT")

    def end(self) -> None:
        """Write the documents, and let the database know what it holds."""
        self.connection.execute("BEGIN")
        self.connection.execute(
            "INSERT INTO document (id, title, tags, card, words) SELECT * FROM waiting ORDER BY id"
        )
        self.connection.execute("DROP TABLE waiting")
        self.connection.execute("COMMIT")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()


class PostgresTarget:
    """A database of PostgreSQL that rows are copied into."""

    plain = True

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(url)
        self.connection: Any = self.engine.raw_connection()

    def begin(self) -> list[str]:
        """The digests of the blocks that are there already, in order."""
        with closing(self.connection.cursor()) as cursor:
            cursor.execute("SET synchronous_commit = off")
            cursor.execute("SELECT key FROM node WHERE kind = 'block' ORDER BY id")
            return [row[0] for row in cursor.fetchall()]

    def write(self, rows: Rows) -> None:
        """Write the rows of some blocks."""
        with closing(self.connection.cursor()) as cursor:
            for table, columns in COLUMNS.items():
                with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                    for row in rows[table]:
                        copy.write_row(row)
        self.connection.commit()

    def end(self) -> None:
        """Let what is published next be numbered on, and the database know what it holds."""
        with closing(self.connection.cursor()) as cursor:
            for table in SEQUENCES:
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
                )
        self.connection.commit()
        with self.engine.connect() as connection:  # as its server does by itself, a minute later
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            alone.execute(text("VACUUM (ANALYZE)"))

    def close(self) -> None:
        """Let go of the connection."""
        self.connection.close()
        self.engine.dispose()
