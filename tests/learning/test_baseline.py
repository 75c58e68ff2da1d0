"""Baseline++: the cosine layer against its formula, and the encoder left alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_metalearn import baseline_pp, fine_tune, sgd
from metaloom_metalearn.learners.baseline import CosineLinear, FreshHead
from metaloom_metalearn.testing.learner import LearnerSuite, small_network, small_support
from metaloom_registry import ParseError, parse_type
from metaloom_registry.graph import export_module, load_graph


class TestBaselinePP(LearnerSuite):
    @pytest.fixture
    def learner(self) -> FreshHead:
        return baseline_pp(steps=40)

    @pytest.fixture
    def model(self) -> nn.Module:
        return small_network(5)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_logits_are_scaled_cosines() -> None:
    weight = torch.randn(3, 4, generator=seeded(1), dtype=torch.float64)
    x = torch.randn(5, 4, generator=seeded(2), dtype=torch.float64)
    wanted = 7.0 * nn.functional.cosine_similarity(x[:, None], weight, dim=2)
    torch.testing.assert_close(CosineLinear(weight, 7.0)(x).detach(), wanted)


def test_it_is_fine_tuning_of_a_cosine_layer_on_the_vectors() -> None:
    encoder, support = small_network(5).eval(), small_support()
    adapted = baseline_pp(steps=4, optimiser=sgd(0.3))(encoder, support, seeded())
    assert adapted.changed == ("head.weight",)
    x = encoder(*support.inputs).detach()
    start = torch.randn(3, 5, generator=seeded()).double()
    alone = fine_tune(4, sgd(0.3))(
        CosineLinear(start, 10.0), type(support)((x,), support.outputs), seeded()
    )
    torch.testing.assert_close(adapted.model.head.weight, alone.model.weight)  # type: ignore[union-attr]
    for name, value in encoder.state_dict().items():
        assert torch.equal(adapted.model.encoder.state_dict()[name], value)  # type: ignore[union-attr]


def test_the_cosine_layer_becomes_a_block() -> None:
    layer = CosineLinear(torch.randn(3, 4, generator=seeded(1)), 7.0)
    exported = export_module(layer, parse_type("vec[4] -> logits[3]"))
    x = torch.randn(5, 4, generator=seeded(2))
    loaded = load_graph(exported.graph, exported.weights)
    torch.testing.assert_close(loaded(x), layer(x))


def test_a_scale_that_is_none_is_refused() -> None:
    with pytest.raises(ParseError, match=r"0.0 is no scale of cosines"):
        baseline_pp(scale=0.0)
