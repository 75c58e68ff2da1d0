"""Heads against their definitions, their derivatives, and tasks side by side."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import vmap

from metaloom_heads import cosine, embed, matching, nearest, prototypes, ridge, svm
from metaloom_heads.reading import argmax, soft_argmax, soft_value, softmax, value
from metaloom_heads.ridge_regression import REGULARISATION, SCALE
from metaloom_heads.support_vectors import RIDGE, _slack, _solution
from metaloom_metalearn import SoftInt, SoftLabel, Support
from metaloom_registry import TypeMismatch

Head = Callable[[Support, Tensor], Tensor]
CENTRED: list[Head] = [prototypes, nearest, ridge, svm]
HEADS: list[Head] = [*CENTRED, matching, cosine]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def task(seed: int, count: int = 8, features: int = 5, classes: int = 3) -> tuple[Support, Tensor]:
    """A support in which every class appears, and six queries; float64."""
    generator = seeded(seed)
    x = torch.randn(count, features, generator=generator, dtype=torch.float64)
    y = torch.arange(count) % classes
    query = torch.randn(6, features, generator=generator, dtype=torch.float64)
    return Support(x, y[torch.randperm(count, generator=generator)], classes), query


@settings(derandomize=True, max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(4, 12), classes=st.integers(2, 4))
def test_prototypes_are_minus_the_squared_distances_to_the_means(
    seed: int, count: int, classes: int
) -> None:
    support, query = task(seed, count, 5, classes)
    means = torch.stack([support.x[support.y == c].mean(0) for c in range(classes)])
    wanted = -((query[:, None] - means) ** 2).sum(2)
    torch.testing.assert_close(prototypes(support, query), wanted)


@settings(derandomize=True, max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(4, 12), classes=st.integers(2, 4))
def test_nearest_is_minus_the_least_squared_distance_to_each_class(
    seed: int, count: int, classes: int
) -> None:
    support, query = task(seed, count, 5, classes)
    distance = ((query[:, None] - support.x) ** 2).sum(2)
    wanted = torch.stack([-distance[:, support.y == c].amin(1) for c in range(classes)], 1)
    torch.testing.assert_close(nearest(support, query), wanted)


@pytest.mark.parametrize(("count", "features"), [(6, 9), (9, 6), (7, 7)])
def test_ridge_solves_the_regularised_normal_equations(count: int, features: int) -> None:
    support, query = task(0, count, features)
    x = support.x - support.x.mean(0)
    y = torch.nn.functional.one_hot(support.y, 3).double()
    strength = REGULARISATION * (x**2).sum() / count
    normal = x.T @ x + strength * torch.eye(features, dtype=torch.float64)
    weights = torch.linalg.inv(normal) @ x.T @ (y - y.mean(0))
    wanted = SCALE * ((query - support.x.mean(0)) @ weights + y.mean(0))
    torch.testing.assert_close(ridge(support, query), wanted)


def test_ridge_does_not_mind_the_scale_of_the_features() -> None:
    support, query = task(1)
    scaled = Support(100 * support.x, support.y, 3)
    torch.testing.assert_close(ridge(scaled, 100 * query), ridge(support, query))


def test_matching_weighs_the_labels_by_the_softmax_of_the_cosines() -> None:
    support, query = task(6)
    cosines = torch.nn.functional.cosine_similarity(query[:, None], support.x, dim=2)
    attention = (7.0 * cosines).softmax(1)
    wanted = attention @ torch.nn.functional.one_hot(support.y, 3).double()
    torch.testing.assert_close(matching(support, query, scale=7.0).exp(), wanted)


def test_cosine_compares_with_the_mean_of_unit_vectors() -> None:
    support, query = task(7)
    units = support.x / support.x.norm(dim=1, keepdim=True)
    means = torch.stack([units[support.y == c].mean(0) for c in range(3)])
    wanted = 5.0 * torch.nn.functional.cosine_similarity(query[:, None], means, dim=2)
    torch.testing.assert_close(cosine(support, query, scale=5.0), wanted)


@pytest.mark.parametrize("head", [matching, cosine])
def test_cosines_do_not_mind_lengths_nor_a_vector_of_zeros(head: Head) -> None:
    support, query = task(8)
    longer = Support(support.x * torch.rand(8, 1, generator=seeded(1)).double(), support.y, 3)
    torch.testing.assert_close(head(longer, 3 * query), head(support, query))
    x = torch.zeros(8, 5).double().requires_grad_()
    logits = head(Support(x, support.y, 3), query)
    logits.sum().backward()
    assert bool(torch.isfinite(logits).all())
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


@settings(derandomize=True, max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(4, 12),
    classes=st.integers(2, 4),
    cost=st.sampled_from([0.05, 1.0, 20.0]),
)
def test_the_svm_meets_the_conditions_of_its_quadratic_program(
    seed: int, count: int, classes: int, cost: float
) -> None:
    """Karush, Kuhn and Tucker's, which hold at the minimum alone: the program is convex."""
    support, _ = task(seed, count, 5, classes)
    labels = torch.nn.functional.one_hot(support.y, classes).double()
    x = support.x - support.x.mean(0)
    kernel = x @ x.T / (x * x).sum() * count + RIDGE * torch.eye(count)
    upper = cost * labels
    free = (_slack(kernel, labels, upper) > 0).double()
    alpha = _solution(kernel, labels, upper, free)
    assert float(alpha.sum(1).abs().max()) < 1e-9
    assert float((alpha - upper).max()) < 1e-9
    slope = kernel @ alpha - labels
    level = (slope * free).sum(1, keepdim=True) / free.sum(1, keepdim=True)
    torch.testing.assert_close(slope * free, level * free)
    assert float(((slope - level) * (1 - free)).max()) < 1e-9


