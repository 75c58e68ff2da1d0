"""Text classification over embeddings: labelled texts as labelled vectors."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from metaloom_metalearn.sources.arrays import LabelledArrays
from metaloom_registry import InvalidTask

Embed: TypeAlias = Callable[[Sequence[str]], Tensor]
"""`texts -> float32 [n, features]`, such as `SentenceTransformer(...).encode` with tensors."""


def hashed_ngrams(features: int = 512, lengths: Sequence[int] = (2, 3, 4)) -> Embed:
    """Counts of runs of characters, hashed into `features` numbers with signs, of length 1.

    Weinberger et al. 2009.  Needs no training and no model; case and borders of words count.
    """

    def embed(texts: Sequence[str]) -> Tensor:
        found = torch.zeros(len(texts), features)
        for row, text in enumerate(texts):
            padded = f" {text.lower()} "
            for n in lengths:
                for start in range(len(padded) - n + 1):
                    code = zlib.crc32(padded[start : start + n].encode())
                    found[row, (code >> 1) % features] += 1 if code & 1 else -1
        return torch.nn.functional.normalize(found)

    return embed


def embed_texts(
    texts: Sequence[str],
    labels: Sequence[str | int],
    dataset: str,
    embed: Embed | None = None,
    chunk: int = 256,
) -> LabelledArrays:
    """Embed labelled texts once, `chunk` at a time; by default by `hashed_ngrams`.

    Few-shot tasks are then drawn from the vectors.  Raises InvalidTask where there are not as many
    labels as texts, or the embedding is not one vector a text.
    """
    if len(texts) != len(labels) or not texts:
        raise InvalidTask(
            f"{dataset} has {len(texts)} texts and {len(labels)} labels; wanted is one for each"
        )
    chosen = embed or hashed_ngrams()
    parts = []
    for first in range(0, len(texts), chunk):
        some = list(texts[first : first + chunk])
        vectors = torch.as_tensor(chosen(some)).detach().cpu().float()
        if vectors.dim() != 2 or len(vectors) != len(some):
            raise InvalidTask(
                f"the embedding of {len(some)} texts of {dataset} is {list(vectors.shape)}; "
                "wanted is one vector a text"
            )
        parts.append(vectors)
    names = sorted({str(label) for label in labels})
    places = {name: place for place, name in enumerate(names)}
    index = torch.tensor([places[str(label)] for label in labels])
    return LabelledArrays(torch.cat(parts), index, tuple(names), dataset, "vec")
