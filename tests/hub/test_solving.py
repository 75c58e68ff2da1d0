"""Solve, adapt, publish and reload: what was found predicts the same wherever it is read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from metaloom import Hub, solving
from metaloom.learners import fine_tune, fresh_head, maml
from metaloom_metalearn import Event, Examples, FewShot, MemoryJournal, Solution, Task
from metaloom_registry import (
    Digest,
    InvalidTask,
    NoSolution,
    NotFound,
    ParseError,
    Refused,
    TypeMismatch,
    parse_type,
)

from .conftest import encoder, picture_task


def test_a_task_is_solved_published_and_run(hub: Hub, sums: Task) -> None:
    solution = hub.solve(sums, budget="20s", seed=3)
    assert solution.predict((1, 2, 3)) == 6
    assert solution.seed == 3
    assert solution.query_score is not None
    assert solution.query_score.value == 1.0
    block = hub.publish("me/sums", solution, license="MIT")
    assert hub.run("me/sums", [4, 5]) == 9
    told = block.facts["solution"]
    assert told["scores"]["query"]["value"] == 1.0  # type: ignore[index, call-overload]


def test_the_lineage_of_a_solution_goes_through_its_run_to_its_task(hub: Hub, sums: Task) -> None:
    block = hub.publish("me/sums", hub.solve(sums, budget="20s"))
    family = hub.lineage(block)
    steps = dict(family.parents.next(str(block.digest)))
    assert steps["made-by"].kind == "run"
    tasks = [node.label for _, node in family.parents.next(steps["made-by"].key)]
    assert "sums" in tasks


def test_a_reloaded_solution_published_again_is_the_same_version(hub: Hub, sums: Task) -> None:
    hub.publish("me/sums", hub.solve(sums, budget="20s"), license="MIT")
    again = hub.publish("me/sums", hub.solution("me/sums"), license="MIT")
    assert str(again.reference) == "me/sums@1"


def test_a_solution_is_used_by_the_next(hub: Hub) -> None:
    lists = ((1, 2, 3, 4), (7, 6, 10), (5, 8, 2), (9, 3))
    evens = tuple(tuple(2 * x for x in xs if x % 2 == 0) for xs in lists)
    hub.publish("me/double-evens", "(lam (map (lam (add $0 $0)) (filter is_even $0)))")
    task = Task(
        parse_type("list[int] -> int"), Examples((lists,), tuple(map(sum, evens))), name="total"
    )
    solution = hub.solve(task, budget="20s")
    block = hub.publish("me/total", solution)
    assert hub["me/double-evens"].exactly in solution.blocks
    used = [n.label for r, n in hub.lineage(block).parents.next(str(block.digest)) if r == "uses"]
    assert used == ["me/double-evens@1"]
    assert "double_evens(xs)" in hub.solution("me/total").source


def test_progress_is_told(hub: Hub, sums: Task) -> None:
    journal = MemoryJournal()
    hub.solve(sums, budget="20s", journal=journal)
    kinds = [event.kind for event in journal.events]
    assert kinds[0] == "started"
    assert "best" in kinds
    assert kinds[-1] == "finished"


class Impatient:
    """A journal that interrupts the search when something was found."""

    def record(self, event: Event) -> None:
        if event.kind == "best":
            raise KeyboardInterrupt


def test_an_interrupt_keeps_the_best_so_far(hub: Hub, sums: Task) -> None:
    solution = hub.solve(sums, budget="20s", journal=Impatient())
    assert solution.tried >= 1
    assert str(hub.publish("me/early", solution).reference) == "me/early@1"


def test_a_run_without_solution_is_remembered_and_nothing_is_published(hub: Hub) -> None:
    odd = Task(
        parse_type("list[int] -> text"),
        Examples((((1,), (2,), (3,), (4,)),), ("qz", "xk", "jw", "vb")),
        name="noise",
    )
    with pytest.raises(NoSolution):
        hub.solve(odd, budget="1s")
    assert hub.list() == []


def test_a_budget_that_is_none_is_refused(hub: Hub, sums: Task) -> None:
    with pytest.raises(ParseError, match="budget"):
        hub.solve(sums, budget="soon")
    with pytest.raises(ParseError, match="0"):
        hub.solve(sums, budget="0s")
    with pytest.raises(NoSolution, match="give more time"):
        hub.solve(sums, budget=1e-6)


def test_cuda_is_an_error_where_there_is_none(hub: Hub, sums: Task) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(NotFound, match="no device cuda"):
        hub.solve(sums, budget="5s", device="cuda")
    with pytest.raises(ParseError, match="'gpu' is not a device"):
        hub.solve(sums, budget="5s", device="gpu")


ELSEWHERE = """
import json, sys, torch
from metaloom import Hub
images = torch.load(sys.argv[2], weights_only=True)
with Hub.open(sys.argv[1]) as hub:
    solution = hub.solution(sys.argv[3])
    print(json.dumps([solution.predict_many(images).tolist(), str(solution.query_score)]))
