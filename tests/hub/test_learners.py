"""Every learner in a hub: what it changes becomes parts, and the rest stays shared."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from metaloom import Hub
from metaloom.learners import Learner, baseline_pp, film, fine_tune, lora, maml, metric
from metaloom_heads import matchingnet, protonet, r2d2
from metaloom_metalearn import Examples
from metaloom_registry import InvalidTask


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def support() -> Examples:
    """Three classes that differ in one of their numbers."""
    x = 0.3 * torch.randn(12, 4, generator=seeded(0))
    y = torch.arange(12) % 3
    x[torch.arange(12), y] += 1.0
    return Examples((x,), y)


@pytest.fixture
def program(hub: Hub):
    """Two trained blocks, the first of them frozen, and a head."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Sequential(nn.Linear(4, 8), nn.Tanh())
        second = nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Tanh())
    hub.publish("me/first", first, "vec[4] -> vec[8]", groups={"frozen": "*"})
    hub.publish("me/second", second, "vec[8] -> vec[6]")
    return hub["me/first"] >> hub["me/second"] >> hub["heads/prototypes"]


@pytest.mark.parametrize("learner", [lora(2, steps=5), film(steps=5), fine_tune(5), maml(2, 0.1)])
def test_only_the_blocks_that_changed_are_stored_with_their_origin(
    hub: Hub, program, support: Examples, learner: Learner
) -> None:
    fitted = hub.adapt(program, support, learner, device="cpu")
    [part] = fitted.parts.values()
    assert part.parents == (hub["me/second"].digest,)
    block = hub.publish("me/tuned", fitted)
    assert hub["me/first"].exactly in fitted.blocks
    nodes = {node.label for node in hub.lineage(block).parents.nodes}
    assert {"me/first@1", "me/second@1"} <= nodes
    found = hub.solution("me/tuned").predict_many(*support.inputs)
    assert isinstance(found, Tensor)
    mine = fitted.predict_many(*support.inputs)
    assert isinstance(mine, Tensor)
    torch.testing.assert_close(found, mine)


def test_lora_leaves_the_numbers_it_does_not_need_bit_equal(
    hub: Hub, program, support: Examples
) -> None:
    fitted = hub.adapt(program, support, lora(2, steps=5), device="cpu")
    [part] = fitted.parts.values()
    before = hub["me/second"].load()
    assert isinstance(before, nn.Module)
    for name, value in before.state_dict().items():
        assert torch.equal(part.module.state_dict()[name], value) is (name != "0.weight")


def test_a_program_of_frozen_blocks_is_not_adapted(hub: Hub, program, support: Examples) -> None:
    frozen = hub["me/first"] >> hub["heads/prototypes"]
    with pytest.raises(InvalidTask, match=r"0.weight \(frozen\)|begin with program.*frozen"):
        hub.adapt(frozen, support, fine_tune(5), device="cpu")


def test_baseline_pp_gives_an_encoder_a_cosine_layer(hub: Hub, program, support: Examples) -> None:
    fitted = hub.adapt("me/first", support, baseline_pp(steps=60), device="cpu")
    assert str(fitted.type) == "vec[4] -> logits[3]"
    outputs = fitted.predict_many(*support.inputs)
    assert isinstance(outputs, Tensor)
    assert (outputs.argmax(1) == torch.as_tensor(support.outputs)).float().mean() > 0.8
    block = hub.publish("me/cosine", fitted)
    again = hub.solution(str(block.reference)).predict_many(*support.inputs)
    assert isinstance(again, Tensor)
    torch.testing.assert_close(again, outputs)


@pytest.mark.parametrize(
    ("learner", "head"),
    [(protonet(), "prototypes"), (matchingnet(), "matching"), (r2d2(), "ridge")],
)
def test_an_encoder_with_a_metric_learner_is_the_encoder_before_that_head(
    hub: Hub, program, support: Examples, learner: Learner, head: str
) -> None:
    fitted = hub.adapt("me/first", support, learner)
    wanted = hub.adapt(hub["me/first"] >> hub[f"heads/{head}"], support)
    assert fitted.term == wanted.term
    assert not fitted.parts


def test_a_head_that_no_primitive_computes_is_refused(hub: Hub, program, support: Examples) -> None:
    with pytest.raises(InvalidTask, match=r"no primitive computes the head .* encoder >> heads/"):
        hub.adapt("me/first", support, metric(lambda support, query: query))
    with pytest.raises(InvalidTask, match=r"the head ridge with {'regularisation': 0.5"):
        hub.adapt("me/first", support, r2d2(regularisation=0.5))
