"""One attack: what it tries, how it is carried out, and the error it must end with."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaloom_registry.errors import MetaloomError

MAX_SECONDS = 2.0
MAX_BYTES = 500 << 20


@dataclass(frozen=True)
class Attack:
    """tries: for the table in docs/security-model.md.  says: a pattern of the error's message.

    carry_out: does it, given a folder of its own that it may write in before `struck` is entered.
    """

    name: str
    tries: str
    error: type[MetaloomError]
    says: str
    carry_out: Callable[[Path], Any]


_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEVER = {
    "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty",
    "subprocess.Popen", "socket.connect", "socket.bind", "shutil.rmtree", "ctypes.dlopen",
    "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown",
    "os.truncate", "os.kill",
}  # fmt: skip


class Watch:
    """An audit hook, which Python never removes: it notes what happens while it is on."""

    def __init__(self) -> None:
        self.on = False
        self.seen: list[str] = []
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on or (arguments and isinstance(arguments[0], int)):  # what is open already
            return
        if event in _NEVER:
            self.seen.append(f"{event}{arguments!r:.200}")
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES:
            self.seen.append(f"{event}{arguments!r:.200}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.seen.clear()
        self.on = True
        try:
            yield
        finally:
            self.on = False


def peak() -> int:
    """The most bytes of memory this process ever had, or since `forget_peak`."""
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """Let `peak` begin at what is in use now, where the system can."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:
        return


@dataclass
class Measured:
    """What an attack took: processor seconds, and bytes of memory above what was in use."""

    seconds: float = 0.0
    bytes: int = 0


@contextmanager
def measured() -> Iterator[Measured]:
    found = Measured()
    forget_peak()
    before, start = peak(), time.process_time()
    try:
        yield found
    finally:
        found.seconds, found.bytes = time.process_time() - start, peak() - before
