"""Part a: the blocks that the demo publishes, trained where the library does not have them yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy

import torch
from torch import nn

from metaloom import Block, Hub
from metaloom_demo.scale import Scale
from metaloom_heads import prototypes
from metaloom_metalearn import Journal, LabelledArrays, Trained
from metaloom_registry import Digest, Json
from metaloom_vision import (
    character_encoder,
    train_character_encoder,
    train_digit_reader,
)

ENCODER = "demo/characters"
READER = "demo/digit"

_ENCODER_CARD = """\
An encoder of small drawings, meta-trained as a prototypical network (Snell et al. 2017) on
invented characters alone: it has never seen a digit or a letter. Four 3x3 convolutions; the last
map keeps 4x4 places. The recipe is `metaloom_vision.train_character_encoder`.
"""
_READER_CARD = """\
Reads a handwritten digit: trained on half of the labelled 8x8 digits that scikit-learn brings.
"""


def character_block(hub: Hub, seed: int, scale: Scale, journal: Journal) -> Block:
    """The encoder, trained and published unless this library has it from the same recipe."""

    def train() -> Trained:
        generator = torch.Generator().manual_seed(seed)
        return train_character_encoder(
            prototypes, generator, scale.encoder, characters=scale.characters, journal=journal
        )

    recipe: dict[str, Json] = {
        "seed": seed,
        "steps": scale.encoder.steps,
        "characters": scale.characters,
    }
    signature = f"image[1,8,8] -> vec[{features_of(character_encoder(torch.Generator()))}]"
    return _published(hub, ENCODER, signature, recipe, train, card=_ENCODER_CARD)


def reader_block(
    hub: Hub, labelled: LabelledArrays, seed: int, scale: Scale, journal: Journal
) -> Block:
    """The digit recogniser, trained and published unless this library has it."""

    def train() -> Trained:
        generator = torch.Generator().manual_seed(seed)
        return train_digit_reader(labelled, generator, scale.reader, journal=journal)

    recipe: dict[str, Json] = {"seed": seed, "steps": scale.reader.steps}
    signature = "image[1,8,8] -> logits[10]"
    return _published(
        hub, READER, signature, recipe, train, seen=labelled.classes, card=_READER_CARD
    )


def features_of(encoder: nn.Module) -> int:
    """How many numbers an encoder makes of an 8x8 image."""
    with torch.no_grad():
        return int(deepcopy(encoder).eval()(torch.zeros(1, 1, 8, 8)).shape[1])


def _published(
    hub: Hub,
    name: str,
    signature: str,
    recipe: Mapping[str, Json],
    train: Callable[[], Trained],
    card: str,
    seen: Iterable[Digest] = (),
) -> Block:
    if name in hub and hub[name].facts.get("recipe") == recipe:
        return hub[name]
    trained = train()
    if trained.ended != "finished":
        raise KeyboardInterrupt
    return hub.publish(
        name,
        trained.model,
        signature,
        license="Apache-2.0",
        card=card,
        tags=("demo",),
        seen=seen,
        facts={"recipe": recipe},
    )
