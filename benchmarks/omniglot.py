"""Few-shot classification of handwritten characters, trained within minutes on a CPU.

    python -m benchmarks.omniglot [--train-data DIR] [--data DIR] [--minutes 20] [--each 3] --json

Trains on the characters of one omniglot.npz, rotated by 90, 180 and 270 degrees as classes of their
own, and tests on all characters of another, unrotated; where there is one folder, ten of its
alphabets are held out to test.  1,000 episodes for each number, 5 queries a class.

The encoder is trained by episodes of 120 classes, two examples of each, in which each is asked for
the other by its cosine with a learned scale; examples are bent at random.  Training ends after a
set time, and the average of the weights is tested, by cosine prototypes.  Support and query are
embedded from eight sides (turned and mirrored) at three sizes, each image for itself: not
transductive, no gradient steps at test time.  `pixels` and `untrained` are the same test without
training.

Where there is a GPU, models and data are on it, and training takes 15 minutes.

`learners` is a table of the other learners, each for `--each` minutes on one network.  An
interrupted training goes on from its checkpoint in the system's temporary folder.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.characters.data import device, read_split
from benchmarks.characters.encoder import VIEWS, WIDTH, Views, character_encoder, embedded
from benchmarks.characters.learners import QUICK as QUICK_LEARNERS
from benchmarks.characters.learners import learners_table
from benchmarks.characters.pairs import Pairs, scale_of
from benchmarks.contract import Metrics, Options, progress, run
from metaloom_heads import cosine
from metaloom_metalearn import (
    ArrayEpisodes,
    Augmented,
    Checkpoint,
    EpisodeSource,
    Event,
    LabelledArrays,
    Performance,
    Plan,
    adam,
    beyond_the_support,
    by_head,
    meta_train,
)
from metaloom_metalearn.evaluation.performance import evaluate
from metaloom_vision import affine

MINUTES, GPU_MINUTES, EACH = 20, 15, 3
WAYS = 120
TASKS = {"5w1s": (5, 1), "5w5s": (5, 5), "20w1s": (20, 1), "20w5s": (20, 5)}
EPISODES = 1000
TEST_QUERIES = 5
BENT = affine(turn=0.15, lean=0.15, stretch=0.15, shift=0.1)
RATE = 0.005


def warm_cosine(done: float) -> float:
    """Rises for the first 3 % of the training, then falls along half a cosine."""
    return min(1.0, done / 0.03) * 0.5 * (1.0 + math.cos(math.pi * done))


class Progress:
    """Says on standard error what the journal hears, at most every ten seconds."""

    def __init__(self) -> None:
        self.last = 0.0

    def record(self, event: Event) -> None:
        if event.seconds - self.last >= 10:
            self.last = event.seconds
            facts = event.facts
            progress(
                f"{event.seconds:.0f} s, step {facts['step']}: loss {facts['loss']:.3f}, "
                f"accuracy {facts['accuracy']:.3f}, {facts['left']:.0f} s left"
            )


def measure(options: Options) -> Metrics:
    """All metrics of the benchmark."""
    split = read_split(options).to(device())
    if options.quick:
        split = replace(split, test=split.test.only(range(min(40, len(split.test.names)))))
    usual = GPU_MINUTES if device().type == "cuda" else MINUTES
    minutes = options.fractions.get("minutes") or usual
    each = options.fractions.get("each")
    seconds = 8.0 if options.quick else 60.0 * minutes
    episodes = 60 if options.quick else EPISODES
    train = split.train.with_rotations()
    trained = _trained(train, options, seconds)
    vectors = as_vectors(Views(trained.encoder), split.test)
    found = {name: tested(vectors, name, episodes, trained.scale) for name in TASKS}
    metrics: dict[str, Any] = {
        "accuracy": {name: one.score.mean for name, one in found.items()},
        "ci95": {name: one.score.half for name, one in found.items()},
        "worst_tenth": {name: one.worst for name, one in found.items()},
        "calibration_error": {name: one.calibration for name, one in found.items()},
        "train_seconds": trained.seconds,
        "train_steps": trained.steps,
        "train_images_per_second": trained.steps * WAYS * 2 / trained.seconds,
        "episodes_per_second": sampling_rate(train),
        "protocol": {
            "split": split.protocol,
            "transductive": False,
            "test_steps": 0,
            "episodes": episodes,
            "queries": TEST_QUERIES,
            "test_views": VIEWS,
        },
    }
    for name, model in {
        "one_view": trained.encoder,
        "untrained": Views(character_encoder(options.seed).to(device())),
        "pixels": nn.Flatten(),
    }.items():
        vectors = as_vectors(model, split.test)
        metrics[name] = {
            t: tested(vectors, t, episodes, 10.0).score.mean for t in ("5w1s", "20w1s")
        }
    metrics["beyond_the_support_5w1s"] = beyond(trained.encoder, split.test, episodes // 10)
    seconds_each = 2.0 if options.quick else 60.0 * (EACH if each is None else each)
    if seconds_each:
        names = {"names": QUICK_LEARNERS} if options.quick else {}
        metrics["learners"] = learners_table(
            train, split.test, BENT, seconds_each, episodes, options.seed, **names
        )
    return metrics


@dataclass(frozen=True)
class _Trained:
    """The encoder and the scale of its cosines; in how many steps and seconds it was trained."""

    encoder: nn.Module
    scale: float
    steps: int
    seconds: float


def _trained(train: LabelledArrays, options: Options, seconds: float) -> _Trained:
    """Train the encoder, from its checkpoint where one was left."""
    learner, ways = Pairs(), min(WAYS, len(train.names))
    plan = Plan(
        1_000_000,
        optimiser=adam(RATE, weight_decay=0.05),
        schedule=warm_cosine,
        average=0.99,
        report=20,
        seconds=seconds,
    )
    what = f"{train.digest.hex[:12]}-{options.seed}-{seconds:g}-{WIDTH}"
    place = Path(tempfile.gettempdir()) / f"metaloom-omniglot-{os.getuid()}-{what}.safetensors"
    trained = meta_train(
        learner.equip(character_encoder(options.seed).to(device())),
        Augmented(ArrayEpisodes(train, ways, 1, 1), BENT),
        learner,
        torch.Generator().manual_seed(options.seed),
        plan,
        journal=Progress(),
        checkpoint=Checkpoint(place, every=500),
    )
    if trained.ended == "interrupted":
        raise KeyboardInterrupt
    place.unlink(missing_ok=True)
    encoder = trained.model.model
    assert isinstance(encoder, nn.Module)
    scale = float(scale_of(dict(trained.model.named_parameters())).detach().exp())
    return _Trained(encoder, scale, len(trained.losses), trained.seconds)


def as_vectors(encoder: nn.Module, data: LabelledArrays) -> LabelledArrays:
    """The data with the vectors of an encoder in place of the images, each embedded once."""
    vectors = embedded(encoder, data.inputs)
    return LabelledArrays(vectors, data.labels, data.names, data.dataset, kind="vec")


def tested(vectors: LabelledArrays, task: str, episodes: int, scale: float) -> Performance:
    """Cosine prototypes on vectors; the scale says how sure the answers are."""
    source = ArrayEpisodes(vectors, *TASKS[task], TEST_QUERIES)
    answers = by_head(nn.Identity(), partial(cosine, scale=scale))
    return evaluate(answers, source, episodes, torch.Generator().manual_seed(1))


def beyond(encoder: nn.Module, data: LabelledArrays, episodes: int) -> Mapping[str, float]:
    """The accuracy, 5-way 1-shot and from one side, on changed queries."""
    found = evaluate(
        by_head(encoder.eval(), cosine),
        ArrayEpisodes(data, 5, 1, TEST_QUERIES),
        max(episodes, 2),
        torch.Generator().manual_seed(1),
        beyond_the_support(),
    )
    return {"clean": found.score.mean, **{name: one.mean for name, one in found.under.items()}}


def sampling_rate(train: LabelledArrays) -> Mapping[str, float]:
    """Training episodes drawn in a second: as they are, and bent."""
    plain = ArrayEpisodes(train, min(WAYS, len(train.names)), 1, 1)
    generator = torch.Generator().manual_seed(0)
    rates = {}
    sources: Mapping[str, EpisodeSource] = {"plain": plain, "bent": Augmented(plain, BENT)}
    for name, source in sources.items():
        start = time.perf_counter()
        for _ in range(20):
            source.episodes(1, generator).query_x[0, 0].sum().item()  # waits for a GPU
        rates[name] = 20 / (time.perf_counter() - start)
    return rates


FRACTIONS = {
    "minutes": f"minutes to train the encoder, by default {MINUTES}, {GPU_MINUTES} on a GPU",
    "each": f"minutes to train each of the other learners, by default {EACH}; 0 for none",
}
SETTINGS = {
    "train_ways": WAYS,
    "width": WIDTH,
    "rate": RATE,
    "device": device().type,
    "tf32": torch.backends.cuda.matmul.allow_tf32,
}

if __name__ == "__main__":
    run("omniglot", measure, settings=SETTINGS, fractions=FRACTIONS)
