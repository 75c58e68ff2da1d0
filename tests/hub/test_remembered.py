"""The memory of a program on disk."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaloom import Hub
from metaloom.remembered import MAX_BYTES, remembered
from metaloom_registry import (
    Corrupt,
    EvaluationError,
    FrozenDict,
    InvalidTask,
    StorageError,
    parse_type,
)

INT = parse_type("int")
COUNTER = "(lam (lam (let (lists/add 1 (recall $1)) (remember $0 $0 $2))))"
TYPE = "store[int] -> text -> (int, store[int])"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "memory.json"


def document(path: Path, **changes: Any) -> None:
    """A good file, but for these changes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": 1, "type": "int", "value": 3, **changes}))


def test_a_memory_begins_empty_and_holds_what_was_last_remembered(path: Path) -> None:
    type_ = parse_type("dict[(text, int), set[int]]")
    with remembered(path, type_) as memory:
        assert memory.value == FrozenDict()
        memory.value = FrozenDict({("\u00e9\U0001f40e", 1): frozenset({3, 1})})
    with remembered(path, type_) as memory:
        assert memory.value == {("\u00e9\U0001f40e", 1): {1, 3}}
    assert json.loads(path.read_text())["value"] == [[["\u00e9\U0001f40e", 1], [1, 3]]]


def test_an_error_leaves_the_memory_as_it_was(path: Path) -> None:
    document(path)

    def failing() -> None:
        with remembered(path, INT) as memory:
            memory.value = 4
            raise EvaluationError("no value")

    with pytest.raises(EvaluationError):
        failing()
    with remembered(path, INT) as memory:
        assert memory.value == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "holds no memory of this program: .* is not JSON"),
        (b"\x80\x04K\x03.", "is not UTF-8"),
        (b"[]", "holds no memory of this program"),
        (b"{}", "holds no memory of this program: 'format'"),
        (b'{"format": 2, "type": "int", "value": 3}', "its format is 2, and this version reads 1"),
        (b'{"format": 1, "type": "text", "value": "a"}', "holds text, and the "),
        (b'{"format": 1, "type": "int", "value": "a"}', "the value holds 'a', which is no int"),
        (b'{"format": 1, "type": "int", "value": 9223372036854775808}', "fit into 64 bits"),
    ],
)  # fmt: skip
def test_a_damaged_memory_is_told_and_kept(path: Path, content: bytes, message: str) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(Corrupt, match=message) as caught, remembered(path, INT):
        raise AssertionError("it was opened")
    assert "move it away to begin with an empty one" in str(caught.value)
    assert path.read_bytes() == content


def test_a_memory_that_is_too_large_is_neither_read_nor_written(path: Path) -> None:
    text = parse_type("text")
    path.parent.mkdir()
    path.write_bytes(b" " * (MAX_BYTES + 1))
    with (
        pytest.raises(StorageError, match="more than the 1048576 bytes allowed"),
        remembered(path, text),
    ):
        raise AssertionError("it was opened")
    document(path, type="text", value="short")
    with (
        pytest.raises(StorageError, match=r"would take .* it is as it was"),
        remembered(path, text) as memory,
    ):
        memory.value = "a" * (MAX_BYTES + 1)
    with remembered(path, text) as memory:
        assert memory.value == "short"


def test_a_folder_that_cannot_be_written_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.parent.write_text("a file, no folder")
    with (
        pytest.raises(StorageError, match=r"cannot be written: .*; give another file"),
        remembered(path, INT),
    ):
        raise AssertionError("it was opened")
    path.parent.unlink()
    document(path)

    def read_only(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    with (
        pytest.raises(StorageError, match="Read-only file system; it is as it was"),
        remembered(path, INT) as memory,
    ):
        memory.value = 4
    assert json.loads(path.read_text())["value"] == 3


def test_a_memory_that_another_process_keeps_is_waited_for_and_then_told(path: Path) -> None:
    document(path)
    with Path(f"{path}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (
            pytest.raises(StorageError, match="another process has kept the memory"),
            remembered(path, INT, patience=0.02),
        ):
            raise AssertionError("it was opened")
    with remembered(path, INT) as memory:
        assert memory.value == 3


def counted(path: Path, times: int) -> None:
    for _ in range(times):
        with remembered(path, INT) as memory:
            memory.value += 1


def test_no_call_of_two_processes_is_lost(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=counted, args=(path, 40)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    with remembered(path, INT) as memory:
        assert memory.value == 80


def test_a_program_remembers_from_one_process_to_the_next(hub: Hub) -> None:
    hub.publish("me/counter", COUNTER, TYPE)
    assert [hub.run("me/counter", "a"), hub.run("me/counter", "b")] == [1, 2]
    code = (
        "from metaloom import Hub\n"
        f"with Hub.open({str(hub.home)!r}) as hub:\n    print(hub.run('me/counter', 'c'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "3"


def test_a_program_may_be_given_its_memory(hub: Hub) -> None:
    hub.publish("me/counter", COUNTER, TYPE)
    assert hub.solution("me/counter").predict(3, "a") == (4, 4)


def test_a_memory_may_lie_where_one_says(hub: Hub, path: Path) -> None:
    hub.publish("me/counter", COUNTER, TYPE)
    assert hub.run("me/counter", "a", memory=path) == 1
    assert hub.run("me/counter", "a", memory=path) == 2
    assert hub.run("me/counter", "a") == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda hub: hub.run("me/counter"), "takes 1 input beside its memory, not 0"),
        (lambda hub: hub.run("me/counter", 3), "holds '3', which is no text"),
        (lambda hub: hub.run("lists/add", 1, 2, memory="m.json"), "has no memory; leave the file"),
        (lambda hub: hub.run("me/open", 1), "leaves open what it remembers; publish it"),
    ],
)
def test_a_wrong_call_is_told(hub: Hub, call: Callable[[Hub], Any], message: str) -> None:
    hub.publish("me/counter", COUNTER, TYPE)
    hub.publish("me/open", "(lam (lam (remember $0 (recall $1) $1)))")
    with pytest.raises(InvalidTask, match=message):
        call(hub)
