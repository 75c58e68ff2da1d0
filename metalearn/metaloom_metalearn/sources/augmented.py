"""Episodes whose examples are changed at random, each on its own: more of what there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metaloom_metalearn.episodes import Episodes, EpisodeSource
from metaloom_registry import Digest


@dataclass(frozen=True)
class Augmented:
    """An EpisodeSource that draws from `source` and changes support and query by `change`.

    `change` is `(inputs [n, ...], generator) -> inputs`, such as `metaloom_vision.affine()`.
    """

    source: EpisodeSource
    change: Callable[[Tensor, torch.Generator], Tensor]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes of the source."""
        return tuple(getattr(self.source, "names", ()))

    @property
    def classes(self) -> tuple[Digest, ...]:
        """The identities of the classes of the source."""
        return tuple(getattr(self.source, "classes", ()))

    @property
    def data(self) -> tuple[Digest, ...]:
        """The digests of the data of the source."""
        return tuple(getattr(self.source, "data", ()))

    def episodes(self, count: int, generator: torch.Generator) -> Episodes:
        """Draw `count` tasks and change their examples."""
        drawn = self.source.episodes(count, generator)
        size = drawn.support_x.shape[1]
        together = torch.cat([drawn.support_x, drawn.query_x], 1)
        changed = self.change(together.flatten(0, 1), generator).reshape(together.shape)
        return replace(drawn, support_x=changed[:, :size], query_x=changed[:, size:])
