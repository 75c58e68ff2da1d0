"""Tasks from arrays and files: what is drawn, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from metaloom_metalearn import (
    ArrayEpisodes,
    Examples,
    LabelledArrays,
    Task,
    class_digest,
    dark,
    draw_episodes,
    parse_jsonl,
    read_folder,
    read_jsonl,
    read_npz,
    stack_tasks,
)
from metaloom_metalearn.sources import folder
from metaloom_metalearn.testing.task_source import TaskSourceSuite
from metaloom_registry import InvalidTask, MissingExtra, NotFound, ParseError, parse_type


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(counts: tuple[int, ...] = (6, 9, 7, 8)) -> LabelledArrays:
    """Images that all differ, so that each can be known again; class 1 has nine of them."""
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=seeded(0))]
    values = torch.arange(len(labels)) / len(labels)
    return LabelledArrays(
        values[:, None, None, None].expand(-1, 1, 2, 2).contiguous(),
        labels,
        tuple("abcdefghij"[: len(counts)]),
        "test/numbered",
    )


class TestEpisodesFromArrays(TaskSourceSuite):
    @pytest.fixture
    def source(self) -> ArrayEpisodes:
        return ArrayEpisodes(numbered(), ways=3, shots=2, queries=4)


@settings(derandomize=True, max_examples=25, deadline=None)
@given(
    counts=st.lists(st.integers(3, 12), min_size=2, max_size=8),
    shots=st.integers(1, 2),
    seed=st.integers(0, 100),
    data=st.data(),
)
def test_an_episode_has_distinct_classes_and_distinct_examples_of_them(
    counts: list[int], shots: int, seed: int, data: st.DataObject
) -> None:
    ways = data.draw(st.integers(2, len(counts)))
    arrays = numbered(tuple(counts))
    episodes = ArrayEpisodes(arrays, ways, shots, 1).episodes(5, seeded(seed))
    owner = {
        round(float(x[0, 0, 0]), 5): int(y)
        for x, y in zip(arrays.inputs, arrays.labels, strict=True)
    }
    for t in range(5):
        x = torch.cat([episodes.support_x[t], episodes.query_x[t]])[:, 0, 0, 0]
        y = torch.cat([episodes.support_y[t], episodes.query_y[t]])
        assert len(set(x.tolist())) == ways * (shots + 1)
        classes = [{owner[round(v, 5)] for v in x[y == c].tolist()} for c in range(ways)]
        assert all(len(one) == 1 for one in classes)
        assert len(set.union(*classes)) == ways


def test_every_class_and_example_is_drawn_equally_often() -> None:
    arrays = numbered((4, 8, 16))
    episodes = ArrayEpisodes(arrays, 2, 1, 1).episodes(6000, seeded(0))
    drawn = (episodes.support_x[:, :, 0, 0, 0].flatten() * len(arrays)).round().long()
    share = drawn.bincount(minlength=len(arrays)) / 6000
    expected = (2 / 3) / torch.tensor([4.0, 8.0, 16.0])[arrays.labels]
    torch.testing.assert_close(share, expected, atol=0.02, rtol=0)


def test_a_task_carries_the_identity_of_its_classes() -> None:
    task = ArrayEpisodes(numbered(), 2, 1, 1).sample(seeded(4))
    names = task.name.removeprefix("test/numbered: ").split(", ")
    assert task.classes == {class_digest("test/numbered", name) for name in names}
    assert str(task.type) == "image[1,2,2] -> label[2]"


def test_a_split_shares_every_class_and_no_example() -> None:
    arrays = numbered((4, 8, 16))
    first, second = arrays.split(0.5, seeded(1))
    assert first.labels.bincount().tolist() == [2, 4, 8]
    assert second.labels.bincount().tolist() == [2, 4, 8]
    assert not set(first.inputs.flatten().tolist()) & set(second.inputs.flatten().tolist())


def test_only_some_classes_are_counted_anew() -> None:
    arrays = numbered((4, 8, 16))
    kept = arrays.only([2, 0])
    assert kept.names == ("c", "a")
    assert kept.labels.bincount().tolist() == [16, 4]
    assert kept.classes == (arrays.classes[2], arrays.classes[0])


def test_tasks_drawn_one_by_one_are_stacked() -> None:
    class OneByOne:
        def sample(self, generator: torch.Generator) -> Task:
            return ArrayEpisodes(numbered(), 2, 1, 3).sample(generator)

    episodes = draw_episodes(OneByOne(), 3, seeded(0))
    assert episodes.query_x.shape == (3, 6, 1, 2, 2)
    assert episodes.classes == 2


def test_tasks_that_do_not_stack_say_why() -> None:
    x, y = torch.zeros(2, 1, 2, 2), torch.tensor([0, 1])
    type_ = parse_type("image[1,2,2] -> label[2]")
    one = Task(type_, Examples((x,), y), Examples((x,), y), name="one")
    two = Task(type_, Examples((x,), y), Examples((x[:1],), y[:1]), name="two")
    bare = Task(type_, Examples((x,), y), name="bare")
    with pytest.raises(InvalidTask, match=r"'two' has the shape \[1, 1, 2, 2\] where .* \[2, 1"):
        stack_tasks([one, two])
    with pytest.raises(InvalidTask, match="'bare' has no query"):
        stack_tasks([bare])
    with pytest.raises(InvalidTask, match="no task to stack"):
        stack_tasks([])
    plain = Task(parse_type("int -> int"), Examples(((1,),), (2,)), Examples(((1,),), (2,)))
    with pytest.raises(InvalidTask, match="does not take one tensor"):
        stack_tasks([plain])


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (torch.zeros(2, 2, 2), torch.tensor([0, 1]), r"float32\[2, 2, 2\]; wanted are floats"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([0]), r"int64\[1\] for 2 inputs"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([0.0, 1.0]), "wanted is int64"),
        (torch.full((2, 1, 2, 2), torch.nan), torch.tensor([0, 1]), "NaN or infinity in input 0"),
        (torch.zeros(2, 1, 2, 2), torch.tensor([0, 3]), "labels from 0 to 3 for 2 names"),
    ],
)
def test_arrays_that_are_no_data_set_are_refused(
    inputs: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    with pytest.raises(InvalidTask, match=message):
        LabelledArrays(inputs, labels, ("a", "b"), "test/bad")


@pytest.mark.parametrize(
    ("ways", "shots", "queries", "message"),
    [
        (5, 1, 1, "has 4 classes; tasks of 5 ways"),
        (2, 4, 3, "has 6 examples of 'a'; 4 shots and 3 queries need 7"),
        (1, 1, 1, "1 ways, 1 shots and 1 queries make no task"),
        (2, 0, 1, "make no task"),
    ],
)
def test_episodes_that_cannot_be_drawn_are_refused(
    ways: int, shots: int, queries: int, message: str
) -> None:
    with pytest.raises(InvalidTask, match=message):
        ArrayEpisodes(numbered(), ways, shots, queries)


@pytest.mark.parametrize(
    ("lines", "type_"),
    [
        (['{"i": [1, 2], "o": 3}', '{"i": [], "o": 0}'], "list[int] -> int"),
        (['{"input": [1, 2.5], "output": 3}'], "list[float] -> int"),
        (['{"i": 1, "o": true}', '{"i": 2.5, "o": false}'], "float -> bool"),
        (['{"i": "ab", "o": [["a"], []]}'], "text -> list[list[text]]"),
        (['{"inputs": [1, [2]], "o": [1, 2]}'], "int -> list[int] -> list[int]"),
        (['{"type": "list[int] -> float"}', '{"i": [1], "o": 3}'], "list[int] -> float"),
        (['{"i": [], "o": []}'], "list[int] -> list[int]"),
        (
            ['{"type": "vec[2] -> label[3]"}', '{"i": [1, 2], "o": 0}', '{"i": [1, 3], "o": 2}'],
            "vec[2] -> label[3]",
        ),
        (['{"type": "(int, text) -> grid"}', '{"i": [1, "a"], "o": [[1]]}'], "(int, text) -> grid"),
    ],
)
def test_the_type_of_json_lines_is_given_or_inferred(lines: list[str], type_: str) -> None:
    assert str(parse_jsonl("\n".join(lines)).type) == type_


def test_json_lines_become_values_of_their_type_and_a_query() -> None:
    task = parse_jsonl('{"i": [1, 2], "o": 3}\r\n\n{"i": [4], "o": 4, "query": true}\n')
    assert task.support == Examples((((1, 2),),), (3,))
    assert task.query == Examples((((4,),),), (4,))
    vectors = parse_jsonl('{"i": [1, 2], "o": 0}\n{"i": [0, 1], "o": 1}', "vec[2] -> label[2]")
    assert torch.equal(vectors.support.inputs[0], torch.tensor([[1.0, 2.0], [0.0, 1.0]]))  # type: ignore[arg-type]
    assert torch.equal(vectors.support.outputs, torch.tensor([0, 1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "type_", "message"),
    [
        ("", None, "has no example"),
        ("\n \n", None, "has no example"),
        ('{"i": 1, "o": 2}\n{"i": 1, "o":', None, "line 2 of task is not JSON"),
        ('{"i": NaN, "o": 2}', None, "line 1 of task: NaN is not a JSON number"),
        ('{"i": 1e999, "o": 2}', None, "line 1 of task: the number 1e999"),
        ('{"i": 99999999999999999999999, "o": 2}', None, "does not fit into 64 bits"),
        ("[1, 2]", None, "line 1 of task is no object"),
        ('{"i": 1}', None, r"line 1 of task has the keys i; wanted are"),
        ('{"i": 1, "o": 2, "why": 3}', None, "has the keys i, o, why"),
        ('{"i": 1, "input": 1, "o": 2}', None, "has the keys i, input, o"),
        ('{"i": 1, "o": 2}\n{"i": [1], "o": 2}', None, r"line 2 .* \[1\], which is no int"),
        ('{"i": [1, "a"], "o": 2}', None, r"the list \[1, 'a'\], in which 'a' is no int"),
        ('{"i": null, "o": 2}', None, "whose type cannot be inferred"),
        ('{"i": true, "o": 2}', "int -> int", "has True where int is wanted"),
        ('{"i": [1, 2], "o": 2}', "(int, int, int) -> int", r"where \(int, int, int\) is wanted"),
        ('{"i": 1, "o": 2}', "int -> int -> int", "1 input a line, but its type .* takes 2"),
        (
            '{"inputs": [1, 2], "o": 2}\n{"inputs": [1], "o": 2}',
            None,
            "line 2 .* has 1 inputs",
        ),
        ('{"inputs": 1, "o": 2}', None, "inputs that are no list"),
        ('{"i": 1, "o": 2, "query": 1}', None, "query 1; it is true or false"),
        ('{"i": 1, "o": 2, "query": true}', None, "has no support example"),
        ('{"type": "lst[int]"}\n{"i": 1, "o": 2}', None, "line 1 of task: 'lst"),
        ('{"type": 3}\n{"i": 1, "o": 2}', None, "a type that is no text"),
        ('{"i": [1, 2], "o": 0}', "vec[3] -> label[2]", r"shape \[2\] where vec\[3\]"),
        ('{"i": [[1], [2, 3]], "o": 0}', "image[1,2,2] -> label[2]", "numbers in nested lists"),
        ('{"i": [[[9.0]]], "o": 0}', "image[1,1,1] -> label[2]", "pixels from 9 to 9"),
        ('{"i": [1], "o": 2}', "vec[1] -> label[2]", r"has 2 where label\[2\] is wanted"),
        ('{"i": [1], "o": 1}\n{"i": [2], "o": 1}', "vec[1] -> label[2]", "shows one class only, 1"),
        ('{"i": [[1, 2], [3]], "o": 1}', "grid -> int", "rows of one length"),
        ('{"i": [1], "o": 1}', "examples[int,int] -> int", "cannot be read from JSON"),
    ],
)
def test_json_lines_that_are_no_task_are_refused_by_line(
    text: str, type_: str | None, message: str
) -> None:
    with pytest.raises((InvalidTask, ParseError), match=message):
        parse_jsonl(text, type_)


def test_a_file_of_json_lines_is_named_in_its_errors(tmp_path: Path) -> None:
    file = tmp_path / "sum.jsonl"
    file.write_text('{"i": [1], "o": 1}\noops\n')
    with pytest.raises(ParseError, match=r"line 2 of sum\.jsonl is not JSON"):
        read_jsonl(file)
    file.write_bytes(b'{"i": "\xff", "o": 1}\n')
    with pytest.raises(ParseError, match=r"line 1 of sum\.jsonl is not UTF-8"):
        read_jsonl(file)
    with pytest.raises(NotFound, match="cannot be read"):
        read_jsonl(tmp_path / "none.jsonl")
    file.write_text("\n".join(json.dumps({"i": i, "o": 2 * i}) for i in range(3)))
    assert read_jsonl(file).support.outputs == (0, 2, 4)


def test_arrays_of_numpy_are_read(tmp_path: Path) -> None:
    file = tmp_path / "marks.npz"
    images = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3)
    np.savez(file, images=images, labels=np.array([7, 7, 2, 2]))
    arrays = read_npz(file)
    assert arrays.names == ("2", "7")
    assert arrays.labels.tolist() == [1, 1, 0, 0]
    assert str(arrays.type) == "image[1,3,3]"
    assert arrays.dataset == "marks"
    torch.testing.assert_close(arrays.inputs[1, 0, 0, 0], torch.tensor(9 / 255))
    np.savez(
        file, images=np.zeros((2, 5, 3, 3), np.uint8), alphabet=np.array(["x", "x"]),
        character=np.array(["1", "2"]),
    )  # fmt: skip
    characters = read_npz(file, "me/marks")
    assert characters.names == ("x/1", "x/2")
    assert characters.labels.bincount().tolist() == [5, 5]
    np.savez(file, vectors=np.zeros((2, 3)), labels=np.array(["a", "b"]))
    assert str(read_npz(file).type) == "vec[3]"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": np.zeros(3)}, "holds pixels; wanted are images"),
        ({"images": np.zeros((2, 3, 3)), "labels": np.zeros(3, int)}, "for 2 inputs"),
        ({"images": np.zeros((2, 3, 3)), "labels": np.zeros(2)}, "one integer or text"),
        ({"images": np.zeros((2, 3, 3))}, "no labels"),
        ({"images": np.full((2, 3, 3), 7.0), "labels": np.arange(2)}, "pixels from 7 to 7"),
        ({"images": np.full((2, 3, 3), 700), "labels": np.arange(2)}, "beyond 0 to 255"),
        ({"images": np.full((2, 3, 3), np.nan), "labels": np.arange(2)}, "NaN or infinity"),
        ({"images": np.zeros((2, 3)), "labels": np.arange(2)}, r"images \[2, 3\]; wanted is"),
        ({"images": np.zeros((0, 3, 3)), "labels": np.zeros(0, int)}, "at least one"),
        ({"images": np.array(["a", "b"]), "labels": np.arange(2)}, "wanted are numbers"),
    ],
)
def test_arrays_of_numpy_that_are_no_data_set_are_refused(
    arrays: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InvalidTask, match=message):
        read_npz(tmp_path / "bad.npz")


def test_a_pickle_among_the_arrays_is_not_loaded(tmp_path: Path) -> None:
    file = tmp_path / "bad.npz"
    np.savez(file, images=np.array([{"a": 1}], dtype=object), labels=np.arange(1))
    with pytest.raises(InvalidTask, match="no NPZ file that can be read"):
        read_npz(file)
    file.write_bytes(b"not a zip")
    with pytest.raises(InvalidTask, match=r"no NPZ file that can be read; numpy.savez writes one"):
        read_npz(file)
    with pytest.raises(NotFound, match="there is no file"):
        read_npz(tmp_path / "none.npz")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    root = tmp_path / "shapes"
    for name, grey in (("dark", 0), ("light", 255)):
        (root / name).mkdir(parents=True)
        for i in range(3):
            Image.new("L", (9, 6), grey).save(root / name / f"{i}.png")
    (root / "dark" / "notes.txt").write_text("no picture")
    (root / ".hidden").mkdir()
    return root


def test_a_folder_of_pictures_is_read(pictures: Path) -> None:
    arrays = read_folder(pictures, "image[1,4,5]")
    assert arrays.names == ("dark", "light")
    assert arrays.inputs.shape == (6, 1, 4, 5)
    assert arrays.inputs.mean((1, 2, 3)).tolist() == [0, 0, 0, 1, 1, 1]
    inked = read_folder(pictures, "image[3,4,5]", ink=dark)
    assert inked.inputs.mean((1, 2, 3)).tolist() == [1, 1, 1, 0, 0, 0]
    assert inked.dataset == "shapes"


def test_a_picture_is_made_smaller_by_averaging_areas(pictures: Path) -> None:
    picture = Image.new("L", (4, 4), 0)
    picture.paste(255, (0, 0, 1, 1))
    picture.save(pictures / "dark" / "0.png")
    small = read_folder(pictures, "image[1,2,2]").inputs[0, 0]
    torch.testing.assert_close(small, torch.tensor([[64 / 255, 0], [0, 0]]))


def test_folders_that_are_no_data_set_are_refused(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        read_folder(pictures / "none", "image[1,4,4]")
    with pytest.raises(InvalidTask, match=r"not as vec\[4\]"):
        read_folder(pictures, "vec[4]")
    with pytest.raises(InvalidTask, match=r"not as image\[1,h,4\]"):
        read_folder(pictures, "image[1,h,4]")
    with pytest.raises(InvalidTask, match="has 0 folders with pictures"):
        read_folder(pictures / "dark", "image[1,4,4]")
    (pictures / "dark" / "1.png").write_bytes(b"oops")
    with pytest.raises(InvalidTask, match=r"dark/1\.png is no picture"):
        read_folder(pictures, "image[1,4,4]")
    monkeypatch.setattr(folder, "Image", None)
    with pytest.raises(MissingExtra, match=r"metaloom\[images\]"):
        read_folder(pictures, "image[1,4,4]")
