"""Encoders for any size, images bent at random, and the recipes that train them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from metaloom_heads import prototypes
from metaloom_metalearn import (
    ArrayEpisodes,
    Plan,
    adam,
    class_digest,
    compare,
    with_head,
)
from metaloom_registry import MissingExtra, Primitive, parse_type
from metaloom_registry.testing import PrimitiveSuite
from metaloom_vision import (
    PRIMITIVES,
    affine,
    character_encoder,
    classifier,
    conv4,
    digits,
    handwriting,
    train_character_encoder,
    train_digit_reader,
)


class TestPrimitives(PrimitiveSuite):
    @pytest.fixture
    def primitives(self) -> tuple[Primitive, ...]:
        return PRIMITIVES


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("size", "grid", "features"),
    [(28, 1, 64), (8, 1, 64), (8, 4, 1024), (84, 1, 1600), (16, 2, 256)],
)
def test_conv4_makes_a_vector_of_any_image(size: int, grid: int, features: int) -> None:
    assert conv4(size, grid=grid).eval()(torch.zeros(2, 1, size, size)).shape == (2, features)


def test_conv4_for_28x28_has_112_thousand_parameters() -> None:
    assert sum(parameter.numel() for parameter in conv4(28).parameters()) == 111_936


def test_weights_are_drawn_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (conv4(8, 4, generator=seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one[0].weight, same[0].weight)  # type: ignore[arg-type]
    assert not torch.equal(one[0].weight, other[0].weight)  # type: ignore[arg-type]
    assert not any(value.is_meta for value in one.state_dict().values())


def test_activations_keep_their_scale_through_the_layers() -> None:
    model = classifier(conv4(8, 32, grid=2, generator=seeded(0)), 128, 10, seeded(0))
    logits = model(torch.rand(64, 1, 8, 8, generator=seeded(1))).detach()
    assert logits.shape == (64, 10)
    assert 0.1 < float(logits.std()) < 10


def test_flatten_and_invert_are_what_their_declarations_say() -> None:
    flatten, invert = PRIMITIVES
    image = torch.arange(8.0).reshape(2, 1, 2, 2) / 8
    assert flatten.batched is not None
    assert invert.batched is not None
    assert flatten.batched(image).tolist() == [[0, 0.125, 0.25, 0.375], [0.5, 0.625, 0.75, 0.875]]
    assert torch.equal(invert.batched(image), 1 - image)
    assert flatten.signature == parse_type("image[c,h,w] -> vec[n]")


def test_an_affine_change_of_nothing_is_none_and_a_shift_moves_the_ink() -> None:
    images = torch.rand(3, 1, 8, 8, generator=seeded(0))
    still = affine(0, 0, 0, 0)(images, seeded(1))
    torch.testing.assert_close(still, images, atol=1e-5, rtol=1e-5)
    change = affine()
    moved = change(images, seeded(1))
    assert torch.equal(moved, change(images, seeded(1)))
    assert not torch.equal(moved, change(images, seeded(2)))
    assert moved.shape == images.shape
    assert float(moved.min()) >= 0
    assert float(moved.max()) <= 1


def test_a_turn_of_the_image_turns_it(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 8] = 1.0
    quarter = torch.tensor([[math.pi / 2], [0], [0], [0], [0], [0]])
    monkeypatch.setattr(torch, "randn", lambda *_, **__: quarter)
    turned = affine(1, 0, 0, 0)(image, seeded(0))
    assert float(turned[0, 0, 0, 4] + turned[0, 0, 8, 4]) == pytest.approx(1.0, abs=1e-4)


def test_the_real_digits_are_there_with_the_identity_of_their_classes() -> None:
    arrays = digits()
    assert arrays.inputs.shape == (1797, 1, 8, 8)
    assert float(arrays.inputs.max()) == 1
    assert arrays.labels.bincount().min() == 174
    assert arrays.classes[3] == class_digest("sklearn/digits", "3")


def test_without_scikit_learn_the_digits_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handwriting, "load_digits", None)
    with pytest.raises(MissingExtra, match=r"metaloom\[demo\]"):
        digits()


def test_a_short_meta_training_on_invented_characters_helps_on_real_digits() -> None:
    plan = Plan(200, optimiser=adam(0.003), average=0.9)
    trained = train_character_encoder(prototypes, seeded(0), plan, characters=1500)
    assert trained.ended == "finished"
    source = ArrayEpisodes(digits(), ways=5, shots=1, queries=10)
    found = compare(
        {
            "trained": with_head(trained.model, prototypes),
            "random": with_head(character_encoder(seeded(1)).eval(), prototypes),
            "pixels": with_head(nn.Flatten(), prototypes),
        },
        source,
        60,
        seeded(2),
    )
    assert found.difference("trained", "pixels").low > 1
    assert found.difference("trained", "random").low > 2


def test_a_reader_of_digits_learns_from_half_of_them() -> None:
    first, second = digits().split(0.5, seeded(0))
    plan = Plan(120, batch=64, optimiser=adam(0.005), average=0.9)
    trained = train_digit_reader(first, seeded(0), plan)
    right = trained.model(second.inputs).argmax(1) == second.labels
    assert float(right.float().mean()) > 0.94
