"""Solutions are saved as data and predict the same in another process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS_PRIMITIVES
from metaloom_metalearn import (
    Candidate,
    Clock,
    Examples,
    FewShot,
    Part,
    Scored,
    Solution,
    Task,
    load_solution,
    save_solution,
    solution_from_files,
    solution_to_files,
    solve,
)
from metaloom_registry import (
    Corrupt,
    Digest,
    EvaluationError,
    MemoryLibrary,
    NotFound,
    ParseError,
    Reference,
    TypeMismatch,
    Use,
    parse_term,
    parse_type,
)

from .conftest import library, task_of, term
from .test_solver import Fake, ticks

ALL = MemoryLibrary.of([*LISTS_PRIMITIVES, *HEADS])

ELSEWHERE = """
import json, sys
from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import load_solution
from metaloom_registry import MemoryLibrary
solution = load_solution(sys.argv[1], MemoryLibrary.of([*LISTS, *HEADS]))
inputs = json.loads(sys.argv[2])
if sys.argv[3] == "tensor":
    import torch
    print(json.dumps(solution.predict_many(torch.tensor(inputs)).tolist()))
else:
    print(json.dumps([solution.predict(tuple(row)) for row in inputs]))
    assert "torch" not in sys.modules
"""


def elsewhere(folder: Path, inputs: object, kind: str) -> object:
    """What the saved solution predicts in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(folder), json.dumps(inputs), kind],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def symbolic() -> Solution:
    task = task_of("list[int] -> list[int]", lambda xs: tuple(x + x for x in xs), name="doubles")
    return solve(task, library(), clock=ticks())


def few_shot() -> Solution:
    generator = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(3, 8, generator=generator)
    labels = torch.arange(12) % 3
    points = centres[labels] + torch.randn(12, 8, generator=generator)
    task = Task(parse_type("vec[8] -> label[3]"), Examples((points,), labels), name="clouds")
    return solve(task, ALL, clock=Clock(60.0), searches=[FewShot()], generator=generator)


def trained() -> Solution:
    """A solution with a part of its own, as an arm that trains would find it."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    reference = Reference(None, Digest.of(b"its state"))
    type_ = parse_type("vec[8] -> label[3]")
    read = parse_term("(lam (heads/argmax@1 $0))")
    body = parse_term(f"(lam (heads/argmax@1 ({reference} $0)))")
    assert read != body
    parent = Digest.of(b"the block it was adapted from")
    part = Part(module.eval(), parse_type("vec[8] -> logits[3]"), (parent,))
    points = torch.randn(6, 8)
    with torch.no_grad():
        labels = module(points).argmax(1)
    labels[0], labels[1] = 0, 1
    scored = Scored(Candidate(body, type_, 3.0, {reference: part}), 1.0, (True,) * 6)
    task = Task(type_, Examples((points,), labels), Examples((points,), labels), name="trained")
    return solve(task, ALL, clock=ticks(), searches=[Fake([scored])])


def test_a_symbolic_solution_predicts_the_same_in_another_process(tmp_path):
    solution = symbolic()
    save_solution(solution, tmp_path)
    inputs = [[1, 2], [], [7, -3, 1 << 60]]
    assert elsewhere(tmp_path, inputs, "plain") == [
        list(solution.predict(tuple(x))) for x in inputs
    ]


def test_a_few_shot_solution_carries_its_support(tmp_path):
    solution = few_shot()
    assert str(solution.term_type) == "examples[vec[8], label[3]] -> vec[8] -> label[3]"
    assert solution.support is not None
    solution.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "program.json", "support.json", "support.safetensors",
    ]  # fmt: skip
    points = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    predicted = solution.predict_many(points)
    assert isinstance(predicted, torch.Tensor)
    assert elsewhere(tmp_path, points.tolist(), "tensor") == predicted.tolist()
    assert int(solution.predict(points[0])) == int(predicted[0])


def test_trained_parts_are_saved_as_graphs(tmp_path):
    solution = trained()
    save_solution(solution, tmp_path)
    assert (tmp_path / "parts" / "0.safetensors").is_file()
    points = torch.randn(50, 8, generator=torch.Generator().manual_seed(1))
    predicted = solution.predict_many(points)
    assert isinstance(predicted, torch.Tensor)
    assert elsewhere(tmp_path, points.tolist(), "tensor") == predicted.tolist()
    loaded = load_solution(tmp_path, ALL)
    (reference,) = loaded.parts
    assert loaded.parts[reference].parents == (Digest.of(b"the block it was adapted from"),)
    assert str(loaded.parts[reference].type) == "vec[8] -> logits[3]"
    assert solution.query_score is not None
    assert solution.query_score.measure == "accuracy"
    assert loaded.query_score == solution.query_score


def test_what_is_known_of_a_solution_is_kept():
    solution = symbolic()
    loaded = solution_from_files(solution_to_files(solution), library())
    for name in ("name", "type", "term", "term_type", "cost", "support_score", "query_score",
                 "search", "seed", "seconds", "tried", "excluded", "alternatives"):  # fmt: skip
        assert getattr(loaded, name) == getattr(solution, name), name
    assert solution_to_files(loaded) == solution_to_files(solution)


def test_a_folder_without_a_solution_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"holds no solution: there is no program\.json"):
        load_solution(tmp_path, library())


def test_blocks_that_the_library_lacks_are_named():
    files = solution_to_files(symbolic())
    with pytest.raises(NotFound, match="uses blocks that this library lacks: lists/map@1"):
        solution_from_files(files, library("add"))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda p: p.pop("term"), ParseError, "'term' is missing"),
        (lambda p: p.update(format=99), ParseError, "has the format 99"),
        (lambda p: p.update(term=["lam", 5]), TypeMismatch, "int"),
        (lambda p: p.update(cost="dear"), ParseError, "is no saved solution"),
        (lambda p: p.update(parts=[{"reference": "x/y"}]), ParseError, "'parts/0.json' is missing"),
    ],
)
def test_damaged_files_are_refused(damage, error, message):
    files = solution_to_files(symbolic())
    program = json.loads(files["program.json"])
    damage(program)
    with pytest.raises(error, match=message):
        solution_from_files({"program.json": json.dumps(program).encode()}, library())


def test_damaged_tensors_are_refused():
    files = solution_to_files(few_shot())
    files["support.safetensors"] = files["support.safetensors"][:40]
    with pytest.raises(Corrupt, match=r"support\.safetensors cannot be read"):
        solution_from_files(files, ALL)


def test_a_program_without_a_value_says_so():
    task = task_of("list[int] -> int", lambda xs: xs[0] if xs else 0, ((1,), (5, 2), (7, 1)))
    solution = solve(task, library("head"), clock=ticks())
    assert solution.predict((3, 4)) == 3
    assert solution.predict_many(((3, 4), ())) == (3, None)
    with pytest.raises(
        EvaluationError, match="task has no value on this input: an empty list has no head"
    ):
        solution.predict(())
    assert Use(Reference.parse("lists/head@1")).reference in solution.blocks
    assert solution.term == term("(lam (head $0))")
