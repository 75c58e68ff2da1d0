"""The process in which a stranger's block is tried: `python -m metaloom_registry.graph.worker`.

It imports torch, computes a little so that everything is loaded, gives up its rights, and then
answers one message after another: bytes of a block in, a verdict out.  It is started by a
`workers.Pool`; what it is told about limits is its one argument, as JSON.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import replace

import torch

from metaloom_registry.canonical import Json, load_strict
from metaloom_registry.errors import MetaloomError
from metaloom_registry.graph.trying import tried, warm_up
from metaloom_registry.workers import wire
from metaloom_registry.workers.limits import Confinement, Limits
from metaloom_registry.workers.verdict import Trial, Verdict

MAX_PARTS = 40 << 30


def main(argument: str) -> None:
    """Answer until the parent closes the pipe."""
    requests, answers = _own_pipes()
    torch.set_num_threads(1)
    warm_up()
    confinement = Confinement(Limits(**load_strict(argument.encode())))
    before = confinement.resident()
    wire.send(answers, wire.pack({"ready": os.getpid()}))
    while True:
        try:
            message, (graph, weights) = wire.receive(requests, MAX_PARTS)
        except wire.Gone:
            return
        confinement.renew()
        most, now = _most(), confinement.resident()
        verdict = _verdict(Trial(graph, weights, message["signature"], message["facts"]))
        del graph, weights
        if _most() > most:  # a new maximum is this block's; a lower peak is not told
            measured = {**verdict.measured, "grown": _most() - now}
            verdict = replace(verdict, measured=measured)
        worn = confinement.resident() - before > confinement.limits.growth
        wire.send(answers, wire.pack({**verdict.to_json(), "worn": worn}))


def _verdict(trial: Trial) -> Verdict:
    start = time.process_time()
    try:
        measured: dict[str, Json] = dict(tried(trial))
    except MetaloomError as error:
        name = type(error).__name__
        return Verdict("refused", str(error)[:2000], name, _seconds(start))
    except MemoryError:
        return _beyond_memory(start)
    except RuntimeError as error:
        if "not enough memory" in str(error) or "alloc" in str(error):
            return _beyond_memory(start)
        return _unforeseen("failed", error, start)
    except (IndexError, ValueError, NotImplementedError) as error:
        return _unforeseen("failed", error, start)
    except Exception as error:
        return _unforeseen("broken", error, start)
    return Verdict("accepted", measured={**measured, **_seconds(start)})


def _beyond_memory(start: float) -> Verdict:
    return Verdict(
        "memory", "the validation of the block needs more memory than it may take",
        measured=_seconds(start),
    )  # fmt: skip


def _unforeseen(outcome: str, error: Exception, start: float) -> Verdict:
    reason = f"a pass through the block fails with {type(error).__name__}: {error}"
    return Verdict(outcome, reason[:2000], measured=_seconds(start))


def _most() -> int:
    """The most bytes of memory this process ever had in use."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _seconds(start: float) -> dict[str, Json]:
    return {"seconds": time.process_time() - start}


def _own_pipes() -> tuple[int, int]:
    """The pipes to the parent, out of reach of anything that prints."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    return requests, answers


if __name__ == "__main__":
    main(sys.argv[1])
