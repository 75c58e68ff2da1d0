"""Programs with a memory, and programs as Python, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def script(path: Path, *inputs: Any) -> Any:
    """What an exported program prints, run by Python alone."""
    arguments = [sys.executable, "-I", "-S", str(path), *map(json.dumps, inputs)]
    return json.loads(subprocess.run(arguments, capture_output=True, check=True).stdout)


def test_a_program_with_a_memory_is_solved_run_and_exported(
    metaloom: Command, tmp_path: Path, home: Path
) -> None:
    task = tmp_path / "new.jsonl"
    task.write_text(
        '{"type": "store[set[text]] -> text -> (bool, store[set[text]])"}\n'
        '{"i": ["a", "b", "a", "c"], "o": [true, true, false, true]}\n'
        '{"i": ["x", "x"], "o": [true, false]}\n'
    )
    done = metaloom("solve", task, "--budget", "30s", "--publish", "me/new")
    assert done.code == 0, done.err
    told = [metaloom("run", "me/new", json.dumps(name)).json for name in ("a", "b", "a")]
    assert told == [True, True, False]
    mine = tmp_path / "mine.json"
    assert metaloom("run", "me/new", '"a"', "--memory", mine).json is True
    assert json.loads(mine.read_text())["value"] == ["a"]
    mine.write_text("{")
    assert (
        "holds no memory of this program" in metaloom("run", "me/new", '"a"', "--memory", mine).err
    )
    assert metaloom("export", "me/new", "--to", tmp_path / "new.py").code == 0
    assert script(tmp_path / "new.py", ["a"], "b") == [True, ["a", "b"]]


@pytest.mark.parametrize(
    ("term", "type_", "inputs", "wanted"),
    [
        ("(lam (sum (values $0)))", None, [{"a": 1, "b": 2}], 3),
        ("(lam (counts $0))", "list[int] -> dict[int, int]", [[3, 3, 1]], {"3": 2, "1": 1}),
        ("(lam (get 0 3 $0))", "dict[int, int] -> int", [{"3": 7}], 7),
        ("(lam (to_set $0))", "list[int] -> set[int]", [[3, 1, 3]], [1, 3]),
        ("(lam (lam (union $0 $1)))", "set[int] -> set[int] -> set[int]", [[1], [2]], [1, 2]),
        ("(lam (lam (reachable $1 $0)))", "text -> graph[text] -> set[text]",
         ["a", {"a": ["b"], "b": [], "c": ["a"]}], ["a", "b"]),
        ("(lam (transpose $0))", "graph[int] -> graph[int]",
         [{"1": {"2": 7}, "2": []}], {"1": {}, "2": {"1": 7}}),
        ("(lam (counts $0))", "list[(int, bool)] -> dict[(int, bool), int]",
         [[[1, True], [1, True]]], [[[1, True], 2]]),
        ("(lam (keys $0))", "dict[(int, bool), int] -> list[(int, bool)]",
         [[[[1, True], 5]]], [[1, True]]),
    ],
)  # fmt: skip
def test_a_program_is_exported_as_python_that_reads_and_writes_its_types(
    metaloom: Command, tmp_path: Path, term: str, type_: str | None, inputs: Any, wanted: Any
) -> None:
    said = [] if type_ is None else ["--signature", type_]
    assert metaloom("publish", "me/mine", term, *said).code == 0
    assert metaloom("run", "me/mine", *map(json.dumps, inputs)).json == wanted
    done = metaloom("export", "me/mine", "--to", tmp_path / "mine.py")
    assert done.code == 0, done.err
    assert script(tmp_path / "mine.py", *inputs) == wanted


def test_what_is_no_program_is_not_exported_as_python(metaloom: Command, tmp_path: Path) -> None:
    done = metaloom("export", "lists/add", "--to", tmp_path / "add.py")
    assert done.code == 1
    assert "is a primitive; publish a program that uses it" in done.err
    assert not (tmp_path / "add.py").exists()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"type": "dict[list[int], int] -> int"}\n{"i": {}, "o": 1}', "keys of the type list"),
        ('{"type": "graph[text] -> int"}\n{"i": {"a": ["b"]}, "o": 1}', "which is no node of it"),
        ('{"i": {"a": 1, "b": []}, "o": 1}', "a dictionary holds one type"),
        ('{"i": {"a": 99999999999999999999}, "o": 1}', "does not fit into 64 bits"),
        ('{"type": "int -> int", "allow": ["all"]}\n{"i": 1, "o": 1}', "may allow recursion"),
        ('{"i": {"a": 1, "a": 2}, "o": 1}', "the key 'a' appears twice"),
    ],
)  # fmt: skip
def test_bad_tasks_are_told_by_line(
    metaloom: Command, tmp_path: Path, lines: str, message: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(lines)
    done = metaloom("solve", path, "--budget", "1s")
    assert done.code == 1
    assert message in done.err
