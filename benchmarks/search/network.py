"""A recurrent network that learns one list task from its examples: the control of programs.

An encoder and a decoder of gated recurrent units (Cho et al. 2014) over the integers that occur in
the examples; an output that is no list is a list of one item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

WIDTH = 64
STEPS = 200
RATE = 5e-3
END = 0


class Transducer(nn.Module):
    """Tokens [n, length] and the outputs so far [n, m] -> logits [n, m, tokens]."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, WIDTH)
        self.encoder = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.decoder = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.head = nn.Linear(WIDTH, tokens)

    def forward(self, given: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
        _, state = self.encoder(self.embedding(given))
        read, _ = self.decoder(self.embedding(written), state)
        logits: torch.Tensor = self.head(read)
        return logits


def right_on(
    seen: Sequence[tuple[Any, Any]], further: Sequence[tuple[Any, Any]], seed: int
) -> bool:
    """Whether a network trained on the examples seen is right on all further ones."""
    written = predictions(seen, [given for given, _ in further], STEPS, seed)
    return written == [as_items(wanted) for _, wanted in further]


def predictions(
    seen: Sequence[tuple[Any, Any]], inputs: Sequence[tuple[int, ...]], steps: int, seed: int
) -> list[tuple[int, ...]]:
    """What a network trained on the examples seen writes for other inputs of known items."""
    examples = [(given, as_items(wanted)) for given, wanted in seen]
    known = sorted({x for given, wanted in examples for x in (*given, *wanted)})
    token = {item: place + 1 for place, item in enumerate(known)}
    torch.manual_seed(seed)
    network = Transducer(len(known) + 1)
    given = _padded([given for given, _ in examples], token)
    wanted = _padded([(*wanted, None) for _, wanted in examples], token)
    written = torch.cat([torch.zeros_like(wanted[:, :1]), wanted[:, :-1]], 1)
    optimiser = torch.optim.Adam(network.parameters(), RATE)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(network(given, written).flatten(0, 1), wanted.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return _decoded(network, _padded(list(inputs), token), known)


def as_items(value: Any) -> tuple[int, ...]:
    """An output as the network writes it: a list of integers."""
    return tuple(map(int, value)) if isinstance(value, tuple) else (int(value),)


@torch.no_grad()
def _decoded(network: Transducer, given: torch.Tensor, known: Sequence[int]) -> list[Any]:
    written = torch.zeros(len(given), 1, dtype=torch.int64)
    for _ in range(2 * given.shape[1] + 2):
        following = network(given, written)[:, -1:].argmax(-1)
        written = torch.cat([written, following], 1)
    found = []
    for row in written[:, 1:].tolist():
        length = row.index(END) if END in row else len(row)
        found.append(tuple(known[t - 1] for t in row[:length]))
    return found


def _padded(rows: Sequence[Sequence[int | None]], token: dict[int, int]) -> torch.Tensor:
    """int64 [n, longest]: the tokens, an unknown one and the end being `END`."""
    encoded = [[END if x is None else token.get(x, END) for x in row] for row in rows]
    return pad_sequence([torch.tensor(row or [END]) for row in encoded], batch_first=True)
