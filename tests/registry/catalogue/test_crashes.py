"""Many processes and killed ones: the old state or the new one, and nothing lost."""

import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metaloom_registry import Registry

PRELUDE = """
import json, os, signal, sys, time
from pathlib import Path
from metaloom_registry import Manifest, Parent, Registry, parse_type

def publish(registry, name, content, **fields):
    files = {"content": content}
    manifest = Manifest.of("graph", parse_type("int -> int"), files, **fields)
    return registry.publish(name, manifest, files)

def accept(manifest, files): pass
"""

PUBLISHER = """
folder, number = Path(sys.argv[1]), int(sys.argv[2])
(folder / f"ready{number}").touch()
while len(list(folder.glob("ready*"))) < 3:
    time.sleep(0.001)
registry = Registry.open(folder / "hub", validate=accept)
for i in range(5):
    own = publish(registry, "team/shared", f"{number} {i}".encode(), card=f"by {number}")
    publish(registry, "team/same", f"{i}".encode())
    publish(registry, f"team{i}/p{number}", b"x", parents=(Parent(own.digest),))
"""

KILLED = """
import shutil
from sqlalchemy import event

folder = Path(sys.argv[1])

def step(n):
    # Publish the second version and be killed at the n-th write to the disk or the database.
    registry = Registry.open(folder / f"hub{n}", validate=accept)
    left = n
    def tick(*arguments, **options):
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
    for name in ("fsync", "replace", "mkdir", "open"):
        real = getattr(os, name)
        setattr(os, name, lambda *a, real=real, **o: (tick(), real(*a, **o))[1])
    event.listen(registry.database.engine, "before_cursor_execute", tick)
    event.listen(registry.database.engine, "commit", tick)
    publish(registry, "a/x", b"second", card="second")
    return left

first = Registry.open(folder / "first", validate=accept)
publish(first, "a/x", b"first", card="first")
first.close()
n, states = 0, []
while True:
    shutil.copytree(folder / "first", folder / f"hub{n}")
    child = os.fork()
    if child == 0:
        os._exit(1 if step(n) > 0 else 0)
    _, status = os.waitpid(child, 0)
    states.append(os.WIFSIGNALED(status))
    if not os.WIFSIGNALED(status):
        break
    n += 1
print(json.dumps(states))
"""


def start(program: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PRELUDE + program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_three_processes_on_one_new_folder_lose_nothing(tmp_path: Path):
    running = [start(PUBLISHER, tmp_path, number) for number in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    registry = Registry.open(tmp_path / "hub")
    shared = registry.versions("team/shared")
    assert [version.number for version in shared] == list(range(15, 0, -1))
    contents = {registry.read(version.digest, "content").decode() for version in shared}
    assert contents == {f"{number} {i}" for number in range(3) for i in range(5)}
    assert len(registry.versions("team/same")) == 5
    assert len(registry.names("team", limit=1000).items) == 2 + 15
    assert all(version.uses == 1 for version in shared)
    assert registry.outbox.waiting() == 15 + 5 + 15
    assert registry.verify().sound


def test_a_new_catalogue_that_another_process_begins_to_write_is_waited_for(tmp_path: Path):
    other = sqlite3.connect(tmp_path / "catalogue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # SQLite refuses the change to WAL at once in this state
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(Registry.open, tmp_path)
        with pytest.raises(TimeoutError):
            opened.result(timeout=0.3)
        other.close()
        assert opened.result(timeout=60).names("", limit=1).items == ()


def test_a_publish_killed_at_any_step_leaves_the_old_or_the_new_state(tmp_path: Path):
    process = start(KILLED, tmp_path)
    output, _ = process.communicate(timeout=100)
    killed = json.loads(output)
    assert killed[:-1] == [True] * (len(killed) - 1)
    assert len(killed) > 20, "the publish has many steps"
    after = [_state_after(tmp_path / f"hub{n}") for n in range(len(killed))]
    assert after == sorted(after), "once the new state is there it stays"
    assert after[0] == 1
    assert after[-1] == 2


def _state_after(folder: Path) -> int:
    """The version that stands after a crash, once it is certain that all is sound."""
    registry = Registry.open(folder, validate=lambda *_: None)
    number = registry.resolve("a/x").number
    assert number in (1, 2)
    assert len(registry.versions("a/x")) == number == registry.outbox.waiting()
    words = "first" if number == 1 else "second"
    assert [hit.version.number for hit in registry.search(words).items] == [number]
    assert registry.verify().sound
    manifest = registry.manifest(registry.resolve("a/x@1").digest)
    again = registry.publish("a/x", manifest, {"content": b"first"})
    assert again.number == 1, "and it can be published to as before"
    registry.close()
    return number


@pytest.mark.parametrize("left_over", ["tmp/half", "sha256/ab"])
def test_what_a_killed_process_left_in_the_store_is_in_nobodys_way(registry, publish, left_over):
    path = registry.blobs.folder / left_over
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if left_over.endswith("ab") else path.write_bytes(b"half a blob")
    publish("a/x")
    assert registry.verify().sound
