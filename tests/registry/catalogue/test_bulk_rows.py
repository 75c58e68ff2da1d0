"""The bulk loader of the benchmark: the rows that publishing writes, and no others."""

import json
from xml.etree import ElementTree

import pytest
from benchmarks.scale.blocks import Plan, plan_of_names
from benchmarks.scale.picture import growth
from benchmarks.scale.rows import COLUMNS, load
from sqlalchemy import text

from metaloom_registry import Registry
from metaloom_registry.catalogue.schema.tables import METADATA
from metaloom_registry.workers import Verdict

NOW = 1_700_000_000.0
BLOCKS = 120


class Accepting:
    """Finds nothing wrong with any block."""

    def validate(self, trial) -> Verdict:
        return Verdict("accepted")

    def close(self) -> None:
        pass


def rows_of(registry: Registry) -> dict[str, list]:
    """Every row of every table, JSON read."""
    found = {}
    with registry.database.reading() as session:
        for table in METADATA.sorted_tables:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            rows = session.connection().execute(text(f"SELECT {columns} FROM {table.name}"))
            found[table.name] = sorted((tuple(map(plain, row)) for row in rows), key=repr)
    return found


def plain(value):
    if isinstance(value, str) and value[:1] == "{":
        value = json.loads(value)
    return sorted(value.items()) if isinstance(value, dict) else value


@pytest.fixture
def plan() -> Plan:
    return Plan(BLOCKS, 3)


def test_the_rows_of_the_bulk_loader_are_those_of_publishing(plan, new_registry):
    published, loaded = (new_registry(pool=Accepting(), now=lambda: NOW) for _ in range(2))
    digests: list[str] = []
    for block in plan.make(0, BLOCKS, digests):
        published.publish(block.name, block.manifest(), block.contents)
    load(plan, loaded.database.url, int(NOW * 1_000_000))
    wanted, found = rows_of(published), rows_of(loaded)
    for table in wanted:
        assert found[table] == wanted[table], table
    assert all(found[table] for table in COLUMNS), "each kind of row is there to be compared"
    words = plan.words[0], digests[0]
    assert loaded.search(words[0], limit=50) == published.search(words[0], limit=50)


def test_a_load_that_was_broken_off_goes_on_where_it_was(plan, new_registry, monkeypatch):
    whole, broken = new_registry(), new_registry()
    monkeypatch.setattr("benchmarks.scale.blocks.CHUNK", 50)
    monkeypatch.setattr("benchmarks.scale.rows.CHUNK", 50)
    load(plan, whole.database.url, 1)
    make = plan.make

    def failing(start, stop, digests):
        if start == 100:
            raise KeyboardInterrupt
        return make(start, stop, digests)

    monkeypatch.setattr(plan, "make", failing)
    with pytest.raises(KeyboardInterrupt):
        load(plan, broken.database.url, 1)
    monkeypatch.setattr(plan, "make", make)
    load(plan, broken.database.url, 1)
    load(plan, broken.database.url, 1)
    assert rows_of(broken) == rows_of(whole)


@pytest.mark.parametrize("names", [1, 20, 500])
def test_a_plan_of_names_has_as_many(names):
    found = plan_of_names(names, 3)
    assert names <= found.names <= 1.05 * names + 2
    assert len(set(found.name)) == found.names


def test_a_block_of_the_benchmark_has_the_bytes_of_its_manifest(plan):
    for block in plan.make(0, BLOCKS, []):
        assert block.manifest().to_bytes() == block.data


def test_growth_is_drawn_with_each_cost_and_size():
    costs = {1_000: {"exact": 1.0, "publish (median)": 60.0}, 10_000: {"exact": 1.5}}
    drawn = ElementTree.fromstring(growth({**costs, 100_000: {"exact": 2.0, "type": 8.0}}))
    words = [element.text for element in drawn.iter() if element.text]
    assert {"1,000", "10,000", "100,000", "exact: 2.0", "type: 8.0"} <= set(words)
