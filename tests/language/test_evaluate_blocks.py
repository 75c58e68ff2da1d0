"""Trained blocks and tensors in the hard engine."""

from typing import Any, cast

import pytest
import torch
from torch import nn

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Evaluator
from metaloom_metalearn.engines.hard.items import Item
from metaloom_registry import (
    Digest,
    EvaluationError,
    Primitive,
    PrimitiveTable,
    Reference,
    parse_term,
)

ARGMAX = Primitive(
    "me/argmax",
    1,
    "logits[k] -> label[k]",
    "The likeliest.",
    ("x",),
    batched=lambda x: x.argmax(-1),
)
VALUE = Primitive("me/value", 1, "label[k] -> int", "As integer.", ("x",), batched=lambda x: x)
LONGEST = Primitive(
    "me/lengths", 1, "list[int] -> (int, list[int])", "Both.", ("x",),
    batched=lambda x: (x.lengths, x),
)  # fmt: skip
APPLY = Primitive(
    "me/apply", 1, "(a -> b) -> a -> b", "The value.", ("f", "x"), batched=lambda f, x: f(x)
)
TABLE = PrimitiveTable((*PRIMITIVES, ARGMAX, VALUE, LONGEST, APPLY))
NET = Reference(None, Digest("12" * 32))


class Counting(nn.Module):
    """Its input as logits; counts how often it runs and on how many rows."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.drop = nn.Dropout(0.9)

    def forward(self, x):
        self.batches.append(len(x))
        return self.drop(x)


@pytest.fixture
def net():
    return Counting()


@pytest.fixture
def evaluator(net):
    return Evaluator(lambda r: net if r == NET else TABLE[r])


def read(text):
    return parse_term(text.replace("NET", str(NET)), TABLE.short_names)


def image(*numbers):
    return torch.tensor([float(n) for n in numbers])


def test_a_trained_block_runs_in_eval_mode_and_once_for_each_content(net, evaluator):
    x = image(0, 3, 1)
    total = read("(lam (fold add 0 (map (lam (value (argmax (NET $0)))) $0)))")
    assert evaluator.value(total, (x, x.clone(), image(5, 0, 0))) == 2
    assert net.batches == [1, 1]
    assert net.training
    assert torch.equal(evaluator.value(read("NET"), x), x)
    assert net.batches == [1, 1]


def test_warming_runs_one_batch_for_what_is_new(net, evaluator):
    evaluator.warm(NET, [image(1, 0), image(0, 1), image(1, 0)])
    assert evaluator.value(read("(lam (map NET $0))"), (image(1, 0), image(0, 1)))
    evaluator.warm(NET, [image(1, 0)])
    assert net.batches == [2]


def test_batched_primitives_are_called_with_a_batch_of_one(evaluator):
    assert evaluator.value(read("(lengths (range 3))")) == (3, (0, 1, 2))
    assert evaluator.value(read("(apply (add 2) 3)")) == 5
    assert evaluator.value(read("(apply (lam (value (argmax $0))))"), image(0, 0, 9)) == 2
    found = evaluator.value(read("(lam (argmax (apply NET $0)))"), image(0, 7))
    assert torch.equal(found, torch.tensor(1))


def test_a_block_that_does_not_fit_is_an_evaluation_error(evaluator):
    linear = nn.Linear(3, 2)
    evaluator = Evaluator(lambda r: linear if r == NET else TABLE[r])
    with pytest.raises(EvaluationError, match=r"the block @sha256:1212.* fails"):
        evaluator.value(read("NET"), image(1, 2))
    with pytest.raises(EvaluationError, match="a primitive, a term or a torch module"):
        Evaluator(lambda _: cast(Any, object())).value(read("NET"))


def test_items_are_equal_where_shape_dtype_and_bytes_are():
    assert Item(image(1, 2)) == Item(image(1, 2))
    assert len({Item(image(1, 2)), Item(image(1, 2)), Item(image(1, 2)[None])}) == 2
    assert Item(torch.tensor(0)) != Item(torch.tensor(0.0))
    assert Item(image(1, 2)) != 1
    assert repr(Item(image(1, 2))) == "Item(float32[2])"
