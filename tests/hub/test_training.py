"""Meta-training with a library: the run, its curves in MLflow, and the block that comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from metaloom import Hub, meta_train
from metaloom.evaluation import evaluate
from metaloom_heads import matchingnet, prototypes
from metaloom_metalearn import (
    ArrayEpisodes,
    LabelledArrays,
    MemoryJournal,
    Plan,
    Validation,
    by_head,
    maml,
    metric,
)
from metaloom_registry import TypeMismatch

TYPE = "image[1,4,4] -> vec[6]"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def source() -> ArrayEpisodes:
    centres = torch.rand(6, 1, 4, 4, generator=seeded(0))
    labels = torch.arange(6).repeat_interleave(8)
    images = (centres[labels] + 0.2 * torch.randn(48, 1, 4, 4, generator=seeded(1))).clamp(0, 1)
    return ArrayEpisodes(LabelledArrays(images, labels, tuple("abcdef"), "test/noisy"), 3, 1, 2)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("METALOOM_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    hub = Hub.open(tmp_path / "library")
    monkeypatch.setattr(hub.sender, "flush_behind", lambda: None)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    hub.publish("me/encoder", nn.Sequential(*net, nn.Linear(16, 6)), TYPE)
    return hub


def test_a_block_is_meta_trained_and_published_with_its_ancestry(
    hub: Hub, source: ArrayEpisodes
) -> None:
    plan = Plan(12, batch=2, report=4)
    validation = Validation(source, episodes=10, every=6)
    trained = meta_train(
        hub, "me/encoder", source, metric(prototypes), plan, seed=5, validation=validation
    )
    block = hub.publish("me/trained", trained, TYPE)
    assert block.manifest is not None
    parents = [(parent.digest, parent.role) for parent in block.manifest.parents]
    assert parents == [(hub["me/encoder"].digest, "trained-from")]
    assert block.seen == frozenset(source.classes)
    training: Any = block.facts["training"]
    assert training["seed"] == 5
    assert training["steps"] == 12
    assert training["data"] == [str(source.arrays.digest)]
    assert training["validation accuracy"] == max(v.score.mean for v in trained.validated)
    loaded: Any = block.load()
    answers = by_head(loaded, prototypes)
    before = by_head(trained.model, prototypes)
    episodes = source.episodes(3, seeded(2))
    torch.testing.assert_close(answers(episodes), before(episodes))


def test_maml_trains_a_block_too(hub: Hub, source: ArrayEpisodes) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    hub.publish("me/linear", net, "image[1,4,4] -> logits[3]")
    journal = MemoryJournal()
    trained = meta_train(
        hub, hub["me/linear"], source, maml(1, 0.1), Plan(6, 2, report=3), journal=journal
    )
    assert [event.facts["step"] for event in journal.events] == [3, 6]
    assert hub.publish("me/linear", trained, "image[1,4,4] -> logits[3]").reference.selector == 2


def test_what_a_head_learned_beside_the_encoder_is_left_behind(
    hub: Hub, source: ArrayEpisodes
) -> None:
    learner = matchingnet()
    torch.manual_seed(0)
    net = learner.equip(nn.Sequential(nn.Flatten(), nn.Linear(16, 6)))
    trained = meta_train(hub, net, source, learner, Plan(2))
    block = hub.publish("me/matching", trained, TYPE)
    assert block.manifest is not None
    assert not block.manifest.parents
    loaded: Any = block.load()
    assert sorted(dict(loaded.named_parameters())) == ["1.bias", "1.weight"]


def test_a_training_is_a_run_of_mlflow_with_curves(hub: Hub, source: ArrayEpisodes) -> None:
    mlflow = pytest.importorskip("mlflow")
    meta_train(hub, "me/encoder", source, metric(prototypes), Plan(6, report=2), seed=5)
    hub.sync()
    client = mlflow.MlflowClient(hub.sender.uri)
    [experiment] = [e for e in client.search_experiments() if e.name == "metaloom"]
    [run] = client.search_runs([experiment.experiment_id])
    assert run.data.params["seed"] == "5"
    assert run.data.params["learner"] == "Metric"
    assert run.data.params["learner.scale"] == "1.0"
    assert run.data.tags["metaloom.data"] == str(source.arrays.digest)
    curve = client.get_metric_history(run.info.run_id, "loss")
    assert [point.step for point in curve] == [2, 4, 6]
    assert len(client.get_run(run.info.run_id).inputs.model_inputs) == 1


def test_a_program_cannot_be_trained(hub: Hub, source: ArrayEpisodes) -> None:
    block = hub.publish("me/double", "(lam (lists/add@1 $0 $0))")
    with pytest.raises(TypeMismatch, match="no trained module"):
        meta_train(hub, block, source, metric(prototypes), Plan(1))


def test_the_hub_offers_evaluation(source: ArrayEpisodes) -> None:
    found = evaluate(by_head(nn.Flatten(), prototypes), source, 20, seeded(0))
    assert found.score.mean > 50
