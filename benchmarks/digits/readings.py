"""What programs and networks say of lists of digits, and how far that is from the truth.

A number is read as the mean of what is said of five views of the images: as they are, and shifted
by a pixel in each of four directions.  A program says the expectation of its soft form there; what
it gives with certainty is taken where that errs less on the lists it was found with, unless it has
networks that were trained on these.  Every view of every image is looked at once, however many
lists show it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmarks.digits.lists import Images, Lists
from metaloom_metalearn import (
    RecurrentRegressor,
    Soft,
    SoftInt,
    Solution,
    TermModule,
    compile_term,
)
from metaloom_metalearn.engines.batched.features import applied
from metaloom_metalearn.engines.batched.values import Ragged
from metaloom_metalearn.search.neural.holdout import shifts
from metaloom_metalearn.search.neural.picked import Picked, remembering
from metaloom_registry import TypeMismatch

BATCH = 200
CHOOSING = 600
"""By at most so many lists a reading is chosen."""


def errors(solution: Solution, lists: Lists) -> dict[str, float]:
    """The RMSE of both readings of a program."""
    said: dict[str, Sequence[float]] = {
        "expected": expected(solution, lists, views(lists.images)),
        "certain": answered(solution, lists),
    }
    return {kind: distance(numbers, lists.totals) for kind, numbers in said.items()}


def reading(solution: Solution, train: Lists) -> str:
    """The reading that errs less on the lists a program was found with, not trained on."""
    if solution.parts:
        return "expected"
    found = errors(solution, train.take(range(min(CHOOSING, len(train.totals)))))
    return min(found, key=lambda kind: found[kind])


def views(images: Images) -> list[Images]:
    """The images as they are, and shifted by a pixel right, left, down and up."""
    return [images, *(replace(images, pixels=moved) for moved in shifts(images.pixels))]


def expected(solution: Solution, lists: Lists, many: Sequence[Images]) -> list[float]:
    """The mean over views of what a program's soft form expects; its answers where it has none."""
    resolver = solution.resolver
    try:
        module = compile_term(
            solution.term, resolver.type_of, lambda one: remembering(resolver(one)), Soft()
        ).eval()
        said = [expectations(module, replace(lists, images=view)) for view in many]
    except TypeMismatch:
        return [float(one) for one in answered(solution, lists)]
    return torch.stack(said).mean(0).tolist()


def expectations(module: TermModule, lists: Lists) -> Tensor:
    """float [lists]: what a soft program expects of each list."""
    found: list[Tensor] = []
    for start in range(0, len(lists.totals), BATCH):
        some = lists.take(range(start, min(start + BATCH, len(lists.totals))))
        lengths = torch.tensor([len(place) for place in some.places])
        shown = Ragged(Picked(lists.images.pixels, torch.cat(some.places)), lengths)
        with torch.no_grad():
            said = module(shown)
        found.append(said.mean() if isinstance(said, SoftInt) else said.float())
    return torch.cat(found)


def answered(solution: Solution, lists: Lists) -> list[int]:
    """What a program gives for lists, some at a time; 0 where it has no value."""
    found: list[int] = []
    inputs = lists.examples().inputs[0]
    for start in range(0, len(inputs), BATCH):
        said = solution.predict_many(inputs[start : start + BATCH])
        found += [0 if one is None else int(str(one)) for one in said]
    return found


def regressed(model: RecurrentRegressor, lists: Lists, many: Sequence[Images]) -> list[float]:
    """The mean over views of the number that a network gives for each list."""
    rest = RecurrentRegressor(nn.Identity(), model.network, model.mean, model.scale).eval()
    said = []
    for view in many:
        seen = Images(applied(model.encoder, view.pixels).flatten(1), view.labels)
        with torch.no_grad():
            said.append(rest(replace(lists, images=seen).ragged()))
    return torch.stack(said).mean(0).tolist()


def distance(said: Sequence[float], wanted: Sequence[int]) -> float:
    """The root mean squared error."""
    return math.sqrt(sum((s - w) ** 2 for s, w in zip(said, wanted, strict=True)) / len(wanted))


def exact(said: Sequence[float], wanted: Sequence[int]) -> float:
    """The share of lists whose number is right, once rounded."""
    return round(sum(round(s) == w for s, w in zip(said, wanted, strict=True)) / len(wanted), 4)
