"""The fuzzing benchmark in small: what it spoils is refused or runs."""

from __future__ import annotations

from benchmarks.contract import Options
from benchmarks.fuzz_blocks import measure


def test_spoilt_blocks_crash_nothing():
    found = measure(Options(quick=True, seed=7, numbers={"n": 60}))
    assert (found["n"], found["crashes"], found["over_budget"]) == (60, 0, 0)
    assert found["refused"] > found["accepted"] > 0
