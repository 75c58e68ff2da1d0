"""The sender: takes what waits in the outbox to MLflow, one sender a library at a time.

Nothing here raises for MLflow's sake.  Where MLflow is missing, down or refuses a message, the
message stays in the outbox, the report says why, and the next sender tries again.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from metaloom.home import without_password

OFF = "off"
LOCK_FILE = "mlflow.lock"
LOG_FILE = "mlflow.log"
CALM = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Settings of MLflow for a process that is ours: no telemetry, few words, no patience."""

BATCH = 100
PATIENCE = 3
"""Messages in a row that may fail before the sender takes MLflow to be down."""


class Message(Protocol):
    """Something MLflow should know: its kind and plain JSON; see `Mirror.send`."""

    @property
    def id(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def payload(self) -> Mapping[str, Any]: ...

    @property
    def attempts(self) -> int: ...


class Outbox(Protocol):
    """Messages that wait to be sent: the registry's."""

    def pending(self, limit: int, after: tuple[int, int] = (0, 0)) -> Sequence[Message]:
        """At most `limit` messages not yet sent, by attempts and id, beyond these."""
        ...

    def waiting(self) -> int:
        """How many messages are not yet sent."""
        ...

    def mark_sent(self, ids: Sequence[int]) -> None: ...

    def mark_failed(self, ids: Sequence[int], error: str) -> None: ...


class Receiver(Protocol):
    """What takes a message; sending one twice changes nothing."""

    def send(self, kind: str, payload: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True)
class Sent:
    """What one flush did; `problem` says why messages are left, where any are."""

    sent: int
    left: int
    problem: str | None = None


def tracking_uri(home: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """Where MLflow's data is: METALOOM_MLFLOW_URI, MLFLOW_TRACKING_URI, or SQLite in the library.

    None where METALOOM_MLFLOW_URI is `off`.
    """
    given = environment.get("METALOOM_MLFLOW_URI") or environment.get("MLFLOW_TRACKING_URI")
    if not given:
        return f"sqlite:///{home / 'mlflow.db'}"
    return None if given.strip().lower() == OFF else given


def connect(uri: str, home: Path) -> Receiver:
    """The experiment `metaloom` of the tracking server at `uri`. Raises where MLflow does."""
    mlflow = import_module("mlflow")
    mirror = import_module("metaloom.lineage.mirror")
    client = mlflow.MlflowClient(tracking_uri=uri)
    receiver: Receiver = mirror.Mirror(client, artifact_root(uri, home))
    return receiver


def artifact_root(uri: str, home: Path) -> str | None:
    """Where a new experiment keeps its files: in the library, or where the server says."""
    return (home / "mlflow-artifacts").as_uri() if uri.startswith("sqlite:") else None


class Sender:
    """Sends the messages of one library's outbox to the tracking server at `uri`, or nowhere."""

    def __init__(
        self,
        home: Path,
        outbox: Outbox,
        uri: str | None,
        connect: Callable[[str, Path], Receiver] = connect,
    ) -> None:
        self.home = home
        self.outbox = outbox
        self.uri = uri
        self._connect = connect
        self._process: subprocess.Popen[bytes] | None = None

    def flush(self, wait: float = 0.0) -> Sent:
        """Send all that waits; another process that is at it has so many seconds to end."""
        if self.uri is None:
            return self._report(0, "the mirror is off (METALOOM_MLFLOW_URI)")
        if not self.outbox.waiting():
            return Sent(0, 0)
        with _only_one(self.home / LOCK_FILE, wait) as alone:
            if not alone:
                return self._report(0, "another process is sending")
            try:
                receiver = self._connect(self.uri, self.home)
            except ImportError as error:
                return self._report(0, f'{error}; install it with `pip install "metaloom[mlflow]"`')
            except Exception as error:
                shown = without_password(self.uri)
                said = _line(error).replace(self.uri, shown)
                return self._report(
                    0,
                    f"MLflow at {shown} does not open: {said}; look that it runs, and that "
                    "METALOOM_MLFLOW_URI (or MLFLOW_TRACKING_URI) is its address",
                )
            return self._report(*self._send_all(receiver))

    def flush_behind(self) -> bool:
        """Start a process of its own that flushes, and do not wait for it; whether it started.

        It writes to the library's folder alone, and what it says to `mlflow.log` there.
        """
        if self.uri is None or (self._process is not None and self._process.poll() is None):
            return False
        if find_spec("mlflow") is None or not self.outbox.waiting():
            return False
        environment = {**CALM, **os.environ, "METALOOM_MLFLOW_URI": self.uri}
        with (self.home / LOG_FILE).open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "metaloom.lineage", str(self.home)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=environment,
            )
        return True

    def _send_all(self, receiver: Receiver) -> tuple[int, str | None]:
        """How many were sent, and why the last one that was refused was.

        What was refused before comes last, so that it never keeps new messages from being sent.
        """
        sent, in_a_row, problem = 0, 0, None
        last = (0, 0)
        refused: set[int] = set()
        while messages := self.outbox.pending(BATCH, last):
            for message in messages:
                last = (message.attempts, message.id)
                if message.id in refused:
                    continue
                try:
                    receiver.send(message.kind, message.payload)
                except Exception as error:
                    self.outbox.mark_failed([message.id], _line(error))
                    problem = f"message {message.id} ({message.kind}) was refused: {_line(error)}"
                    refused.add(message.id)
                    in_a_row += 1
                    if in_a_row >= PATIENCE:
                        return sent, problem
                else:
                    self.outbox.mark_sent([message.id])
                    sent, in_a_row = sent + 1, 0
        return sent, problem

    def _report(self, sent: int, problem: str | None) -> Sent:
        left = self.outbox.waiting()
        return Sent(sent, left, problem if left else None)


@contextmanager
def _only_one(path: Path, wait: float) -> Iterator[bool]:
    """Whether this process alone holds the lock, which the system frees when a process dies."""
    end = time.monotonic() + wait
    with path.open("ab") as file:
        while not (alone := _locked(file.fileno())) and time.monotonic() < end:
            time.sleep(0.1)
        yield alone


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _line(error: BaseException) -> str:
    """The first line of an error, at most 300 characters."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"
