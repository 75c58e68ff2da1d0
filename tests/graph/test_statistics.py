"""What the inputs are like: moments and quantiles of a sample, and samples that misfit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from metaloom_registry import Refused, TypeMismatch
from metaloom_registry.graph import export_module, input_statistics, read_graph


@pytest.fixture(scope="module")
def graph():
    torch.manual_seed(0)
    return read_graph(export_module(nn.Linear(4, 2), "vec[4] -> vec[2]").graph)


@pytest.fixture(scope="module")
def words():
    return read_graph(export_module(nn.Embedding(9, 4), "label[9] -> vec[4]").graph)


def test_the_statistics_are_the_closed_form(graph):
    sample = torch.arange(400.0).reshape(100, 4)
    found = input_statistics(graph, sample)
    inputs: Any = found["inputs"]
    [one] = inputs
    assert found["items"] == 100
    assert (one["mean"], one["min"], one["max"]) == (199.5, 0.0, 399.0)
    assert one["std"] == pytest.approx((((400**2 - 1) / 12) ** 0.5), rel=1e-5)
    assert one["quantiles"] == {
        "0.01": 4.0,
        "0.25": 100.0,
        "0.5": 200.0,
        "0.75": 299.0,
        "0.99": 395.0,
    }


def test_whole_numbers_have_a_range(words):
    found = input_statistics(words, (torch.tensor([1, 5, 5, 8]),))
    assert found["inputs"] == [{"min": 1, "max": 8, "distinct": 3}]


def test_other_arrays_are_taken(graph):
    numpy = pytest.importorskip("numpy")
    found: dict[str, Any] = dict(input_statistics(graph, (numpy.ones((3, 4)),)))
    assert found["inputs"][0]["std"] == 0.0


@pytest.mark.parametrize(
    ("sample", "error", "reason"),
    [
        (torch.zeros(5, 3), TypeMismatch, r"float32\[5, 3\] where float32\[B, 4\] is wanted"),
        (torch.zeros(5, 4, dtype=torch.int64), TypeMismatch, r"int64\[5, 4\]"),
        ((torch.zeros(5, 4), torch.zeros(5, 4)), TypeMismatch, "2 tensors; the module takes 1"),
        (torch.zeros(0, 4), Refused, "at least one"),
        (torch.full((2, 4), float("nan")), Refused, "NaN or infinity"),
    ],
)
def test_a_sample_that_misfits_is_refused(graph, sample, error, reason):
    with pytest.raises(error, match=reason):
        input_statistics(graph, sample)
