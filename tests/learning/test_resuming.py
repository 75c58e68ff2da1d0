"""Trainings that stop and go on: checkpoints, Ctrl-C, validation, and several processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from metaloom_heads import prototypes
from metaloom_metalearn import (
    ArrayEpisodes,
    Checkpoint,
    Clock,
    Curves,
    Event,
    LabelledArrays,
    MemoryJournal,
    Plan,
    Processes,
    Trained,
    Validation,
    adam,
    by_head,
    maml,
    meta_train,
    metric,
    sgd,
    sinusoids,
    train_classifier,
)
from metaloom_metalearn.testing.learner import small_network
from metaloom_registry import InvalidTask


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy_images(classes: int = 12) -> LabelledArrays:
    centres = torch.rand(classes, 1, 6, 6, generator=seeded(0), dtype=torch.float64)
    labels = torch.arange(classes).repeat_interleave(8)
    noise = torch.randn(len(labels), 1, 6, 6, generator=seeded(1), dtype=torch.float64)
    images = (centres[labels] + 0.3 * noise).clamp(0, 1)
    return LabelledArrays(images, labels, tuple(map(str, range(classes))), "test/noisy")


@pytest.fixture
def source() -> ArrayEpisodes:
    return ArrayEpisodes(noisy_images(), 3, 1, 4)


def with_chance() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Flatten(), nn.Linear(36, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 12)
        ).double()


class StopAfter:
    """A journal that lets a clock run out when a step was reached."""

    def __init__(self, step: int) -> None:
        self.step, self.over = step, False

    def record(self, event: Event) -> None:
        self.over = self.over or event.facts["step"] == self.step

    @property
    def clock(self) -> Clock:
        return Clock(1, now=lambda: 10.0 if self.over else 0.0)


def same(one: Trained, other: Trained) -> bool:
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    return one.losses == other.losses and all(torch.equal(ours[k], theirs[k]) for k in ours)


@pytest.mark.parametrize("optimiser", [adam(0.01), sgd(0.05, momentum=0.9)])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_resumed_training_is_equal_in_every_bit(
    source: ArrayEpisodes, tmp_path: Path, optimiser, average: float
) -> None:
    plan = Plan(12, batch=2, optimiser=optimiser, average=average, clip=1.0, report=1)
    validation = Validation(source, episodes=4, every=3)

    def train(checkpoint: Checkpoint | None, stop: StopAfter) -> Trained:
        return meta_train(
            with_chance(),
            source,
            metric(prototypes, 0.1),
            seeded(3),
            plan,
            clock=stop.clock,
            journal=stop,
            validation=validation,
            checkpoint=checkpoint,
        )

    whole = train(None, StopAfter(-1))
    kept = Checkpoint(tmp_path / "run.safetensors", every=1000)
    for step in (5, 9):
        part = train(kept, StopAfter(step))
        assert part.ended == "deadline"
        assert len(part.losses) == step
    resumed = train(kept, StopAfter(-1))
    assert resumed.ended == "finished"
    assert same(whole, resumed)
    assert whole.validated == resumed.validated
    again = train(kept, StopAfter(-1))
    assert same(whole, again), "a finished training is read back as it was"


def test_a_resumed_classifier_goes_on_within_its_epoch(tmp_path: Path) -> None:
    plan = Plan(20, batch=16, report=1)

    def train(checkpoint: Checkpoint | None, stop: StopAfter) -> Trained:
        return train_classifier(
            with_chance(),
            noisy_images(),
            seeded(3),
            plan,
            augment=lambda x, g: x + torch.randn(x.shape, generator=g, dtype=x.dtype),
            clock=stop.clock,
            journal=stop,
            checkpoint=checkpoint,
        )

    kept = Checkpoint(tmp_path / "run.safetensors")
    train(kept, StopAfter(8))
    assert same(train(None, StopAfter(-1)), train(kept, StopAfter(-1)))


def test_a_checkpoint_holds_no_code(source: ArrayEpisodes, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    meta_train(
        small_network(8),
        source,
        metric(prototypes),
        seeded(0),
        Plan(3),
        checkpoint=Checkpoint(path),
    )
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        assert file.metadata()["format"] == "metaloom.training/1"
    assert {"random.generator", "random.torch", "history.losses"} <= names
    assert any(name.startswith("optimiser.0.exp_avg") for name in names)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"plan": Plan(9)}, "a training with steps 3, and 9 is asked for"),
        ({"plan": Plan(3, optimiser=sgd(0.1))}, "optimiser AdamW, and SGD"),
        ({"generator": seeded(1)}, "seed 0, and 1"),
        ({"model": small_network(7)}, "is of another model"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(36, 8)).double()}, "only one has"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(
    source: ArrayEpisodes, tmp_path: Path, change, message: str
) -> None:
    kept = Checkpoint(tmp_path / "run.safetensors")
    usual: dict[str, Any] = {"model": small_network(8), "generator": seeded(0), "plan": Plan(3)}

    def train(model: nn.Module, generator: torch.Generator, plan: Plan) -> Trained:
        return meta_train(model, source, metric(prototypes), generator, plan, checkpoint=kept)

    train(**usual)
    with pytest.raises(InvalidTask, match=message):
        train(**(usual | {"generator": seeded(0)} | change))


def test_a_file_that_is_no_checkpoint_is_refused(source: ArrayEpisodes, tmp_path: Path) -> None:
    path = tmp_path / "run.safetensors"
    path.write_bytes(b"not at all")
    with pytest.raises(InvalidTask, match=r"no checkpoint that can be read: .*remove it"):
        meta_train(
            small_network(8),
            source,
            metric(prototypes),
            seeded(0),
            Plan(3),
            checkpoint=Checkpoint(path),
        )


INTERRUPTED = """
import sys, torch
from torch import nn
from metaloom_metalearn import Checkpoint, Curves, Plan, maml, meta_train, sinusoids

