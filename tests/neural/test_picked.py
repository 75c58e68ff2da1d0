"""Picked rows: programs say of them what they say of the rows, and blocks read each row once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import Ragged, Soft, SoftInt, compile_term
from metaloom_metalearn.engines.batched.mode import Hard
from metaloom_metalearn.engines.batched.values import concatenate, put, take
from metaloom_metalearn.search.neural.picked import Picked, gathered, remembering
from metaloom_registry import (
    Digest,
    Loaded,
    PrimitiveTable,
    Reference,
    Type,
    parse_term,
    parse_type,
)

TABLE = PrimitiveTable((*HEADS, *LISTS))
READER = Reference(None, Digest.of(b"reader"))
PROGRAMS = (
    "(lam (count (lam (is_odd (heads/value@1 (heads/argmax@1 ({} $0))))) $0))",
    "(lam (fold (lam (lam (add $1 (heads/value@1 (heads/argmax@1 ({} $0)))))) 0 $0))",
    "(lam (sum (map (lam (heads/value@1 (heads/argmax@1 ({} $0)))) (reverse $0))))",
)


class Counting(nn.Module):
    """Logits of three classes, and how many rows they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.rows = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.rows += len(x)
        return self.layer(x)


def type_of(reference: Reference) -> Type:
    return parse_type("vec[4] -> logits[3]") if reference == READER else TABLE[reference].signature


@pytest.mark.parametrize("mode", [Hard(), Soft()])
def test_many_programs_read_each_row_once_and_say_the_same(mode: Hard | Soft) -> None:
    torch.manual_seed(0)
    reader, lengths = Counting(), torch.tensor([2, 0, 3, 1])
    lists = Ragged(torch.randn(6, 4), lengths)
    known: dict[Reference, Loaded] = {one.reference: remembering(one) for one in TABLE}
    known[READER] = remembering(reader)
    shown = Picked.every(lists)
    for text in PROGRAMS:
        term = parse_term(text.format(READER), TABLE.short_names)
        plain = compile_term(
            term, type_of, lambda one: reader if one == READER else TABLE[one], mode
        )
        wanted = plain(lists)
        before = reader.rows
        found = compile_term(term, type_of, known.__getitem__, mode)(shown)
        assert reader.rows - before == (6 if text is PROGRAMS[0] else 0)
        if isinstance(wanted, SoftInt):
            wanted, found = wanted.mean(), found.mean()
        assert torch.allclose(found.double(), wanted.double())


def test_rows_are_picked_joined_and_put_by_their_places() -> None:
    column = torch.arange(10.0)[:, None]
    some = take(Picked.every(column), torch.tensor([3, 1, 1]))
    assert gathered(some)[:, 0].tolist() == [3, 1, 1]
    both = concatenate([some, take(some, torch.tensor([0]))])
    assert isinstance(both, Picked)
    assert both.column is column
    assert gathered(put(some, torch.tensor([1]), take(some, torch.tensor([0])))).tolist() == [
        [3.0],
        [3.0],
        [1.0],
    ]
    mixed = concatenate([some, torch.full((1, 1), 7.0)])
    assert gathered(mixed)[:, 0].tolist() == [3, 1, 1, 7]
