"""Transferability: LogME and LEEP against closed forms, and the rank they give to blocks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

from metaloom_metalearn.engines.batched.features import Features
from metaloom_metalearn.engines.batched.values import Ragged
from metaloom_metalearn.search.neural.few_shot import Chain
from metaloom_metalearn.search.neural.leep import entropy, leep
from metaloom_metalearn.search.neural.logme import decomposed, evidence, log_evidence, logme
from metaloom_metalearn.search.neural.transfer import promising
from metaloom_metalearn.search.trace import Account
from metaloom_registry import INT, Digest, Entry, Reference, parse_type


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("rows", "columns"), [(12, 3), (5, 8)])
def test_the_evidence_is_that_of_the_marginal_gaussian(rows: int, columns: int) -> None:
    features, y = drawn(rows, columns), drawn(rows, seed=1)
    left, sizes = decomposed(features)
    z = (left.T @ y).square()
    outside = float(y.square().sum() - z.sum())
    alpha, beta = 0.7, 2.5
    said = log_evidence(sizes, z, outside, columns, rows, alpha, beta)
    covariance = features @ features.T / alpha + torch.eye(rows, dtype=torch.float64) / beta
    wanted = MultivariateNormal(torch.zeros_like(y), covariance).log_prob(y)
    assert math.isclose(said, float(wanted), rel_tol=1e-9)


def test_the_fixed_point_is_the_maximum_of_the_evidence() -> None:
    features = drawn(40, 4)
    y = features @ torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64) + 0.3 * drawn(
        40, seed=1
    )
    left, sizes = decomposed(features)
    found = evidence(left, sizes, 4, y)
    z = (left.T @ y).square()
    outside = float(y.square().sum() - z.sum())
    for a in (0.8, 0.95, 1.05, 1.25):
        for b in (0.8, 0.95, 1.05, 1.25):
            other = log_evidence(sizes, z, outside, 4, 40, a * found.alpha, b * found.beta)
            assert other < found.nats
    assert 1 / found.beta == pytest.approx(0.09, rel=0.5)


def test_features_that_explain_the_outputs_have_more_evidence_than_others() -> None:
    telling, silent = drawn(60, 5), drawn(60, 5, seed=2)
    y = telling @ drawn(5, seed=3) + 0.1 * drawn(60, seed=4)
    assert logme(telling, y) > logme(silent, y) + 0.5
    assert logme(telling, torch.stack([y, y], 1)) == pytest.approx(logme(telling, y))


def test_leep_is_the_mean_log_likelihood_of_the_expected_empirical_prediction() -> None:
    theta = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    labels = torch.tensor([0, 0, 1, 1])
    joint = np.array([[1.7, 0.3], [0.4, 1.6]]) / 4
    conditional = joint / joint.sum(0)
    wanted = np.mean(
        [math.log(conditional[y] @ t) for t, y in zip(theta.numpy(), labels.tolist(), strict=True)]
    )
    assert leep(theta, labels, 2) == pytest.approx(float(wanted), rel=1e-6)


def test_a_perfect_classifier_has_a_leep_of_nought_and_a_silent_one_the_entropy() -> None:
    labels = torch.tensor([0, 1, 2, 2])
    assert leep(torch.eye(3)[labels], labels, 3) == pytest.approx(0.0)
    assert leep(torch.ones(4, 2) / 2, labels, 3) == pytest.approx(-entropy(labels, 3))
    assert entropy(labels, 3) == pytest.approx(1.5 * math.log(2))


def chain(name: str, type_: str) -> tuple[Chain, Entry]:
    digest = Digest.of(name.encode())
    entry = Entry(Reference(None, digest), digest, "graph", parse_type(type_), name)
    return Chain((entry,), parse_type("vec[2]"), 0.0), entry


class Column(nn.Module):
    """Two columns of vectors."""

    def __init__(self, *places: int) -> None:
        super().__init__()
        self.places = list(places)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, self.places]


def test_blocks_are_ranked_by_what_their_features_say_of_lists() -> None:
    items = drawn(90, 4).float()
    lists = Ragged(items, torch.full((30,), 3))
    wanted = (10 * items[:, 2].reshape(30, 3).sum(1)).round().long()
    (silent, one), (telling, two) = (
        chain("silent", "vec[4] -> vec[2]"),
        chain("telling", "vec[4] -> vec[2]"),
    )
    modules = {one.digest: Column(0, 1), two.digest: Column(2, 3)}
    features = Features(lambda entry: modules[entry.digest])
    account = Account("test")
    ranked = promising([silent, telling], features, lists, wanted, INT, 2, account)
    assert ranked == [telling, silent]
    assert promising([silent, telling], features, lists, wanted, INT, 1, account) == [telling]
    assert account.notes[0].startswith("LogME of frozen blocks: telling")


class Constant(nn.Module):
    """Says the same of everything."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full((len(x), 2), 0.5)


def test_a_classifier_that_tells_nothing_of_the_labels_is_left_out() -> None:
    silent, entry = chain("silent", "vec[4] -> logits[2]")
    features = Features(lambda entry: Constant())
    account = Account("test")
    labels = torch.arange(20) % 2
    column = drawn(20, 4).float()
    assert not promising([silent], features, column, labels, parse_type("label[2]"), 2, account)
    assert account.counts["pruned"] == 1
    assert entry.name in account.notes[0]
