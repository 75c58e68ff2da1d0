"""Values of tasks and batched values are each other's inverse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_metalearn import (
    Examples,
    Ragged,
    SoftBool,
    SoftInt,
    SoftLabel,
    Support,
    concatenate,
    device_of,
    from_batch,
    moved,
    put,
    rows_of,
    same_for_all,
    take,
    to_batch,
    to_support,
)
from metaloom_registry import InvalidTask, TypeMismatch, parse_type

numbers = st.integers(-(1 << 63), (1 << 63) - 1)
TYPED: list[tuple[str, st.SearchStrategy[Any]]] = [
    ("int", numbers),
    ("bool", st.booleans()),
    ("float", st.floats(allow_nan=False)),
    ("list[int]", st.lists(numbers, max_size=4).map(tuple)),
    ("list[list[bool]]", st.lists(st.lists(st.booleans(), max_size=3).map(tuple)).map(tuple)),
    ("(int, list[(int, bool)])", st.tuples(
        numbers, st.lists(st.tuples(numbers, st.booleans()), max_size=3).map(tuple)
    )),
]  # fmt: skip


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.data(), st.sampled_from(TYPED))
def test_reading_a_batch_inverts_writing_it(
    data: st.DataObject, typed: tuple[str, st.SearchStrategy[Any]]
) -> None:
    text, values = typed
    column = tuple(data.draw(st.lists(values, min_size=1, max_size=5)))
    batch = to_batch(column, parse_type(text))
    assert rows_of(batch) == len(column)
    assert from_batch(batch, parse_type(text)) == column


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.data(), st.sampled_from(TYPED))
def test_rows_are_taken_replaced_and_joined_as_of_a_sequence(
    data: st.DataObject, typed: tuple[str, st.SearchStrategy[Any]]
) -> None:
    text, values = typed
    type_ = parse_type(text)
    column = data.draw(st.lists(values, min_size=1, max_size=5))
    batch = to_batch(tuple(column), type_)
    places = data.draw(st.lists(st.integers(0, len(column) - 1), max_size=6))
    index = torch.tensor(places, dtype=torch.int64)
    assert from_batch(take(batch, index), type_) == tuple(column[i] for i in places)
    assert from_batch(concatenate([batch, batch]), type_) == tuple(column * 2)
    distinct = sorted(set(places))
    new = to_batch(tuple(column[0] for _ in distinct), type_)
    replaced = put(batch, torch.tensor(distinct, dtype=torch.int64), new)
    wanted = tuple(column[0] if i in distinct else value for i, value in enumerate(column))
    assert from_batch(replaced, type_) == wanted


@pytest.mark.parametrize(("text", "values"), TYPED)
def test_a_value_moves_to_a_device_with_all_its_parts(
    text: str, values: st.SearchStrategy[Any]
) -> None:
    batch = to_batch((), parse_type(text))
    assert device_of(moved(batch, "meta")) == torch.device("meta")


def test_supports_and_soft_values_move_too() -> None:
    support = Support(torch.ones(1, 2), torch.tensor([0]), 1).to("meta")
    assert (support.x.device.type, support.y.device.type) == ("meta", "meta")
    assert SoftInt(torch.ones(1, 1)).to("meta").device().type == "meta"
    assert SoftBool(torch.ones(1)).to("meta").device().type == "meta"
    assert SoftLabel(torch.ones(1, 1)).to("meta").device().type == "meta"


def test_lists_of_images_become_the_images_of_all_lists() -> None:
    images = torch.rand(3, 1, 2, 2)
    batch = to_batch(((images[0], images[1]), (), (images[2],)), parse_type("list[image[1,2,2]]"))
    assert isinstance(batch, Ragged)
    assert torch.equal(batch.items, images)
    assert batch.lengths.tolist() == [2, 0, 1]
    assert batch.owners().tolist() == [0, 0, 2]
    assert batch.positions().tolist() == [0, 1, 0]
    assert batch.offsets().tolist() == [0, 2, 2]
    nothing = to_batch(((), ()), parse_type("list[image[1,2,2]]"))
    assert nothing.items.shape == (0, 1, 2, 2)


def test_a_soft_integer_is_read_as_its_likeliest_value() -> None:
    batch = SoftInt(torch.tensor([[0.2, 0.8], [0.9, 0.1]]), 5)
    assert from_batch(batch, parse_type("int")) == (6, 5)


def test_the_support_of_a_task_knows_its_classes() -> None:
    examples = Examples((torch.rand(2, 4),), torch.tensor([0, 1]))
    support = to_support(examples, parse_type("vec[4]"), parse_type("label[5]"))
    assert support.classes == 5
    assert torch.equal(take(support, torch.tensor([0])).x, support.x)
    assert to_support(examples, parse_type("vec[4]"), parse_type("label[k]")).classes == 2


@pytest.mark.parametrize(
    ("values", "type_", "error", "message"),
    [
        (("a",), "text", TypeMismatch, "text has no batched form"),
        (((1, 2), 3.5), "list[int]", InvalidTask, r"'3.5' is no list\[int\]"),
        ((1, "x"), "int", InvalidTask, "these values are not all int"),
        ((1 << 70,), "int", InvalidTask, "these values are not all int"),
        (
            (torch.rand(1, 2, 2), torch.rand(1, 3, 3)),
            "image[1,2,2]",
            InvalidTask,
            r"have the shapes \[1, 2, 2\] and \[1, 3, 3\]",
        ),
        ((torch.rand(3),), "vec[4]", InvalidTask, r"a value of the shape \[3\] is no vec\[4\]$"),
        (torch.rand(1, 9, 4), "vec[4]", InvalidTask, r"is no vec\[4\]; `predict` takes one item"),
        (torch.ones(1, 1, 2, 2).byte(), "image[1,2,2]", InvalidTask, "of bytes.*divide it by 255"),
    ],
)
def test_values_of_another_type_are_refused(
    values: tuple[Any, ...], type_: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        to_batch(values, parse_type(type_))


def test_a_function_that_captures_rows_is_not_the_same_for_all() -> None:
    assert same_for_all(len) is len
    with pytest.raises(TypeMismatch, match="captures a value that differs"):
        same_for_all(Ragged(torch.tensor([1]), torch.tensor([1])))
