"""Tasks and labelled vectors from tables and texts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from datasets import Dataset

from metaloom_metalearn import (
    ArrayEpisodes,
    embed_texts,
    hashed_ngrams,
    read_table,
    table_task,
)
from metaloom_metalearn.testing.task_source import TaskSourceSuite
from metaloom_registry import InvalidTask, MissingExtra, NotFound, ParseError

COLUMNS = {
    "length": [5.1, 4.9, 6.3, 5.8, 7.1, 6.5],
    "colour": ["red", "blue", "red", "red", "blue", "blue"],
    "kind": ["a", "a", "b", "b", "c", "c"],
}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["csv", "parquet", "dataset", "mapping"])
def table(request: pytest.FixtureRequest, tmp_path: Path):
    """The same table in every form there is."""
    data = Dataset.from_dict(COLUMNS)
    if request.param == "csv":
        data.to_csv(str(tmp_path / "table.csv"), index=False)
        return tmp_path / "table.csv"
    if request.param == "parquet":
        data.to_parquet(str(tmp_path / "table.parquet"))
        return tmp_path / "table.parquet"
    return data if request.param == "dataset" else COLUMNS


def test_every_form_of_a_table_gives_the_same_vectors(table) -> None:
    arrays = read_table(table, "kind", dataset="test/kinds")
    assert arrays.names == ("a", "b", "c")
    assert arrays.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert str(arrays.type) == "vec[3]"
    lengths = torch.tensor(COLUMNS["length"])
    wanted = (lengths - lengths.mean()) / lengths.std(correction=0)
    torch.testing.assert_close(arrays.inputs[:, 0], wanted)
    blue = torch.tensor([0.0, 1, 0, 0, 1, 1])
    torch.testing.assert_close(arrays.inputs[:, 1], blue)


def test_every_form_of_a_table_is_a_task(table) -> None:
    task = table_task(table, output="length", inputs=["colour", "kind"])
    assert str(task.type) == "text -> text -> float"
    assert task.support.inputs[0][:2] == ("red", "blue")
    assert task.support.outputs[0] == 5.1
    assert str(table_task(table).type) == "float -> text -> text"


class TestEpisodesFromATable(TaskSourceSuite):
    @pytest.fixture
    def source(self) -> ArrayEpisodes:
        rows = torch.randn(30, 2, generator=seeded(0)).tolist()
        columns = {"point": rows, "kind": [i % 3 for i in range(30)]}
        return ArrayEpisodes(read_table(columns, "kind"), 3, 2, 4)


def test_a_vector_in_a_column_is_many_features() -> None:
    arrays = read_table({"x": [[1.0, 2.0], [3.0, 6.0]], "y": [0, 1]}, "y")
    torch.testing.assert_close(arrays.inputs, torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": [1.0, None], "y": [0, 1]}, "column x of table has None in row 2"),
        ({"x": [1.0, float("nan")], "y": [0, 1]}, "has nan in row 2; wanted are numbers"),
        ({"x": [[1.0], [1.0, 2.0]], "y": [0, 1]}, "lists of several lengths"),
        ({"x": [1.0], "y": [0, 1]}, r"columns of \[1, 2\] values"),
        ({"x": [1.0, 2.0], "z": [0, 1]}, "no column y; it has x, z"),
        ({"y": [0, 1]}, "no column of features"),
        ({}, "wanted is at least one column"),
    ],
)
def test_a_table_that_is_none_is_refused(columns, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        read_table(columns, "y")


def test_files_that_are_no_tables_say_so(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        read_table(tmp_path / "none.csv", "y")
    (tmp_path / "a.xls").write_text("x")
    with pytest.raises(InvalidTask, match=r"a\.xls is no table; wanted is a \.csv"):
        read_table(tmp_path / "a.xls", "y")
    (tmp_path / "a.csv").write_text("a,b\n1,2,3\n")
    with pytest.raises(InvalidTask, match=r"line 2 of a\.csv has 3 cells and its first 2"):
        read_table(tmp_path / "a.csv", "b")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\n1")
    with pytest.raises(ParseError, match="no CSV in UTF-8"):
        read_table(tmp_path / "b.csv", "b")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(ParseError, match="no Parquet that can be read"):
        read_table(tmp_path / "a.parquet", "b")
    monkeypatch.setattr("metaloom_metalearn.sources.table.parquet", None)
    with pytest.raises(MissingExtra, match=r"metaloom\[datasets\]"):
        read_table(tmp_path / "a.parquet", "b")


def test_a_task_of_a_table_fits_its_type() -> None:
    columns = {"a": [1, 2], "b": [3, 4], "sum": [4, 6]}
    assert table_task(columns).support.outputs == (4, 6)
    with pytest.raises(InvalidTask, match="2 columns of inputs and int -> int takes 1"):
        table_task(columns, type_="int -> int")
    with pytest.raises(InvalidTask, match="no column total; it has a, b, sum"):
        table_task(columns, "total")
    with pytest.raises(InvalidTask, match="row 2 of table"):
        table_task({"a": [1, "x"], "b": [1, 2]})


def test_texts_become_vectors_that_tell_them_apart() -> None:
    texts = [f"{what} number {i}" for what in ("invoice", "complaint", "praise") for i in range(8)]
    labels = [text.split()[0] for text in texts]
    arrays = embed_texts(texts, labels, "test/mail", chunk=7)
    assert arrays.names == ("complaint", "invoice", "praise")
    episode = ArrayEpisodes(arrays, 3, 1, 5).episodes(1, seeded(0))
    near = (episode.query_x[0] @ episode.support_x[0].T).argmax(1)
    assert (near == episode.query_y[0]).double().mean() > 0.9
    torch.testing.assert_close(arrays.inputs.norm(dim=1), torch.ones(24))


def test_an_embedding_of_ones_own_is_taken_and_checked() -> None:
    arrays = embed_texts(["a", "bb"], [0, 1], "test/own", lambda some: torch.ones(len(some), 3))
    assert str(arrays.type) == "vec[3]"
    with pytest.raises(InvalidTask, match=r"embedding of 2 texts of test/own is \[2\]"):
        embed_texts(["a", "bb"], [0, 1], "test/own", lambda some: torch.ones(len(some)))
    with pytest.raises(InvalidTask, match="1 texts and 2 labels"):
        embed_texts(["a"], [0, 1], "test/own")


def test_hashed_runs_of_characters_do_not_depend_on_the_process() -> None:
    vector = hashed_ngrams(8, (2,))(["ab"])
    torch.testing.assert_close(vector.square().sum(), torch.tensor(1.0))
    assert (
        vector.nonzero().flatten().tolist()
        == hashed_ngrams(8, (2,))(["AB"]).nonzero().flatten().tolist()
    )
