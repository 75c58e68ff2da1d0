"""Every learner on classification, regression and vectors, with losses of one's own, and misuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaloom_heads import protonet
from metaloom_metalearn import (
    Episodes,
    Examples,
    Learner,
    Values,
    anil,
    baseline_pp,
    film,
    fine_tune,
    fresh_head,
    imaml,
    lora,
    maml,
    maml_pp,
    meta_sgd,
    reptile,
)
from metaloom_registry import InvalidTask, MetaloomError

LEARNERS: dict[str, Any] = {
    "anil": lambda **own: anil(20, 0.1, "2.*", **own),
    "film": lambda **own: film(steps=60, **own),
    "fine_tune": lambda **own: fine_tune(60, lr=0.05, **own),
    "fresh_head": lambda **own: fresh_head(steps=60, **own),
    "imaml": lambda **own: imaml(20, 0.1, 0.1, **own),
    "lora": lambda **own: lora(2, steps=60, lr=0.05, **own),
    "maml": lambda **own: maml(20, 0.1, **own),
    "maml_pp": lambda **own: maml_pp(20, 0.1, **own),
    "meta_sgd": lambda **own: meta_sgd(20, 0.1, **own),
    "reptile": lambda **own: reptile(20, 0.1, **own),
}
META = ["anil", "imaml", "maml", "maml_pp", "meta_sgd", "reptile"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(outputs: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs))


X = torch.randn(12, 4, generator=seeded(1))
KINDS: dict[str, tuple[int, Values]] = {
    "labels": (3, X[:, :3].argmax(1)),
    "labels as a tuple": (3, tuple(X[:, :3].argmax(1).tolist())),
    "labels of another width": (3, X[:, :3].argmax(1).int()),
    "a number": (1, X[:, 0] - X[:, 1]),
    "numbers as doubles in a tuple": (1, tuple((X[:, 0] - X[:, 1]).tolist())),
    "a column": (1, X[:, :1]),
    "a vector": (2, X[:, 1:3]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_learns_classes_numbers_and_vectors(name: str, kind: str) -> None:
    width, outputs = KINDS[kind]
    adapted = LEARNERS[name]()(network(width), Examples((X,), outputs), seeded())
    assert adapted.losses[-1] < 0.95 * adapted.losses[0]
    assert adapted.predict(X).shape == (12, width)


def absolute(output: Tensor, wanted: Tensor) -> Tensor:
    return (output - wanted).abs().mean()


@pytest.mark.parametrize("name", LEARNERS)
def test_a_loss_of_ones_own_is_what_is_minimised(name: str) -> None:
    model, wanted = network(2), X[:, 1:3]
    adapted = LEARNERS[name](loss=absolute)(model, Examples((X,), wanted), seeded())
    if name != "fresh_head":
        assert adapted.losses[0] == pytest.approx(float(absolute(model(X), wanted).detach()))
    assert adapted.losses[-1] < adapted.losses[0]


@pytest.mark.parametrize("name", META)
def test_vectors_and_a_loss_of_ones_own_are_meta_trained(name: str) -> None:
    model, learner = network(2).double(), LEARNERS[name](loss=absolute)
    if hasattr(learner, "equip"):
        model = learner.equip(model)
    x = X.double()[None]
    found = learner.meta_gradient(model, Episodes(x, x[..., 1:3], x, x[..., 1:3]), seeded())
    assert found.outputs.shape == (1, 12, 2)
    assert found.loss == pytest.approx(float(absolute(found.outputs[0], x[0, :, 1:3])))
    assert any(float(value.norm()) > 0 for value in found.gradients.values())


BAD: dict[str, tuple[Values, str]] = {
    "numbers for logits": (X[:, 0], r"gives \[12, 3\] where the examples have float32\[12\]"),
    "a label beyond the classes": (torch.arange(12), "a label 11 and the model has 3 classes"),
    "a negative label": (torch.arange(12) - 2, "there is a label -2; labels are counted from 0"),
    "NaN": (torch.full((12, 3), torch.nan), "output of example 0 is NaN or infinite"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", sorted(set(LEARNERS) - {"fresh_head"}))
def test_examples_that_are_none_are_told(name: str, bad: str) -> None:
    outputs, message = BAD[bad]
    with pytest.raises(InvalidTask, match=message):
        LEARNERS[name]()(network(3), Examples((X,), outputs), seeded())


@pytest.mark.parametrize("name", LEARNERS)
def test_an_empty_support_is_refused(name: str) -> None:
    with pytest.raises(InvalidTask, match="the support is empty"):
        LEARNERS[name]()(network(3), Examples((X[:0],), torch.zeros(0).long()), seeded())


@pytest.mark.parametrize("name", LEARNERS)
def test_a_loss_for_each_example_is_refused(name: str) -> None:
    def each(output: Tensor, wanted: Tensor) -> Tensor:
        return (output - wanted).abs()

    with pytest.raises(InvalidTask, match=r"the loss gives \[12, 2\]; wanted is .* one number"):
        LEARNERS[name](loss=each)(network(2), Examples((X,), X[:, :2]), seeded())


def test_a_loss_that_leaves_the_graph_is_refused() -> None:
    learner = fine_tune(loss=lambda output, wanted: absolute(output.detach(), wanted))
    with pytest.raises(InvalidTask, match="does not depend on what is trained"):
        learner(network(2), Examples((X,), X[:, :2]), seeded())
    with pytest.raises(InvalidTask, match="the loss gives float; wanted is a tensor"):
        maml(1, 0.1, loss=lambda output, wanted: 1.0)(  # type: ignore[arg-type, return-value]
            network(2), Examples((X,), X[:, :2]), seeded()
        )


@pytest.mark.parametrize("make", [fresh_head, baseline_pp])
def test_one_class_alone_has_no_head(make: Any) -> None:
    with pytest.raises(InvalidTask, match="one class only"):
        make()(network(4), Examples((X,), torch.zeros(12).long()), seeded())


def test_a_head_compares_classes_not_numbers() -> None:
    learner: Learner = protonet()
    with pytest.raises(MetaloomError, match=r"the outputs are float32\[12\]; a head compares"):
        learner(network(4), Examples((X,), X[:, 0]), seeded())
