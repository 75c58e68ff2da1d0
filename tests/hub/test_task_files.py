"""Tasks from files of every form."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from metaloom import read_task
from metaloom_registry import InvalidTask, MetaloomError, NotFound


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_lines_objects_pairs_and_cells_say_the_same(tmp_path: Path) -> None:
    lines = '{"i": [1, 2], "o": 3}\n{"i": [4], "o": 4}\n'
    tasks = [
        read_task(_write(tmp_path, "a.jsonl", lines)),
        read_task(_write(tmp_path, "b.json", '[{"i": [1, 2], "o": 3}, {"i": [4], "o": 4}]')),
        read_task(_write(tmp_path, "c.json", "[[[1, 2], 3], [[4], 4]]")),
        read_task(_write(tmp_path, "d.json", '{"examples": [[[1, 2], 3], [[4], 4]]}')),
        read_task(_write(tmp_path, "e.csv", 'xs,sum\n"[1, 2]",3\n[4],4\n')),
    ]
    for task in tasks:
        assert str(task.type) == "list[int] -> int"
        assert task.support.inputs == (((1, 2), (4,)),)
        assert task.support.outputs == (3, 4)


def test_a_type_may_be_given_or_said(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.json", '{"type": "int -> float", "examples": [[1, 2], [2, 4]]}')
    assert str(read_task(path).type) == "int -> float"
    assert str(read_task(path, "float -> float").type) == "float -> float"


def test_what_a_search_may_use_is_said_in_every_form(tmp_path: Path) -> None:
    said = '{"allow": ["recursion"], "examples": [[1, 2], [2, 4]]}'
    assert read_task(_write(tmp_path, "a.json", said)).allows == {"recursion"}
    lines = '{"allow": ["recursion"]}\n{"i": 1, "o": 2}'
    assert read_task(_write(tmp_path, "a.jsonl", lines)).allows == {"recursion"}
    assert read_task(_write(tmp_path, "b.json", "[[1, 2], [2, 4]]")).allows == frozenset()


def test_a_task_with_a_memory_is_read_from_one_object(tmp_path: Path) -> None:
    said = """{"type": "store[int] -> text -> (int, store[int])",
               "examples": [{"i": ["a", "b"], "o": [1, 2]}]}"""
    task = read_task(_write(tmp_path, "a.json", said))
    assert str(task.memory) == "int"
    assert str(task.type) == "list[text] -> list[int]"


def test_a_table_of_texts_and_several_inputs_is_read(tmp_path: Path) -> None:
    path = _write(tmp_path, "names.csv", "first,last,both\nAda,Byron,Ada Byron\nJo,Re,Jo Re\n")
    task = read_task(path)
    assert str(task.type) == "text -> text -> text"
    assert task.support.outputs == ("Ada Byron", "Jo Re")


def test_labelled_images_are_one_classification_task(tmp_path: Path) -> None:
    images = np.zeros((6, 4, 4), dtype=np.uint8)
    np.savez(tmp_path / "digits.npz", images=images, labels=np.array([3, 7, 3, 7, 9, 9]))
    task = read_task(tmp_path / "digits.npz")
    assert str(task.type) == "image[1,4,4] -> label[3]"
    assert len(task.support) == 6
    assert len(task.classes) == 3


BAD = {
    "missing.jsonl": (None, "there is no file"),
    "a.txt": ("x", "is of no known form"),
    "a.json": ("3", "holds no list of examples"),
    "b.json": ("{", "is not JSON"),
    "c.json": ('[[1, 2], [1, "x"]]', "line 2 of c.json"),
    "d.json": ('{"allow": "recursion", "examples": [[1, 2]]}', "d.json allows 'recursion'; write"),
    "e.json": ('{"allow": ["dreams"], "examples": [[1, 2]]}', "it may allow recursion"),
    "a.csv": ("only\n1\n", "needs a line of names"),
    "c.csv": ("1,2,3\n4,5,9\n", "line 1 of c.csv holds values where the names"),
    "b.csv": ("a,b\n1,2,3\n", "line 2 of b.csv has 3 cells"),
    "a.jsonl": ("", "has no example"),
    "b.jsonl": ('{"i": 1, "o": NaN}', "NaN"),
    "c.jsonl": ('{"i": [1, true], "o": 1}', "line 1 of c.jsonl"),
    "d.jsonl": ('{"i": 99999999999999999999, "o": 1}', "64 bits"),
    "a.npz": ("no zip", "no NPZ file"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_task_is_said_with_the_place(tmp_path: Path, name: str) -> None:
    text, said = BAD[name]
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(MetaloomError, match=said):
        read_task(path)


def test_one_class_is_no_task(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", images=np.zeros((2, 4, 4), np.uint8), labels=np.array([1, 1]))
    with pytest.raises(InvalidTask, match="one class"):
        read_task(tmp_path / "one.npz")


def test_a_folder_of_pictures_needs_a_type(tmp_path: Path) -> None:
    with pytest.raises(InvalidTask, match=r"image\[1,28,28\]"):
        read_task(tmp_path)
    with pytest.raises(NotFound):
        read_task(tmp_path / "none")


def test_a_task_of_plain_values_is_read_without_torch(tmp_path: Path) -> None:
    (tmp_path / "evens.jsonl").write_text('{"i": [1, 2], "o": [2]}\n')
    (tmp_path / "sums.csv").write_text("a,b,sum\n1,2,3\n4,5,9\n")
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, metaloom; metaloom.read_task('evens.jsonl'); "
            "metaloom.read_task('sums.csv'); print('torch' in sys.modules)",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "False"
