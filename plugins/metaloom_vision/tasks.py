"""Few-shot image tasks by their settings, as the extension point `metaloom.tasks` wants them."""

from __future__ import annotations

import torch

from metaloom_metalearn import ArrayEpisodes
from metaloom_vision.handwriting import digits
from metaloom_vision.strokes import invented_characters


def digit_tasks(ways: int = 5, shots: int = 1, queries: int = 15) -> ArrayEpisodes:
    """Tasks on the real handwritten digits: image[1,8,8] -> label[ways]."""
    return ArrayEpisodes(digits(), ways, shots, queries)


def stroke_tasks(
    ways: int = 5,
    shots: int = 1,
    queries: int = 5,
    characters: int = 1000,
    size: int = 8,
    seed: int = 0,
) -> ArrayEpisodes:
    """Tasks on invented characters: image[1,size,size] -> label[ways]; `seed` invents them."""
    generator = torch.Generator().manual_seed(seed)
    arrays = invented_characters(characters, shots + queries, generator, size)
    return ArrayEpisodes(arrays, ways, shots, queries)