"""


def _elsewhere(home: Path, images: torch.Tensor, name: str) -> tuple[list[int], str]:
    torch.save(images, home / "images.pt")
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(home), str(home / "images.pt"), name],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found: tuple[list[int], str] = json.loads(done.stdout)
    return found


def _reopened(home: Path, images: torch.Tensor, name: str) -> torch.Tensor:
    """The predictions of a published solution, read from the disk again."""
    with Hub.open(home) as other:
        outputs = other.solution(name).predict_many(images)
    assert isinstance(outputs, torch.Tensor)
    return outputs


def test_a_few_shot_solution_predicts_the_same_in_another_process(
    hub: Hub, home: Path, halves: Task
) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    solution = hub.solve(halves, budget="20s", searches=(FewShot(),))
    block = hub.publish("me/halves", solution)
    assert halves.query is not None
    [images] = halves.query.inputs
    assert isinstance(images, torch.Tensor)
    mine = solution.predict_many(images)
    assert isinstance(mine, torch.Tensor)
    theirs, score = _elsewhere(home, images, "me/halves")
    assert theirs == mine.tolist()
    assert score == str(solution.query_score)
    assert str(block.signature).startswith("examples[image[")
    assert hub.run("me/halves", images[0].tolist()) == int(mine[0])


def test_blocks_that_saw_the_classes_are_left_out(hub: Hub, halves: Task) -> None:
    seen = Digest.of(b"left")
    hub.publish("vision/cheat", encoder(1), "image[1,4,4] -> vec[8]", seen=[seen])
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    marked = Task(halves.type, halves.support, halves.query, frozenset([seen]), "marked")
    solution = hub.solve(marked, budget="20s")
    assert hub["vision/cheat"].exactly not in solution.blocks
    assert any("vision/cheat" in name for name in solution.excluded)


def test_adaptation_without_a_learner_keeps_every_parameter(hub: Hub, halves: Task) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    program = hub["vision/small"] >> hub["heads/prototypes"] >> hub["heads/argmax"]
    fitted = hub.adapt(program, halves)
    assert not fitted.parts
    assert str(fitted.type) == "image[1,4,4] -> label[3]"
    assert _share_right(fitted, halves) == 1.0
    again = hub.adapt(program, halves.support)
    assert again.type == fitted.type


def test_an_adapted_block_is_published_with_its_origin(hub: Hub, home: Path, halves: Task) -> None:
    origin = hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    program = hub["vision/small"] >> hub["heads/prototypes"]
    seen = Task(halves.type, halves.support, halves.query, frozenset([Digest.of(b"left")]))
    fitted = hub.adapt(program, seen, learner=maml(steps=3, lr=0.1), device="cpu")
    assert len(fitted.parts) == 1
    block = hub.publish("me/tuned", fitted)
    [part] = [p for p in hub.lineage(block).parents.nodes if p.label.startswith("@")]
    [(role, parent)] = hub.lineage(block).parents.next(part.key)
    assert (role, parent.label) == ("adapted-from", "vision/small@1")
    assert hub[f"@{part.key}"].seen == {Digest.of(b"left")}
    assert [str(b.reference) for b in hub.list()] == ["me/tuned@1", str(origin.reference)]
    assert halves.query is not None
    [images] = halves.query.inputs
    assert isinstance(images, torch.Tensor)
    mine = fitted.predict_many(images)
    assert isinstance(mine, torch.Tensor)
    assert torch.allclose(_reopened(home, images, "me/tuned"), mine, atol=1e-5)


def test_a_trained_block_alone_is_fine_tuned(hub: Hub, halves: Task) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    hub.publish("vision/classifier", net, "image[1,4,4] -> logits[3]")
    fitted = hub.adapt("vision/classifier", halves, fine_tune(steps=60), device="cpu")
    assert halves.query is not None
    outputs = fitted.predict_many(*halves.query.inputs)
    assert isinstance(outputs, torch.Tensor)
    wanted = halves.query.outputs
    assert isinstance(wanted, torch.Tensor)
    assert (outputs.argmax(1) == wanted).float().mean() > 0.9


def test_an_encoder_gets_a_fresh_head(hub: Hub, home: Path, halves: Task) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    fitted = hub.adapt("vision/small", halves, fresh_head(outputs=3), device="cpu")
    assert str(fitted.type) == "image[1,4,4] -> logits[3]"
    assert halves.query is not None
    [images] = halves.query.inputs
    outputs = fitted.predict_many(images)
    assert isinstance(outputs, torch.Tensor)
    assert isinstance(halves.query.outputs, torch.Tensor)
    assert (outputs.argmax(1) == halves.query.outputs).float().mean() > 0.9
    hub.publish("me/classifier", fitted)
    assert isinstance(images, torch.Tensor)
    assert torch.allclose(_reopened(home, images, "me/classifier"), outputs, atol=1e-5)


def test_a_part_that_cannot_be_stored_leaves_nothing_published(hub: Hub, halves: Task) -> None:
    class Odd(nn.Module):
        def forward(self, x: Any) -> Any:
            return x if float(x.sum()) > 0 else -x

    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    program = hub["vision/small"] >> hub["heads/prototypes"]
    fitted = hub.adapt(program, halves, learner=maml(steps=1, lr=0.1), device="cpu")
    [(reference, part)] = fitted.parts.items()
    broken = Solution(
        **{
            **{name: getattr(fitted, name) for name in ("name", "type", "term", "term_type")},
            "library": fitted.library,
            "entries": fitted.entries,
            "parts": {reference: type(part)(Odd(), part.type, part.parents)},
            "support": fitted.support,
        }
    )
    before = hub.verify().blocks
    with pytest.raises(Refused):
        hub.publish("me/broken", broken)
    assert "me/broken" not in hub
    assert hub.verify().blocks == before


def test_what_cannot_be_adapted_is_said(hub: Hub, halves: Task, sums: Task) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    program = hub["vision/small"] >> hub["heads/prototypes"]
    with pytest.raises(TypeMismatch, match=r"list\[int\]"):
        hub.adapt(program, sums)
    with pytest.raises(InvalidTask, match="without a learner nothing is adapted"):
        hub.adapt("vision/small", halves)
    with pytest.raises(InvalidTask, match="no parameters"):
        hub.adapt("(lam (lam (prototypes $1 $0)))", _vectors(), maml(steps=1, lr=0.1))
    with pytest.raises(TypeMismatch, match="needs an output with a gradient"):
        hub.adapt("lists/sum", sums, maml(steps=1, lr=0.1))
    images = torch.full((2, 1, 4, 4), torch.nan)
    with pytest.raises(InvalidTask, match="NaN"):
        hub.adapt(program, Examples((images,), torch.tensor([0, 1])))
    with pytest.raises(InvalidTask, match="empty"):
        hub.adapt(program, Examples((images[:0],), torch.tensor([], dtype=torch.int64)))
    with pytest.raises(InvalidTask, match=r"\[\] is no Task or Examples"):
        hub.adapt(program, [])  # type: ignore[arg-type]
    with pytest.raises(InvalidTask, match=r"'sums.jsonl' is no Task; metaloom.read_task"):
        hub.solve("sums.jsonl")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (torch.rand(4, 1, 5, 5), [0, 1, 0, 1], r"\[1, 5, 5\] is no image\[1,4,4\]"),
        (torch.rand(4, 3, 4, 4), [0, 1, 0, 1], r"\[3, 4, 4\] is no image\[1,4,4\]"),
        (torch.rand(4, 1, 4, 4), [-1, 0, 1, 1], "counted from 0"),
        (torch.rand(4, 1, 4, 4), [0.0, 0.5, 1.0, 1.0], "wanted is one integer"),
        (torch.rand(4, 1, 4, 4), [0, 0, 0, 0], "one class only"),
    ],
)
def test_a_support_that_does_not_fit_is_refused_when_it_is_given(
    hub: Hub, images: torch.Tensor, labels: list[float], said: str
) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    with pytest.raises(InvalidTask, match=said):
        hub.adapt(
            hub["vision/small"] >> hub["heads/prototypes"],
            Examples((images,), torch.tensor(labels)),
        )


def test_a_program_that_does_not_fit_the_task_is_named_with_it(hub: Hub) -> None:
    task = Task(parse_type("list[int] -> list[int]"), Examples((((1, 2),),), ((2,),)), name="mine")
    with pytest.raises(TypeMismatch, match=r"list\[int\] -> int does not fit the task mine, which"):
        hub.adapt("lists/sum", task, learner=fine_tune())


@pytest.mark.parametrize("value", [None, "x"])
def test_what_is_no_tensor_is_said(hub: Hub, halves: Task, value: object) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    fitted = hub.adapt(hub["vision/small"] >> hub["heads/prototypes"], halves)
    with pytest.raises(InvalidTask, match=rf"{value!r} is no image\[1,4,4\]"):
        fitted.predict(value)


def test_equal_tasks_have_equal_digests() -> None:
    assert solving.task_digest(picture_task(2, 0)) == solving.task_digest(picture_task(2, 0))
    assert solving.task_digest(picture_task(2, 0)) != solving.task_digest(picture_task(2, 1))


def test_a_program_with_examples_first_is_not_run_without_them(hub: Hub) -> None:
    with pytest.raises(InvalidTask, match="learns from examples first"):
        hub.run("heads/prototypes", [0.0], 1)


def _vectors() -> Examples:
    return Examples((torch.rand(4, 3),), torch.tensor([0, 1, 0, 1]))


def _share_right(solution: Solution, task: Task) -> float:
    assert task.query is not None
    outputs = solution.predict_many(*task.query.inputs)
    assert isinstance(outputs, torch.Tensor)
    assert isinstance(task.query.outputs, torch.Tensor)
    return float((outputs == task.query.outputs).float().mean())
