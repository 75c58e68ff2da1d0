"""Trained blocks and algorithms in one program, found by search."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS_PRIMITIVES
from metaloom_metalearn import Clock, Enumerate, Examples, Solution, Task, solve
from metaloom_registry import InvalidTask, MemoryLibrary, NoSolution, parse_type, print_term

from .conftest import publish, task_of

IMAGE = "image[1,2,5]"


class Recogniser(nn.Module):
    """Ten pixels, the brightest of which is the digit; it counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return images.flatten(1)


class Digits:
    """Noisy images of digits; of 100, the recogniser takes about 4 for another digit."""

    def __init__(self, noise: float) -> None:
        self.noise = noise
        self.generator = torch.Generator().manual_seed(0)

    def image(self, digit: int) -> torch.Tensor:
        pixels = 0.6 * nn.functional.one_hot(torch.tensor(digit), 10).float()
        pixels += self.noise * torch.randn(10, generator=self.generator).abs()
        return pixels.clamp(0, 1).reshape(1, 2, 5)

    def lists(self, count: int, shortest: int, longest: int) -> Examples:
        inputs, sums = [], []
        for _ in range(count):
            length = int(torch.randint(shortest, longest + 1, (1,), generator=self.generator))
            digits = torch.randint(0, 10, (length,), generator=self.generator).tolist()
            inputs.append(tuple(map(self.image, digits)))
            sums.append(sum(digits))
        return Examples((tuple(inputs),), tuple(sums))


def solved(noise: float, names: tuple[str, ...]) -> tuple[Solution, Recogniser, Task]:
    digits, recogniser = Digits(noise), Recogniser()
    blocks = MemoryLibrary.of([*(p for p in LISTS_PRIMITIVES if p.short in names), *HEADS])
    publish(blocks, "vision/digit", f"{IMAGE} -> logits[10]", recogniser, "graph")
    task = Task(
        parse_type(f"list[{IMAGE}] -> int"),
        digits.lists(20, 2, 4),
        digits.lists(50, 8, 8),
        name="sum",
    )
    return solve(task, blocks, clock=Clock(5.0), searches=[Enumerate()]), recogniser, task


def test_the_sum_of_digits_is_found_from_images_and_sums():
    solution, _, _ = solved(0.1, ("map", "sum", "length", "head"))
    assert solution.source.endswith("return sum([int(digit(x).argmax(-1)) for x in xs])\n")
    assert solution.query_score is not None
    assert solution.query_score.value == 1.0
    assert solution.query_rmse is not None
    assert solution.query_rmse.value == 0.0


def test_the_sum_is_found_as_a_fold_where_there_is_no_such_primitive():
    solution, _, _ = solved(0.1, ("fold", "add", "length"))
    assert "lists/fold@1" in solution.text
    assert solution.query_score is not None
    assert solution.query_score.value == 1.0


def test_the_program_is_found_though_the_recogniser_errs():
    solution, _, task = solved(0.25, ("map", "sum", "length"))
    assert solution.source.endswith("return sum([int(digit(x).argmax(-1)) for x in xs])\n")
    right = solution.support_score
    assert right is not None
    assert 0.5 < right.value < 1.0
    assert not any(s.exact for s in solution.alternatives)
    assert len(task.support) == right.examples


def test_a_trained_block_runs_once_on_all_images_of_the_task():
    _, recogniser, _ = solved(0.1, ("map", "sum"))
    assert recogniser.calls <= 3  # once in the search, once for the query


def test_a_recogniser_alone_is_a_program():
    digits, recogniser = Digits(0.05), Recogniser()
    blocks = MemoryLibrary.of(HEADS)
    reference = publish(blocks, "vision/digit", f"{IMAGE} -> logits[10]", recogniser, "graph")
    labels = torch.arange(10)
    images = torch.stack([digits.image(int(label)) for label in labels])
    task = Task(parse_type(f"{IMAGE} -> label[10]"), Examples((images,), labels))
    solution = solve(task, blocks, clock=Clock(10.0), searches=[Enumerate()])
    assert print_term(solution.term) == f"(lam (heads/argmax@1 ({reference} $0)))"
    assert int(solution.predict(digits.image(7))) == 7


def test_images_without_a_block_that_reads_them_have_no_solution():
    digits = Digits(0.1)
    blocks = MemoryLibrary.of(HEADS)
    labels = torch.arange(4)
    images = torch.stack([digits.image(int(label)) for label in labels])
    task = Task(parse_type(f"{IMAGE} -> label[4]"), Examples((images,), labels))
    with pytest.raises(NoSolution, match=r"heads/argmax : logits\[k\] -> label\[k\]"):
        solve(task, blocks, clock=Clock(10.0), searches=[Enumerate()])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.full((2, 1, 2, 5), torch.nan), torch.tensor([0, 1]), "holds NaN or infinity"),
        (torch.zeros(2, 1, 5, 2), torch.tensor([0, 1]), r"has the shape \[1, 5, 2\], which is no"),
        (torch.zeros(2, 1, 2, 5), torch.tensor([1, 1]), "all 2 support examples show the class 1"),
        (torch.zeros(2, 1, 2, 5), torch.tensor([0, 9]), "holds a label outside 0 to 3"),
    ],
)
def test_images_and_labels_that_make_no_task_are_refused(images, labels, message):
    task = Task(parse_type(f"{IMAGE} -> label[4]"), Examples((images,), labels))
    with pytest.raises(InvalidTask, match=message):
        solve(task, MemoryLibrary.of(HEADS), clock=Clock(1.0))


def test_a_task_without_tensors_has_no_neural_arm():
    solution = solve(
        task_of("list[int] -> int", len), MemoryLibrary.of(LISTS_PRIMITIVES), clock=Clock(10.0)
    )
    assert list(solution.trace.arms) == ["enumerate"]