class Tell:
    def record(self, event):
        sys.stdout.write(f"{event.facts['step']}\\n")
        sys.stdout.flush()

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1))
trained = meta_train(
    net, Curves(sinusoids()), maml(2, 0.01), torch.Generator().manual_seed(4),
    Plan(int(sys.argv[2]), batch=4, report=1), journal=Tell(),
    checkpoint=Checkpoint(sys.argv[1], 10**6),
)
sys.stdout.write(f"{trained.ended} {len(trained.losses)} {trained.losses[-1]!r}\\n")
"""


def test_a_real_ctrl_c_leaves_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(INTERRUPTED)
    steps = 100_000
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "run.safetensors"), str(steps)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 5:
            break
    process.send_signal(signal.SIGINT)
    last = process.stdout.read().splitlines()[-1]
    assert process.wait(60) == 0
    ended, count, loss = last.split()
    assert ended == "interrupted"
    done = int(count)

    def train(checkpoint: Checkpoint | None, stop: StopAfter) -> Trained:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1))
        plan = Plan(steps, batch=4, report=1)
        return meta_train(
            net,
            Curves(sinusoids()),
            maml(2, 0.01),
            seeded(4),
            plan,
            clock=stop.clock,
            journal=stop,
            checkpoint=checkpoint,
        )

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        resumed = train(Checkpoint(tmp_path / "run.safetensors"), StopAfter(done + 3))
        assert len(resumed.losses) == done + 3
        assert repr(resumed.losses[done - 1]) == loss
        if done < 2000:  # else the machine was too busy to compare all
            assert same(train(None, StopAfter(done + 3)), resumed)
    finally:
        torch.set_num_threads(threads)


def test_the_interrupt_handler_is_put_back(source: ArrayEpisodes) -> None:
    before = signal.getsignal(signal.SIGINT)

    class Press:
        def record(self, event: Event) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)

    trained = meta_train(
        small_network(8), source, metric(prototypes), seeded(0), Plan(50, report=2), journal=Press()
    )
    assert trained.ended == "interrupted"
    assert len(trained.losses) == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_validation_keeps_the_best_and_patience_ends(source: ArrayEpisodes) -> None:
    plan = Plan(200, batch=2, optimiser=sgd(3.0), report=10)  # far too fast: it gets worse
    journal = MemoryJournal()
    trained = meta_train(
        small_network(8),
        source,
        metric(prototypes),
        seeded(0),
        plan,
        journal=journal,
        validation=Validation(source, episodes=20, every=5, patience=3),
    )
    assert trained.ended == "patience"
    scores = [one.score.mean for one in trained.validated]
    best = max(range(len(scores)), key=scores.__getitem__)
    assert len(scores) == best + 4
    found = Validation(source, episodes=20).measure(
        trained.model, 0, lambda model, _: by_head(model, prototypes)
    )
    assert found.score.mean == scores[best]
    heard = [e.facts for e in journal.events if e.kind == "meta_train_validation"]
    assert [one["accuracy"] for one in heard] == scores
    assert [one["step"] for one in heard] == [5 * (i + 1) for i in range(len(scores))]


def test_regression_is_validated_by_its_error() -> None:
    torch.manual_seed(0)
    source = Curves(sinusoids())
    net = nn.Sequential(nn.Linear(1, 16), nn.ReLU(), nn.Linear(16, 1))
    trained = meta_train(
        net,
        source,
        maml(1, 0.01),
        seeded(0),
        Plan(30, batch=8, optimiser=adam(0.01)),
        validation=Validation(source, episodes=30, every=10),
    )
    errors = [one.score.mean for one in trained.validated]
    assert {one.measure for one in trained.validated} == {"mse"}
    assert len(errors) == 3
    assert errors[-1] < errors[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Plan(0), "a plan of 0 steps"),
        (lambda: Plan(5, average=1.0), "no decay of an average"),
        (lambda: Plan(5, seconds=0.0), "0.0 s is no time to train"),
        (lambda: Plan(5, autocast=torch.float16), "torch.bfloat16, not in torch.float16"),
        (lambda: Checkpoint("x", 0), "every 0 steps is none"),
        (lambda: Validation(Curves(sinusoids()), episodes=1), "at least 2 episodes"),
        (lambda: Processes(), "init_process_group"),
    ],
)
def test_settings_that_are_none_are_refused(make, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        make()


def test_mixed_precision_is_for_cuda(source: ArrayEpisodes) -> None:
    with pytest.raises(InvalidTask, match="mixed precision is for CUDA and the model is on cpu"):
        meta_train(
            small_network(8),
            source,
            metric(prototypes),
            seeded(0),
            Plan(3, autocast=torch.bfloat16),
        )


def test_training_by_time_follows_the_clock(source: ArrayEpisodes) -> None:
    class Seconds:
        """Two seconds a step."""

        now = 0.0

        def record(self, event: Event) -> None:
            self.now += 2
            self.heard = event.facts

    time_ = Seconds()
    trained = meta_train(
        small_network(8),
        source,
        metric(prototypes),
        seeded(0),
        Plan(1000, report=1, seconds=20.0),
        clock=Clock(1e9, now=lambda: time_.now),
        journal=time_,
    )
    assert trained.ended == "finished"
    assert len(trained.losses) == 10
    assert trained.seconds == 20.0
    assert time_.heard["done"] == pytest.approx(0.9)
    assert time_.heard["left"] == pytest.approx(2.0)


def test_what_was_seen_is_said(source: ArrayEpisodes) -> None:
    trained = meta_train(small_network(8), source, metric(prototypes), seeded(7), Plan(1))
    assert trained.classes == frozenset(source.arrays.classes)
    assert trained.data == (source.arrays.digest,)
    assert trained.seed == 7


TOGETHER = """
import sys, torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import nn
from metaloom_metalearn import Checkpoint, Curves, Plan, Processes, adam, maml, meta_train
from metaloom_metalearn import sinusoids

rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
team = None
if size > 1:
    store = dist.FileStore(folder + "/store", size)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
    team = Processes()
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(1, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)).double()

class Doubles(Curves):
    def episodes(self, count, generator):
        return super().episodes(count, generator)._each(torch.Tensor.double)

trained = meta_train(
    net, Doubles(sinusoids()), maml(2, 0.01), torch.Generator().manual_seed(4),
    Plan(6, batch=4, optimiser=adam(0.01), average=0.5, clip=5.0, report=3), team=team,
    checkpoint=Checkpoint(folder + f"/run{size}.safetensors"),
)
found = {**trained.model.state_dict(), "losses": torch.tensor(trained.losses, dtype=torch.float64)}
save_file(found, folder + f"/found{size}-{rank}.safetensors")
if team:
    dist.destroy_process_group()
"""


def test_two_processes_train_as_one_does_with_all_their_tasks(tmp_path: Path) -> None:
    script = tmp_path / "together.py"
    script.write_text(TOGETHER)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(rank: int, size: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, str(script), str(rank), str(size), str(tmp_path)], env=environment
        )

    running = [start(0, 2), start(1, 2), start(0, 1)]
    assert [process.wait(110) for process in running] == [0, 0, 0]

    def read(name: str) -> dict[str, torch.Tensor]:
        with safe_open(tmp_path / name, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118

    one, first, second = (read(f"found{name}.safetensors") for name in ("1-0", "2-0", "2-1"))
    for key, value in one.items():
        assert torch.equal(first[key], second[key])
        torch.testing.assert_close(first[key], value, rtol=1e-6, atol=1e-7)


def test_a_batch_is_shared_out_evenly(source: ArrayEpisodes) -> None:
    class Three:
        rank, size = 1, 3

        def average(self, tensors) -> None:
            raise AssertionError("never reached")

        def largest(self, values: torch.Tensor) -> torch.Tensor:
            return values

    with pytest.raises(InvalidTask, match=r"a batch of 4 is not shared out evenly to 3 .* take 6"):
        meta_train(
            small_network(8), source, metric(prototypes), seeded(0), Plan(1, 4), team=Three()
        )
