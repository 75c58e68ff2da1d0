"""The sender: what it does when MLflow is there, down, missing, off or busy."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from metaloom.lineage.sender import LOCK_FILE, Receiver, Sender, tracking_uri
from metaloom_registry.catalogue.publish.outbox import Message


class Waiting:
    """An outbox in memory."""

    def __init__(self, count: int) -> None:
        self.messages = [Message(i + 1, "publish", {"digest": str(i)}) for i in range(count)]
        self.failures: list[tuple[int, str]] = []

    def pending(self, limit: int, after: tuple[int, int] = (0, 0)) -> Sequence[Message]:
        found = sorted((m.attempts, m.id) for m in self.messages if (m.attempts, m.id) > after)
        return [next(m for m in self.messages if m.id == id_) for _, id_ in found[:limit]]

    def mark_sent(self, ids: Sequence[int]) -> None:
        self.messages = [m for m in self.messages if m.id not in ids]

    def mark_failed(self, ids: Sequence[int], error: str) -> None:
        self.failures += [(i, error) for i in ids]
        self.messages = [
            replace(m, attempts=m.attempts + 1) if m.id in ids else m for m in self.messages
        ]

    def waiting(self) -> int:
        return len(self.messages)


class Recorder:
    """A receiver that refuses the digests it is told to refuse."""

    def __init__(self, refuses: Sequence[str] = ()) -> None:
        self.refuses = refuses
        self.received: list[str] = []

    def send(self, kind: str, payload: Mapping[str, Any]) -> None:
        if payload["digest"] in self.refuses:
            raise RuntimeError("the server is on fire\nat line 7")
        self.received.append(payload["digest"])


def _sender(home: Path, outbox: Waiting, receiver: Receiver) -> Sender:
    return Sender(home, outbox, "sqlite:///x", connect=lambda uri, folder: receiver)


def test_all_that_waits_is_sent_once_and_in_order(tmp_path: Path) -> None:
    outbox, receiver = Waiting(250), Recorder()
    report = _sender(tmp_path, outbox, receiver).flush()
    assert (report.sent, report.left, report.problem) == (250, 0, None)
    assert receiver.received == [str(i) for i in range(250)]


def test_a_refused_message_stays_and_stops_no_other(tmp_path: Path) -> None:
    outbox, receiver = Waiting(5), Recorder(refuses=["1", "3"])
    report = _sender(tmp_path, outbox, receiver).flush()
    assert (report.sent, report.left) == (3, 2)
    assert report.problem == "message 4 (publish) was refused: RuntimeError: the server is on fire"
    assert [m.id for m in outbox.messages] == [2, 4]
    assert outbox.failures == [(i, "RuntimeError: the server is on fire") for i in (2, 4)]


def test_a_server_that_refuses_all_is_left_alone_after_three(tmp_path: Path) -> None:
    outbox, receiver = Waiting(1000), Recorder(refuses=[str(i) for i in range(1000)])
    report = _sender(tmp_path, outbox, receiver).flush()
    assert (report.sent, report.left) == (0, 1000)


def test_what_was_not_sent_is_sent_later(tmp_path: Path) -> None:
    outbox = Waiting(2)
    _sender(tmp_path, outbox, Recorder(refuses=["0", "1"])).flush()
    receiver = Recorder()
    assert _sender(tmp_path, outbox, receiver).flush().sent == 2
    assert receiver.received == ["0", "1"]


def test_a_server_that_does_not_open_is_reported_and_not_raised(tmp_path: Path) -> None:
    def down(uri: str, home: Path) -> Receiver:
        raise ConnectionError("refused")

    report = Sender(tmp_path, Waiting(1), "http://localhost:1", connect=down).flush()
    assert report.left == 1
    assert report.problem == (
        "MLflow at http://localhost:1 does not open: ConnectionError: refused; look that it runs, "
        "and that METALOOM_MLFLOW_URI (or MLFLOW_TRACKING_URI) is its address"
    )


def test_a_password_in_the_address_is_not_told(tmp_path: Path) -> None:
    def down(uri: str, home: Path) -> Receiver:
        raise ConnectionError(f"401 from {uri}")

    report = Sender(tmp_path, Waiting(1), "http://me:secret@host:1/x", connect=down).flush()
    assert report.problem is not None
    assert "secret" not in report.problem
    assert "http://me:***@host:1/x" in report.problem


def test_messages_that_no_server_takes_hold_up_no_other(tmp_path: Path) -> None:
    outbox, receiver = Waiting(9), Recorder(refuses=["0", "1", "2"])
    sender = _sender(tmp_path, outbox, receiver)
    assert sender.flush().sent == 0
    report = sender.flush()
    assert (report.sent, report.left) == (6, 3)
    assert receiver.received == [str(i) for i in range(3, 9)]
    assert [m.attempts for m in outbox.messages] == [2, 2, 2]


def test_two_senders_do_not_send_at_once(tmp_path: Path) -> None:
    with (tmp_path / LOCK_FILE).open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        outbox, receiver = Waiting(1), Recorder()
        report = _sender(tmp_path, outbox, receiver).flush()
    assert (report.sent, report.left, report.problem) == (0, 1, "another process is sending")
    assert _sender(tmp_path, outbox, receiver).flush().sent == 1


def test_who_waits_sends_when_the_other_sender_has_ended(tmp_path: Path) -> None:
    outbox, receiver = Waiting(1), Recorder()
    held = (tmp_path / LOCK_FILE).open("ab")
    fcntl.flock(held, fcntl.LOCK_EX)
    other = threading.Timer(0.3, held.close)
    other.start()
    assert _sender(tmp_path, outbox, receiver).flush(wait=60).sent == 1
    other.join()


def test_an_empty_outbox_opens_no_connection(tmp_path: Path) -> None:
    def never(uri: str, home: Path) -> Receiver:
        raise AssertionError("nothing is to be sent")

    assert Sender(tmp_path, Waiting(0), "sqlite:///x", connect=never).flush().problem is None


def test_a_mirror_that_is_off_keeps_the_messages(tmp_path: Path) -> None:
    sender = Sender(tmp_path, Waiting(1), None)
    assert sender.flush().left == 1
    assert not sender.flush_behind()


def test_where_mlflow_is_comes_from_the_environment_or_is_the_library(tmp_path: Path) -> None:
    assert tracking_uri(tmp_path, {}) == f"sqlite:///{tmp_path}/mlflow.db"
    assert tracking_uri(tmp_path, {"MLFLOW_TRACKING_URI": ""}) == f"sqlite:///{tmp_path}/mlflow.db"
    assert tracking_uri(tmp_path, {"MLFLOW_TRACKING_URI": "http://a"}) == "http://a"
    both = {"MLFLOW_TRACKING_URI": "http://a", "METALOOM_MLFLOW_URI": "http://b"}
    assert tracking_uri(tmp_path, both) == "http://b"
    assert tracking_uri(tmp_path, {"METALOOM_MLFLOW_URI": "OFF"}) is None


WITHOUT_MLFLOW = """
import sys
from pathlib import Path
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "mlflow":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
from metaloom.lineage.sender import Sender
class Outbox:
    def waiting(self):
        return 1
    def pending(self, limit, after=(0, 0)):
        raise AssertionError
    def mark_sent(self, ids):
        raise AssertionError
report = Sender(Path(sys.argv[1]), Outbox(), "sqlite:///x").flush()
assert report.left == 1, report
assert report.problem == (
    "No module named 'mlflow'; install it with `pip install \\"metaloom[mlflow]\\"`"
), report
"""


def test_a_missing_mlflow_is_reported_with_the_extra_that_brings_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MLFLOW, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
