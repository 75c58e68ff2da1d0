"""Whether two tensors are the same up to rounding."""

import pytest
import torch

from metaloom_registry.graph.agreement import apart

ODD = torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_rounding_is_no_difference_and_more_is(dtype):
    x = torch.linspace(-3, 3, 7, dtype=dtype)
    step = torch.finfo(dtype).eps * 3
    assert not apart(x + 10 * step, x, 1.0)
    assert "values are 3" in apart(x + 1000 * step, x, 1.0)


def test_numbers_of_the_other_parts_of_a_vector_make_a_small_part_a_rounding_error():
    small = torch.tensor([1e-6])
    assert apart(small, torch.zeros(1), 1.0)
    assert not apart(small, torch.zeros(1), 1.0, 10.0)


def test_the_same_nan_and_infinity_agree_and_hide_no_other_difference():
    assert not apart(ODD + 0.0, ODD, 1.0)
    assert apart(ODD + torch.tensor([0.0, 0.0, 0.0, 0.1]), ODD, 1.0).startswith("by 0.1")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_nan_and_infinities_of_either_sign_differ_from_each_other(place):
    mixed = ODD.clone()
    mixed[place] = 5.0
    assert apart(mixed, ODD, 1.0) == "NaN or infinity in one of them"
    assert apart(ODD[:3].roll(1), ODD[:3], 1.0) == "NaN or infinity in one of them"


def test_numbers_too_far_apart_for_their_dtype_differ():
    largest = torch.tensor([60_000.0], dtype=torch.float16)
    assert apart(-largest, largest, 1.0).startswith("by 1.2e+05")
