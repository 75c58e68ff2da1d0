"""Torch's own randomness, brought under a generator for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """What torch draws by itself (fresh parameters, dropout) follows `generator` inside.

    Afterwards torch's own state is, on every device, as it was before.
    """
    seed = int(torch.randint(1 << 62, (), generator=generator))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
