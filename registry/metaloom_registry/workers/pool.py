"""A pool of worker processes that validate blocks: started on demand, kept warm, replaced.

The parent gives a worker bytes and gets back a verdict, nothing else.  It survives whatever a
worker does: dies, hangs, writes nonsense.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from dataclasses import asdict
from typing import IO, Any

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.errors import ParseError, WorkerFailed
from metaloom_registry.workers import wire
from metaloom_registry.workers.limits import MEGABYTE, Limits
from metaloom_registry.workers.verdict import Trial, Verdict

LARGE = 64 * MEGABYTE
"""A block of more bytes gets a worker of its own, with limits for its size."""

PROGRAM = "metaloom_registry.graph.worker"
START_SECONDS = 300.0
_PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")


class Pool:
    """At most `size` warm workers, each validating one block at a time.

    Workers start when they are first needed, are replaced as `limits` say, and end with the pool,
    with this object or with this process.  Safe to use from several threads.
    """

    def __init__(self, size: int = 1, limits: Limits | None = None, program: str = PROGRAM) -> None:
        """program: the module that a worker runs, such as one that misbehaves to test this."""
        self.limits = limits or Limits()
        self.program = program
        self._places: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._places.put(None)
        self._all: set[Worker] = set()
        self._lock = threading.Lock()
        self._finish = weakref.finalize(self, _kill_all, self._all)

    def validate(self, trial: Trial) -> Verdict:
        """What came of a block. Raises WorkerFailed where no worker can be started."""
        if trial.size > LARGE:
            worker = self._start(self.limits.for_bytes(trial.size))
            try:
                return worker.validate(trial)
            finally:
                self._end(worker)
        worker_or_none = self._places.get()
        try:
            worker = worker_or_none or self._start(self.limits)
            worker_or_none = worker
            verdict = worker.validate(trial)
            if not worker.fit:
                worker_or_none = None
                self._end(worker)
                if worker.worn:  # it did its share; the next finds a warm one again
                    worker_or_none = self._start(self.limits)
            return verdict
        finally:
            self._places.put(worker_or_none)

    def warm(self) -> None:
        """Start a worker now, so that the first validation need not wait for its imports."""
        worker = self._places.get()
        try:
            worker = worker or self._start(self.limits)
        finally:
            self._places.put(worker)

    def close(self) -> None:
        """End all workers; later validations start new ones."""
        places = []
        while True:
            try:
                places.append(self._places.get_nowait())
            except queue.Empty:
                break
        for worker in places:
            if worker is not None:
                self._end(worker)
            self._places.put(None)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, limits: Limits) -> Worker:
        worker = Worker(limits, self.program)
        with self._lock:
            self._all.add(worker)
        return worker

    def _end(self, worker: Worker) -> None:
        worker.kill()
        with self._lock:
            self._all.discard(worker)


class Worker:
    """One process; it imports torch, gives up its rights and answers."""

    def __init__(self, limits: Limits, program: str) -> None:
        self.limits = limits
        self.program = program
        self.done = 0
        self.worn = False
        self._ready = False
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `kill`
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        try:
            self._process = subprocess.Popen(
                # -P: nothing is imported from the folder one happens to be in
                [sys.executable, "-P", "-m", program,
                 dump_canonical(asdict(limits)).decode()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                cwd=os.path.abspath(os.sep),
                env={**environment, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
                start_new_session=True,  # an interrupt at the terminal is the parent's business
            )  # fmt: skip
        except OSError as error:
            raise WorkerFailed(f"no process can be started to check blocks in: {error}") from error
        os.set_blocking(self._input, False)

    @property
    def fit(self) -> bool:
        """Whether it can take another block."""
        return not self.worn and self._process.poll() is None

    def validate(self, trial: Trial) -> Verdict:
        """What came of a block; what became of the worker, where it did not answer."""
        self._await_ready()
        until = time.monotonic() + self.limits.deadline
        request = wire.pack(
            {"signature": trial.signature, "facts": trial.facts}, (trial.graph, trial.weights)
        )
        try:
            wire.send(self._input, request, until)
            answer, _ = wire.receive(self._output, 0, until)
            self.worn = answer.pop("worn", None) is not False
            verdict = Verdict.from_json(answer)
        except wire.Silent:
            self.kill()
            return Verdict(
                "silent",
                f"the validation of the block did not end within {self.limits.deadline:g} s; "
                "try again when the machine is less busy",
            )
        except wire.Gone:
            return self._died()
        except ParseError as error:
            self.kill()
            return Verdict("crashed", f"the validation of the block ended in nonsense: {error}")
        self.done += 1
        self.worn = self.worn or self.done >= self.limits.validations
        return verdict

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close(pipe)
        self._said.close()

    @property
    def _input(self) -> int:
        assert self._process.stdin is not None
        return self._process.stdin.fileno()

    @property
    def _output(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def _await_ready(self) -> None:
        if self._ready:
            return
        try:
            wire.receive(self._output, 0, time.monotonic() + START_SECONDS)
        except (wire.Silent, wire.Gone, ParseError):
            self._process.kill()
            self._process.wait()
            self._said.seek(0)
            said = self._said.read().decode(errors="replace").strip().splitlines()
            raise WorkerFailed(
                f"the process to check blocks in ended with {self._process.returncode} before it "
                f"was ready: {said[-1][:300] if said else 'it said nothing'}; "
                f"check that `python -m {self.program}` starts"
            ) from None
        self._ready = True

    def _died(self) -> Verdict:
        """Why a worker that closed its pipe did so."""
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()
            return Verdict("crashed", "the validation of the block closed its pipe and went on")
        if code == -signal.SIGXCPU:
            seconds = self.limits.seconds
            return Verdict(
                "time", f"the validation of the block exceeded {seconds} s of processor time"
            )
        if code < 0:
            name = signal.Signals(-code).name
            return Verdict(
                "crashed", f"the validation of the block crashed its process with {name}"
            )
        return Verdict("crashed", f"the validation of the block ended its process with {code}")


def _close(pipe: IO[Any]) -> None:
    try:
        pipe.close()
    except OSError:  # what was not written yet is of no use any more
        return


def _kill_all(workers: set[Worker]) -> None:
    for worker in list(workers):
        worker.kill()
