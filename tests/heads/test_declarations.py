"""The primitives of the heads as the language sees them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from metaloom_heads import PRIMITIVES
from metaloom_metalearn import Support
from metaloom_registry import Primitive, PrimitiveTable, parse_type
from metaloom_registry.testing import PrimitiveSuite

TABLE = PrimitiveTable(PRIMITIVES)


class TestPrimitives(PrimitiveSuite):
    @pytest.fixture
    def primitives(self) -> tuple[Primitive, ...]:
        return PRIMITIVES


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("prototypes", "examples[vec[n], label[k]] -> vec[n] -> logits[k]"),
        ("ridge", "examples[vec[n], label[k]] -> vec[n] -> logits[k]"),
        ("nearest", "examples[vec[n], label[k]] -> vec[n] -> logits[k]"),
        ("matching", "examples[vec[n], label[k]] -> vec[n] -> logits[k]"),
        ("cosine", "examples[vec[n], label[k]] -> vec[n] -> logits[k]"),
        ("svm", "examples[vec[n], label[k]] -> vec[n] -> logits[k]"),
        ("ridge_of_strength", "float -> examples[vec[n], label[k]] -> vec[n] -> logits[k]"),
        ("softmax_regression", "float -> int -> examples[vec[n], label[k]] -> vec[n] -> logits[k]"),
        ("embed", "(a -> b) -> examples[a, c] -> examples[b, c]"),
        ("argmax", "logits[k] -> label[k]"),
        ("softmax", "logits[k] -> vec[k]"),
        ("value", "label[k] -> int"),
    ],
)
def test_the_primitives_have_the_types_that_programs_are_written_with(
    name: str, type_: str
) -> None:
    assert TABLE[TABLE.short_names[name]].signature == parse_type(type_)


@pytest.mark.parametrize("plugin", ["metaloom_heads", "metaloom_vision"])
def test_listing_the_primitives_does_not_import_torch(plugin: str) -> None:
    code = f"import sys, {plugin}; {plugin}.PRIMITIVES; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_declared_code_is_there_and_computes() -> None:
    support = Support(torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1]), 2)
    query = torch.tensor([[0.9]])
    label = torch.tensor([1])
    for primitive in PRIMITIVES:
        arguments = {
            "support": support, "query": query, "logits": query, "label": label, "f": torch.neg,
            "strength": torch.ones(1), "rate": torch.ones(1), "steps": label,
        }  # fmt: skip
        for form in (primitive.batched, primitive.soft or primitive.batched):
            assert form is not None
            assert form(*(arguments[name] for name in primitive.parameters)) is not None
