"""The benchmark of meta-steps: its problems, and that a wrong engine is not timed."""

from __future__ import annotations

import pytest
import torch
from benchmarks import meta_step
from benchmarks.contract import Options
from benchmarks.steps import peers
from benchmarks.steps.peers import Step, metaloom
from benchmarks.steps.problems import Problem, disagreement, flops, problem, reference
from benchmarks.steps.shapes import shaped


@pytest.mark.parametrize("name", ["conv4", "pool", "sinusoid"])
def test_our_gradient_is_the_reference_in_float64(name: str) -> None:
    given = problem(name, 1, seed=0, tasks=2).doubled(2)
    assert disagreement(metaloom(given)(), reference(given)) < 1e-12


def test_equal_seeds_pose_equal_problems() -> None:
    one, other = (problem("sinusoid", 5, seed) for seed in (1, 1))
    assert torch.equal(one.episodes.query_y, other.episodes.query_y)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters, other.parameters, strict=True))


def test_the_operations_of_a_perceptron_are_counted_by_hand() -> None:
    forward = 2 * 10 * (40 + 1600 + 40)
    assert flops(problem("sinusoid", 5, 0, tasks=3)) == 3 * forward * (9 * 5 + 3)


def test_an_engine_whose_gradient_is_wrong_is_not_timed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(given: Problem) -> Step:
        return lambda: [1.001 * one for one in metaloom(given)()]

    monkeypatch.setitem(peers.PEERS, "learn2learn", wrong)
    monkeypatch.setattr(meta_step, "QUICK", (("sinusoid", 5),))
    monkeypatch.setattr(meta_step, "QUICK_SHAPES", ())
    monkeypatch.setattr(meta_step, "_memory", lambda peer, options: 1.0)
    metrics = meta_step.measure(Options(quick=True))
    assert metrics["ratio"] == {}
    assert "memory_ratio_learn2learn" not in metrics
    assert "sinusoid_5_metaloom" in metrics["ms"]
    assert "sinusoid_5_learn2learn: off by 1.0e-03 in float64; not timed" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["perceptron_tiny", "conv_groups", "gru", "residual"])
def test_our_gradient_is_the_reference_on_shapes(name: str) -> None:
    given = shaped(name, seed=0).doubled(4)
    assert disagreement(metaloom(given)(), reference(given)) < 1e-12


def test_memory_and_speed_are_said_of_the_same_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    used = {"metaloom": 30.0, "metaloom_chunked": 25.0, "learn2learn": 20.0}
    monkeypatch.setattr(meta_step, "_memory", lambda peer, options: used[peer])
    took = {"metaloom": 2.0, "metaloom_chunked": 3.0, "learn2learn": 6.0}
    found = meta_step._memory_beside(
        list(used), {f"conv4_5_{peer}": time for peer, time in took.items()}, Options()
    )
    assert (found["memory_ratio_learn2learn"], found["memory_speed_learn2learn"]) == (1.5, 3.0)
    assert found["memory_ratio_learn2learn_in_chunks"] == 1.25
    assert found["memory_speed_learn2learn_in_chunks"] == 2.0


def test_a_device_is_timed_beside_learn2learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta_step, "ON_GPU", (("sinusoid", 1),))
    monkeypatch.setitem(peers.PEERS, "learn2learn", metaloom)
    found = meta_step._on_device(torch.device("cpu"), Options(quick=True))
    assert set(found["ms"]) == {"sinusoid_1_metaloom", "sinusoid_1_learn2learn"}
    assert found["ratio"]["sinusoid_1_learn2learn"] > 0
    assert found["tf32"] is False
