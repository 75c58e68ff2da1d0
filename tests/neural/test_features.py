"""Features of frozen blocks: each computed once, in eval mode, without gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_metalearn import Features
from metaloom_metalearn.engines.batched.features import ROWS_AT_ONCE, applied
from metaloom_registry import (
    Digest,
    Entry,
    Primitive,
    Reference,
    TypeMismatch,
    parse_type,
)


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.calls: list[tuple[int, bool]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append((len(x), self.training))
        return self.weight * x


def entry(name: str) -> Entry:
    digest = Digest.of(name.encode())
    return Entry(Reference(None, digest), digest, "graph", parse_type("vec[2] -> vec[2]"), name)


def test_a_chain_shares_the_features_of_its_beginning() -> None:
    blocks = {entry(n).digest: Counting() for n in ("a", "b", "c")}
    features = Features(lambda e: blocks[e.digest])
    column = torch.rand(4, 2)
    a, b, c = entry("a"), entry("b"), entry("c")
    one = features.of((a, b), column)
    assert features.of((a, b), column) is one
    features.of((a, c), column)
    assert [len(block.calls) for block in blocks.values()] == [1, 1, 1]
    features.of((a,), column.clone())
    assert len(blocks[a.digest].calls) == 2
    assert features.of((), column) is column


def test_features_carry_no_gradient_and_the_mode_is_put_back() -> None:
    block = nn.Sequential(Counting(), nn.Dropout(0.5)).train()
    block[0].eval()
    made = applied(block, torch.ones(3, 2))
    assert torch.equal(made, torch.ones(3, 2))
    assert not made.requires_grad
    assert [one.training for one in block.modules()] == [True, False, True]


def test_many_rows_are_computed_in_parts() -> None:
    block = Counting()
    column = torch.rand(ROWS_AT_ONCE + 3, 2)
    assert torch.equal(applied(block, column), column)
    assert [rows for rows, _ in block.calls] == [ROWS_AT_ONCE, 3]


def test_what_does_not_map_a_batch_to_a_batch_is_refused() -> None:
    plain = Primitive("test/plain", 1, "int -> int", "Itself.", ("x",), scalar=lambda x: x)
    with pytest.raises(TypeMismatch, match="test/plain@1 does not map a batch to a batch"):
        applied(plain, torch.ones(1))
