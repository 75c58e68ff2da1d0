"""Statistics of batch norm when predicting: whose they are, and what answers depend on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from metaloom_metalearn import (
    Learner,
    maml,
    merged,
    query_statistics,
    stored_statistics,
    support_statistics,
)
from metaloom_metalearn.testing.learner import LearnerSuite, small_network, small_support
from metaloom_registry import InvalidTask, ParseError, parse_type
from metaloom_registry.graph import export_module, load_graph


class TestPredictingBySomeStatistics(LearnerSuite):
    @pytest.fixture(params=[stored_statistics, support_statistics, query_statistics])
    def learner(self, request: pytest.FixtureRequest) -> Learner:
        learner: Learner = request.param(maml(steps=10, lr=0.5))
        return learner


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loaded_network() -> nn.Module:
    exported = export_module(small_network(3).float(), parse_type("image[1,6,6] -> logits[3]"))
    return load_graph(exported.graph, exported.weights).double()


@pytest.fixture(params=[lambda: small_network(3), loaded_network], ids=["module", "block"])
def model(request: pytest.FixtureRequest) -> nn.Module:
    found: nn.Module = request.param()
    return found.eval()


def test_the_statistics_of_the_support_are_those_before_the_norm(model: nn.Module) -> None:
    support = small_support()
    adapted = support_statistics()(model, support, seeded())
    assert set(adapted.changed) == {"model.1.running_mean", "model.1.running_var"}
    net = small_network(3)
    net.load_state_dict(model.state_dict())
    maps = net[0](support.inputs[0])  # type: ignore[index]
    state = adapted.model.state_dict()
    torch.testing.assert_close(state["model.1.running_mean"], maps.mean((0, 2, 3)))
    torch.testing.assert_close(state["model.1.running_var"], maps.var((0, 2, 3)))


def test_a_blend_is_between_the_stored_ones_and_those_of_the_support(model: nn.Module) -> None:
    name = "model.1.running_mean"
    whole, half = (
        support_statistics(weight=w)(model, small_support(), seeded()).model.state_dict()[name]
        for w in (1.0, 0.25)
    )
    torch.testing.assert_close(half, 0.25 * whole + 0.75 * model.state_dict()["1.running_mean"])


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    ("make", "transductive"),
    [(stored_statistics, False), (support_statistics, False), (query_statistics, True)],
)
def test_the_result_says_whether_an_answer_depends_on_what_else_is_asked(
    make: Any, transductive: bool, train: bool, model: nn.Module
) -> None:
    adapted = make(maml(1, 0.1))(model.train(train), small_support(), seeded())
    assert adapted.transductive is transductive
    x = small_support().inputs[0]
    alone = torch.cat([adapted.predict(x[i : i + 1]) for i in range(3)])
    assert torch.allclose(alone, adapted.predict(x)[:3]) is not transductive
    assert adapted.train().predict(x).equal(adapted.eval().predict(x))


def test_a_plain_result_is_transductive_in_train_mode_alone(model: nn.Module) -> None:
    learner = maml(1, 0.1)
    assert learner(model.train(), small_support(), seeded()).transductive is True
    assert learner(model.eval(), small_support(), seeded()).transductive is False


def test_dropout_rests_while_batch_norm_takes_the_queries() -> None:
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36), nn.Dropout(0.9)).double()
    adapted = query_statistics()(net, small_support(), seeded())
    x = small_support().inputs[0]
    assert torch.equal(adapted.predict(x), adapted.predict(x))


def test_merged_it_is_the_model_in_eval_mode(model: nn.Module) -> None:
    adapted = support_statistics()(model, small_support(), seeded())
    one = merged(adapted)
    assert type(one.model) is type(model)
    assert one.changed == ("1.running_mean", "1.running_var")
    x = small_support().inputs[0]
    assert torch.equal(one.predict(x), adapted.predict(x))


def test_a_model_without_statistics_and_a_weight_beyond_one_are_refused() -> None:
    with pytest.raises(InvalidTask, match="keeps no running statistics"):
        support_statistics()(nn.Flatten(), small_support(), seeded())
    with pytest.raises(ParseError, match=r"1.5 is no weight"):
        support_statistics(weight=1.5)
