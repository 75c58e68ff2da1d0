"""Part c: from lists of digit images to their sum, by a program and by its controls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloom import Hub
from metaloom.pictures.image import image_uri
from metaloom_demo.figures import Sum
from metaloom_demo.scale import Scale
from metaloom_metalearn import (
    Clock,
    Examples,
    LabelledArrays,
    Ragged,
    Solution,
    Task,
    recurrent_regressor,
    rmse,
)
from metaloom_registry import parse_type
from metaloom_vision import conv4

TRAINING_LISTS = 20
LENGTHS = range(2, 5)
LONG = 8
LONG_LISTS = 200


@dataclass(frozen=True)
class Lists:
    """Lists of digit images and the sum of each."""

    images: tuple[Tensor, ...]
    sums: tuple[int, ...]

    @classmethod
    def drawn(cls, digits: LabelledArrays, lengths: list[int], generator: torch.Generator) -> Lists:
        """One list of each length, images drawn with replacement."""
        images, sums = [], []
        for length in lengths:
            index = torch.randint(len(digits), (length,), generator=generator)
            images.append(digits.inputs[index])
            sums.append(int(digits.labels[index].sum()))
        return cls(tuple(images), tuple(sums))

    def examples(self) -> Examples:
        return Examples((tuple(tuple(images) for images in self.images),), self.sums)

    def ragged(self) -> Ragged:
        lengths = torch.tensor([len(images) for images in self.images])
        return Ragged(torch.cat(self.images), lengths)


def measure_sums(
    hub: Hub,
    reader: nn.Module,
    known: LabelledArrays,
    unseen: LabelledArrays,
    seed: int,
    scale: Scale,
    device: str | None = None,
) -> tuple[Solution, Sum]:
    """Solve the task from lists of `known` images, and measure on long lists of `unseen` ones.

    The controls see the same lists for equally many steps: a recurrent network on what the same
    recogniser says, frozen, and one whose encoder begins from scratch.
    """
    generator = torch.Generator().manual_seed(seed)
    lengths = [LENGTHS[i % len(LENGTHS)] for i in range(TRAINING_LISTS)]
    training = Lists.drawn(known, lengths, generator)
    long = Lists.drawn(unseen, [LONG] * LONG_LISTS, generator)
    type_ = parse_type("list[image[1,8,8]] -> int")
    task = Task(type_, training.examples(), name="sum-of-digits")
    solution = hub.solve(task, budget=scale.sum_budget, seed=seed, device=device)
    answers = [int(str(a)) for a in solution.predict_many(*long.examples().inputs)]
    errors = [(a - s) ** 2 for a, s in zip(answers, long.sums, strict=True)]
    totals = torch.tensor(training.sums)
    wanted = torch.tensor(long.sums)

    def control(encoder: nn.Module, frozen: bool) -> float:
        trainer = recurrent_regressor(encoder, frozen=frozen)
        fitted = trainer.fit(
            training.ragged(), totals, generator, steps=scale.control_steps, clock=Clock(60.0)
        )
        return rmse(fitted, long.ragged(), wanted)

    scratch = conv4(known.inputs.shape[-1], channels=32, grid=2, generator=generator)
    return solution, Sum(
        term=solution.term,
        source=solution.source,
        seconds=solution.seconds,
        tried=solution.tried,
        length=LONG,
        rmse_library=math.sqrt(sum(errors) / len(errors)),
        rmse_frozen=control(reader, frozen=True),
        rmse_scratch=control(scratch, frozen=False),
        picture=tuple(
            (tuple(image_uri(image) for image in images), total, answer)
            for images, total, answer in list(zip(long.images, long.sums, answers, strict=True))[:4]
        ),
    )