def test_without_a_gradient_the_svm_is_the_same_but_for_rounding() -> None:
    support, query = task(10, count=20)
    with torch.no_grad():
        found = svm(support, query)
    torch.testing.assert_close(found, svm(support, query), rtol=1e-4, atol=1e-3)


def test_two_examples_have_the_svm_of_the_widest_margin() -> None:
    """At +a and -a the machine w = (1/2, -1/2)/a scores +1/2 and -1/2, but for the small ridge."""
    support = Support(torch.tensor([[3.0], [-3.0]]).double(), torch.tensor([0, 1]), 2)
    scores = svm(support, support.x, scale=1.0)
    wanted = torch.tensor([[0.5, -0.5], [-0.5, 0.5]]).double() * 2 / (2 + RIDGE)
    torch.testing.assert_close(scores, wanted)


@pytest.mark.parametrize(
    ("head", "setting"),
    [
        (ridge, "regularisation"),
        (ridge, "scale"),
        (svm, "cost"),
        (svm, "scale"),
        (matching, "scale"),
        (cosine, "scale"),
    ],
)
def test_the_settings_of_heads_have_the_gradients_of_finite_differences(
    head: Callable[..., Tensor], setting: str
) -> None:
    support, query = task(9)
    value = torch.tensor(0.3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: head(support, query, **{setting: v}), (value,))


@pytest.mark.parametrize("head", CENTRED)
def test_heads_ignore_where_the_origin_and_the_order_of_the_support_are(head: Head) -> None:
    support, query = task(2)
    order = torch.randperm(8, generator=seeded(0))
    moved = Support(support.x[order] + 7, support.y[order], 3)
    torch.testing.assert_close(head(moved, query + 7), head(support, query))


