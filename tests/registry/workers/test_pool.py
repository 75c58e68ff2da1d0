"""Workers: warm, limited, replaced; whatever they do, the parent goes on."""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from pathlib import Path

import pytest

from metaloom_registry import ParseError, Refused, TypeMismatch, WorkerFailed, WrongFact
from metaloom_registry.workers import Limits, Pool, Trial, Verdict, wire

NO_WEIGHTS = b"\x02\0\0\0\0\0\0\0{}"


def graph(op: str = "relu/1", arguments: object = None, size: int = 3) -> bytes:
    document = {
        "dimensions": [{"high": 9, "low": 1, "multiple": 1, "name": "B"}],
        "format": "metaloom.graph",
        "inputs": [{"tensor": {"dtype": "float32", "shape": ["B", size]}}],
        "nodes": [{"arguments": arguments or {}, "inputs": [0], "op": op}],
        "opset": 1,
        "outputs": {"value": 1},
        "state": [],
        "updates": [],
        "version": 1,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


GOOD = Trial(graph(), NO_WEIGHTS, "vec[3] -> vec[3]")

MISBEHAVING = """
import os, signal, sys, time
from metaloom_registry.workers import wire
wire.send(1, wire.pack({"ready": 1}))
message, (graph, weights) = wire.receive(0, 1 << 30)
what = graph.decode()
if what == "hang":
    time.sleep(60)
if what == "deaf":
    os.close(0); os.close(1); time.sleep(60)
if what == "lie":
    wire.send(1, wire.pack({"outcome": "wonderful", "worn": False}))
if what == "flood":
    os.write(1, b"\\xff" * 100)
if what == "pickle":
    os.write(1, b"\\x00\\x00\\x00\\x04\\x80\\x04N.")
if what == "exit":
    sys.exit(3)
os.kill(os.getpid(), getattr(signal, what, signal.SIGTERM))
"""


@pytest.fixture(scope="module")
def pool():
    with Pool(limits=Limits(memory=400 << 20)) as shared:
        yield shared


@pytest.fixture
def misbehaving(tmp_path, monkeypatch):
    """A pool whose workers do what the graph says, which is nothing good."""
    (tmp_path / "misbehaving.py").write_text(MISBEHAVING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Pool(limits=Limits(deadline=2.0), program="misbehaving") as made:
        yield made


def worker(pool: Pool):
    found = pool._places.get()
    pool._places.put(found)
    return found


def test_a_sound_block_is_accepted_and_measured(pool):
    verdict = pool.validate(GOOD)
    assert verdict.accepted
    assert (verdict.measured["flops"], verdict.measured["passes"]) == (3, 3)
    verdict.require()


def test_a_worker_stays_warm(pool):
    pool.validate(GOOD)
    first = worker(pool)
    start = time.perf_counter()
    pool.validate(GOOD)
    assert worker(pool) is first
    assert time.perf_counter() - start < 1


def test_what_is_refused_has_its_own_error(pool):
    for trial, error, says in (
        (Trial(graph("evil/1"), NO_WEIGHTS), Refused, "'evil/1' is not in the table"),
        (Trial(graph(), NO_WEIGHTS, "vec[4] -> vec[3]"), TypeMismatch, r"takes vec\[4\]"),
        (Trial(graph(), NO_WEIGHTS, "vec["), ParseError, "vec"),
        (Trial(graph(), NO_WEIGHTS, "vec[3] -> vec[3]", {"parameters": 7}), WrongFact, "says 7"),
    ):
        verdict = pool.validate(trial)
        assert (verdict.outcome, verdict.lasting) == ("refused", True)
        with pytest.raises(error, match=says):
            verdict.require()


def test_a_dear_block_is_checked_and_not_run(pool):
    verdict = pool.validate(Trial(graph(size=1 << 28), NO_WEIGHTS))
    assert verdict.accepted
    assert verdict.measured["passes"] == 0


def test_a_worker_has_given_up_its_rights(pool):
    pool.validate(GOOD)
    path = Path(f"/proc/{worker(pool)._process.pid}/limits")
    if not path.exists():
        pytest.skip("this system does not tell the limits of a process")
    limits = {line[:25].strip(): line for line in path.read_text().splitlines()}
    assert limits["Max file size"].split()[3:5] == ["0", "0"]
    assert int(limits["Max open files"].split()[3]) < 16
    assert limits["Max address space"].split()[3] != "unlimited"
    assert limits["Max cpu time"].split()[3] != "unlimited"


def test_a_worker_sees_no_secrets(pool, monkeypatch):
    pool.validate(GOOD)
    path = Path(f"/proc/{worker(pool)._process.pid}/environ")
    if not path.exists():
        pytest.skip("this system does not tell the environment of a process")
    names = {entry.split(b"=")[0] for entry in path.read_bytes().split(b"\0")}
    assert b"HOME" not in names
    assert not any(name.startswith((b"METALOOM", b"HF_")) for name in names)


def test_memory_beyond_the_limit_refuses_the_block():
    with Pool(limits=Limits(memory=60 << 20)) as small:
        trial = Trial(graph("repeat/1", {"repeats": [1, 1 << 15]}, 1 << 10), NO_WEIGHTS)
        verdict = small.validate(trial)
        assert verdict.outcome == "memory"
        with pytest.raises(Refused, match="more memory than it may take"):
            verdict.require()
        assert small.validate(GOOD).accepted


def test_a_worker_is_replaced_after_its_share():
    with Pool(limits=Limits(validations=2)) as short:
        short.validate(GOOD)
        first = worker(short)
        short.validate(GOOD)
        assert worker(short) is not first
        assert short.validate(GOOD).accepted


@pytest.mark.parametrize(
    ("what", "outcome", "says"),
    [
        ("SIGSEGV", "crashed", "crashed its process with SIGSEGV"),
        ("SIGKILL", "crashed", "SIGKILL"),
        ("SIGXCPU", "time", "exceeded 2 s of processor time"),
        ("exit", "crashed", "ended its process with 3"),
        ("hang", "silent", "did not end within 2 s"),
        ("lie", "crashed", "is no verdict"),
        ("flood", "crashed", "ended in nonsense"),
        ("pickle", "crashed", "ended in nonsense"),
    ],
)
def test_a_worker_that_does_not_answer_refuses_the_block(misbehaving, what, outcome, says):
    verdict = misbehaving.validate(Trial(what.encode(), b""))
    assert verdict.outcome == outcome
    assert not verdict.lasting
    with pytest.raises(Refused, match=says):
        verdict.require()
    assert misbehaving.validate(Trial(b"exit", b"")).outcome == "crashed"


def test_a_program_that_does_not_start_says_why(monkeypatch):
    with Pool(program="no_such_module") as broken, pytest.raises(WorkerFailed, match="No module"):
        broken.validate(GOOD)


def test_threads_share_the_workers(pool):
    found: list[Verdict] = []
    threads = [threading.Thread(target=lambda: found.append(pool.validate(GOOD))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [verdict.accepted for verdict in found] == [True] * 4


def test_messages_read_as_they_were_written():
    reader, writer = os.pipe()
    wire.send(writer, wire.pack({"a": [1, None]}, (b"x", b"")))
    assert wire.receive(reader, 1) == ({"a": [1, None]}, [b"x", b""])
    os.close(writer)
    with pytest.raises(wire.Gone):
        wire.receive(reader, 1)
    os.close(reader)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", 1 << 31),
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 2) + b"{}",
        struct.pack(">I", 14) + b'{"bytes":[-1]}',
        struct.pack(">I", 15) + b'{"bytes":[999]}',
        struct.pack(">I", 4) + b"\x80\x04N.",
    ],
)
def test_what_is_no_message_is_refused(data):
    reader, writer = os.pipe()
    os.write(writer, data)
    with pytest.raises(ParseError):
        wire.receive(reader, 100)
    os.close(reader)
    os.close(writer)
