"""How the networks of this plugin are trained: an encoder of characters, a reader of digits."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from metaloom_metalearn import (
    ArrayEpisodes,
    Clock,
    Journal,
    LabelledArrays,
    Plan,
    Support,
    Trained,
    adam,
    meta_train,
    metric,
    train_classifier,
)
from metaloom_vision.augmentation import affine
from metaloom_vision.encoders import classifier, conv4
from metaloom_vision.strokes import Style, invented_characters

UNSTEADY = Style(jitter=0.03, warp=0.05, turn=0.2, lean=0.3, stretch=0.3, ink=(0.29, 0.09))
"""A hand so unsteady that an encoder which knows its characters knows those of other hands."""

ENCODER_PLAN = Plan(2500, batch=1, optimiser=adam(0.002), average=0.99)
READER_PLAN = Plan(600, batch=64, optimiser=adam(0.003), average=0.98)


def character_encoder(generator: torch.Generator, size: int = 8) -> nn.Sequential:
    """An untrained encoder of small characters: image[1,8,8] -> vec[1024].

    Its last map keeps 4x4 places: at 8x8 pixels, where a stroke is matters as much as its shape.
    """
    return conv4(size, channels=64, grid=4, generator=generator)


def train_character_encoder(
    head: Callable[[Support, Tensor], Tensor],
    generator: torch.Generator,
    plan: Plan = ENCODER_PLAN,
    size: int = 8,
    characters: int = 4000,
    clock: Clock | None = None,
    journal: Journal | None = None,
) -> Trained:
    """Meta-train an encoder on invented characters alone, 30-way 1-shot, for `head`.

    With `metaloom_heads.prototypes`, seen classes are those of `invented_characters`: no alphabet
    and no digit.  About a minute on two cores.
    """
    data = invented_characters(characters, 10, generator, size, UNSTEADY)
    return meta_train(
        character_encoder(generator, size),
        ArrayEpisodes(data, ways=30, shots=1, queries=2),
        metric(head, scale=0.05),
        generator,
        plan,
        clock,
        journal,
    )


def train_digit_reader(
    data: LabelledArrays,
    generator: torch.Generator,
    plan: Plan = READER_PLAN,
    clock: Clock | None = None,
    journal: Journal | None = None,
) -> Trained:
    """Train image[1,8,8] -> logits[10] on labelled digits, slightly bent at random."""
    channels, size = data.inputs.shape[1], data.inputs.shape[2]
    encoder = conv4(size, channels=32, inputs=channels, grid=2, generator=generator)
    model = classifier(encoder, 128, len(data.names), generator)
    augment = affine(turn=0.08, lean=0.08, stretch=0.06, shift=0.05)
    return train_classifier(model, data, generator, plan, augment, clock=clock, journal=journal)
