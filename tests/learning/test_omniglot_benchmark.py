"""The benchmark on Omniglot: who is held out, what is trained, what is asked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.characters.data import alphabets, hold_out, read_split
from benchmarks.characters.encoder import Views, character_encoder, embedded
from benchmarks.characters.pairs import Pairs
from benchmarks.contract import DATA, Options
from torch import nn

from metaloom_metalearn import ArrayEpisodes, read_npz


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def characters(folder: Path, count: int = 12, first: int = 0) -> Path:
    """A file of the form of omniglot.npz: six alphabets of two characters, four drawings each."""
    folder.mkdir()
    draw = np.random.default_rng(first)
    np.savez(
        folder / "omniglot.npz",
        images=draw.integers(0, 255, (count, 4, 28, 28)).astype(np.uint8),
        alphabet=np.array([f"alphabet{first + i // 2}" for i in range(count)]),
        character=np.array([f"character{i % 2}" for i in range(count)]),
    )
    return folder


def test_one_folder_is_split_by_alphabets(tmp_path: Path) -> None:
    folder = characters(tmp_path / "a")
    split = read_split(Options(train_data=folder))
    assert len(alphabets(split.test)) == 2  # at most a third
    assert len(alphabets(split.train)) == 4
    assert not set(alphabets(split.test)) & set(alphabets(split.train))
    assert split.protocol == "2 alphabets (4 characters) held out of 6, by seed 0"
    same = read_split(Options(data=folder, train_data=folder))
    assert same.test.names == split.test.names
    assert Options().data is DATA


def test_two_folders_are_used_whole(tmp_path: Path) -> None:
    train, test = characters(tmp_path / "a"), characters(tmp_path / "b", 6, first=40)
    split = read_split(Options(data=test, train_data=train))
    assert (len(split.train.names), len(split.test.names)) == (12, 6)
    assert "tested on all 6 of the other" in split.protocol


def test_another_seed_holds_out_others(tmp_path: Path) -> None:
    data = read_npz(characters(tmp_path / "a") / "omniglot.npz")
    held = {tuple(alphabets(hold_out(data, 2, seeded(seed))[1])) for seed in range(8)}
    assert len(held) > 2


def test_each_of_a_pair_is_asked_for_the_other(tmp_path: Path) -> None:
    data = read_npz(characters(tmp_path / "a") / "omniglot.npz")
    episodes = ArrayEpisodes(data, 3, 1, 1).episodes(2, seeded(0))
    torch.manual_seed(0)
    linear = nn.Linear(784, 5)
    encoder = nn.Sequential(nn.Flatten(), linear)
    learner = Pairs()
    model = learner.equip(encoder)
    found = learner.meta_gradient(model, episodes, seeded(0))
    total = torch.zeros(())
    for t in range(2):
        x = torch.cat([episodes.support_x[t], episodes.query_x[t]])
        z = nn.functional.normalize(encoder(x))
        for i in range(6):
            others = [j for j in range(6) if j != i]
            scores = 10.0 * torch.stack([z[i] @ z[j] for j in others])
            partner = others.index((i + 3) % 6)
            total = total - scores.log_softmax(0)[partner]
    loss = total / 12
    assert found.loss == pytest.approx(float(loss), rel=1e-5)
    (wanted,) = torch.autograd.grad(loss, linear.weight)
    torch.testing.assert_close(found.gradients["model.1.weight"], wanted)
    assert found.outputs.shape == (2, 3, 3)


def test_the_views_of_an_image_do_not_depend_on_the_others() -> None:
    encoder = Views(character_encoder(0, width=4))
    images = torch.rand(5, 1, 28, 28, generator=seeded(0))
    vectors = embedded(encoder, images, chunk=2)
    assert vectors.shape == (5, 8 * 32)
    torch.testing.assert_close(vectors[3:4], embedded(encoder, images[3:4]), atol=1e-5, rtol=0)
    torch.testing.assert_close(vectors.norm(dim=1), torch.full((5,), 8**0.5))
    turned = embedded(encoder, torch.rot90(images, 1, (-2, -1)))
    torch.testing.assert_close(turned[:, :32], vectors[:, 32:64], atol=1e-5, rtol=0)


def test_kept_results_have_the_keys_of_the_contract() -> None:
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "omniglot.json"
    if not path.exists():
        pytest.skip("no result is kept yet")
    metrics = json.loads(path.read_text())["metrics"]
    assert {"accuracy", "ci95", "train_seconds"} <= metrics.keys()
    assert (
        metrics["accuracy"].keys() == metrics["ci95"].keys() == {"5w1s", "5w5s", "20w1s", "20w5s"}
    )