@pytest.mark.parametrize("head", CENTRED)
def test_float32_far_from_the_origin_loses_no_digits(head: Head) -> None:
    support, query = task(3)
    near = head(Support(support.x.float() + 300, support.y, 3), query.float() + 300)
    torch.testing.assert_close(near, head(support, query).float(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("head", HEADS)
def test_the_gradients_of_both_orders_are_those_of_finite_differences(head: Head) -> None:
    support, query = task(4, count=5, features=3)
    x, query = support.x.requires_grad_(), query[:2].requires_grad_()

    def logits(x: Tensor, query: Tensor) -> Tensor:
        return head(Support(x, support.y, 3), query)

    assert torch.autograd.gradcheck(logits, (x, query))
    assert torch.autograd.gradgradcheck(logits, (x, query))


@pytest.mark.parametrize("head", HEADS)
def test_a_task_axis_and_vmap_give_the_tasks_one_by_one(head: Head) -> None:
    tasks = [task(seed) for seed in range(4)]
    x = torch.stack([support.x for support, _ in tasks])
    y = torch.stack([support.y for support, _ in tasks])
    queries = torch.stack([query for _, query in tasks])
    wanted = torch.stack([head(support, query) for support, query in tasks])
    torch.testing.assert_close(head(Support(x, y, 3), queries), wanted)
    mapped = vmap(lambda x, y, q: head(Support(x, y, 3), q))(x, y, queries)
    torch.testing.assert_close(mapped, wanted)


@pytest.mark.parametrize("head", [prototypes, nearest, matching, cosine, svm])
def test_a_class_without_an_example_is_never_chosen_and_leaves_gradients_finite(
    head: Head,
) -> None:
    support, query = task(5)
    x = support.x.requires_grad_()
    logits = head(Support(x, support.y, 4), query)
    assert bool((logits[:, 3] == -torch.inf).all())
    logits.softmax(1)[:, :3].sum().backward()
    torch.testing.assert_close(logits[:, :3], head(support, query))
    assert torch.equal(logits.argmax(1), head(support, query).argmax(1))
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


def test_ridge_scores_a_class_without_an_example_below_the_others() -> None:
    support, _ = task(5)
    logits = ridge(Support(support.x, support.y, 4), support.x)
    assert bool((logits.argmax(1) < 3).all())
    torch.testing.assert_close(logits[:, :3], ridge(support, support.x))


def test_equal_examples_have_a_ridge_regression_too() -> None:
    support = Support(torch.ones(4, 3), torch.tensor([0, 0, 1, 1]), 2)
    torch.testing.assert_close(ridge(support, torch.zeros(1, 3)), torch.full((1, 2), SCALE / 2))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("support", "message"),
    [
        (Support(torch.zeros(4, 3), torch.arange(4), 4), r"support is \[4, 3\] and the query"),
        (Support((1, 2), torch.arange(2), 2), "the support is a tuple"),
        (Support(torch.zeros(4, 5), torch.arange(3), 4), r"labels int64\[3\] for a support"),
        (Support(torch.zeros(4, 5), torch.zeros(4), 4), r"labels float32\[4\]"),
        (Support(torch.zeros(0, 5), torch.zeros(0).long(), 4), "at least one example"),
        (Support(torch.zeros(4, 5), torch.arange(4)), "which is open"),
    ],
)
def test_supports_that_do_not_fit_are_refused(head: Head, support: Support, message: str) -> None:
    with pytest.raises(TypeMismatch, match=message):
        head(support, torch.zeros(2, 5))


def test_embedding_changes_the_inputs_alone() -> None:
    support = Support(torch.tensor([[1.0], [2.0]]), torch.tensor([1, 0]), 2)
    seen = embed(lambda x: 10 * x, support)
    assert seen.x.tolist() == [[10.0], [20.0]]
    assert seen.y is support.y
    assert seen.classes == 2


def test_logits_and_labels_are_read_hard_and_soft() -> None:
    logits = torch.tensor([[0.0, 2.0, 2.0], [1.0, 0.0, 0.0]])
    assert argmax(logits).tolist() == [1, 0]
    torch.testing.assert_close(softmax(logits).sum(1), torch.ones(2))
    label = soft_argmax(logits)
    assert isinstance(label, SoftLabel)
    number = soft_value(label)
    assert isinstance(number, SoftInt)
    assert number.low == 0
    torch.testing.assert_close(number.probabilities, softmax(logits))
    certain = torch.tensor([2, 0])
    assert value(certain) is certain
    assert soft_value(certain) is certain
