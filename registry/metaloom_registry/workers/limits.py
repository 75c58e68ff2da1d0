"""What a worker process may use, counted from after its imports, and how it is held to that."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass, replace

MEGABYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one validation may use, and how long a worker is kept.

    memory: bytes of address space beyond what the process has when it is warm.
    seconds: processor time of one validation.
    deadline: wall-clock seconds after which a worker that has not answered is killed.
    validations: how many a worker does before a fresh one takes its place.
    growth: bytes of resident memory kept after a validation at which a fresh one takes its place.
    """

    memory: int = 500 * MEGABYTE
    seconds: int = 2
    deadline: float = 60.0
    validations: int = 1000
    growth: int = 150 * MEGABYTE

    def for_bytes(self, size: int) -> Limits:
        """The limits where the files themselves have so many bytes, which are copied when read."""
        return replace(
            self,
            memory=self.memory + 4 * size,
            seconds=self.seconds + size // (50 * MEGABYTE),
            deadline=self.deadline + size / (20 * MEGABYTE),
        )


class Confinement:
    """A process that has given up, for good, what it needs no more once it is warm.

    No more files, folders or sockets can be opened, no file grows, no process or thread is
    started (but by the superuser, whom that limit does not bind), no core is dumped.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._statistics = _open_statistics()
        free = os.dup(0)
        os.close(free)
        _lower(resource.RLIMIT_NOFILE, free)  # every number below the lowest free one is taken
        for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NPROC):
            _lower(limit, 0)
        # Twice the memory for good: what one validation leaves behind is no fault of the next.
        if size := self._pages()[0]:
            _lower(resource.RLIMIT_AS, size + 2 * limits.memory)
        _lower(resource.RLIMIT_CPU, _spent() + (limits.validations + 1) * (limits.seconds + 1))

    def renew(self) -> None:
        """Count memory and processor time anew, for the next validation."""
        if size := self._pages()[0]:
            _raise(resource.RLIMIT_AS, size + self.limits.memory)
        _raise(resource.RLIMIT_CPU, _spent() + self.limits.seconds)

    def resident(self) -> int:
        """The bytes of memory this process has in use now; 0 where the system does not tell."""
        return self._pages()[1]

    def _pages(self) -> tuple[int, int]:
        """Bytes of address space and of resident memory."""
        if self._statistics < 0:
            return 0, 0
        size, resident, *_ = os.pread(self._statistics, 200, 0).split()
        return int(size) * resource.getpagesize(), int(resident) * resource.getpagesize()


def _open_statistics() -> int:
    try:
        return os.open("/proc/self/statm", os.O_RDONLY)
    except OSError:  # not Linux
        return -1


def _spent() -> int:
    """Whole seconds of processor time so far, rounded up."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return int(usage.ru_utime + usage.ru_stime) + 1


def _lower(limit: int, value: int) -> None:
    """Set a limit for good."""
    try:
        resource.setrlimit(limit, (value, value))
    except (OSError, ValueError):  # this system has no such limit, or a lower one already
        return


def _raise(limit: int, value: int) -> None:
    """Set a limit until the next time."""
    _, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
