"""What `metaloom solve` tells beside the winner: its rivals, and the outputs asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import metaloom_metalearn
from metaloom.cli.output import plain, show, table
from metaloom_registry import EvaluationError

if TYPE_CHECKING:
    from metaloom_metalearn import Ranked, Solution, Task, Values


def ranking(
    solution: Solution, task: Task, count: int, asked: Sequence[Values] | None
) -> tuple[Ranked, ...]:
    """The best candidates; of one alone nothing is computed."""
    if count < 2:
        return ()
    return metaloom_metalearn.ranked(solution, task.support, count, asked)


def show_ranking(rivals: Sequence[Ranked]) -> None:
    """Print the candidates as a table, the shortest first."""
    rows = [
        (
            place,
            f"{one.score:.1f}",
            f"{one.right}/{one.examples}",
            "" if one.agreement is None else f"{one.agreement:.0%}",
            _body(one.source),
        )
        for place, one in enumerate(rivals, 1)
    ]
    show("", table((">#", ">nats", ">right", ">agrees", "program"), rows, "candidates"))
    if any(one.agreement is not None for one in rivals):
        show("agrees: the share of new inputs on which it gives what the first gives")


def show_answers(solution: Solution, asked: Sequence[Values] | None) -> None:
    """Print the outputs for the inputs that came without one, and how sure each is."""
    if asked is None:
        return
    rows = []
    for inputs, output, sure in _answers(solution, asked):
        given = ", ".join(json.dumps(plain(value), ensure_ascii=False) for value in inputs)
        said = "no value" if output is None else json.dumps(plain(output), ensure_ascii=False)
        rows.append((given, said, "" if sure is None else f"{sure:.0%}"))
    show("", table(("input", "output", ">sure"), rows, "filled in"))


def to_json(
    solution: Solution, rivals: Sequence[Ranked], asked: Sequence[Values] | None
) -> dict[str, Any]:
    """The same for programs."""
    said: dict[str, Any] = {"warnings": list(solution.trace.warnings)}
    if rivals:
        said["candidates"] = [one.to_json() for one in rivals]
    if asked is not None:
        said["filled_in"] = [
            {"inputs": list(inputs), "output": output, "sure": sure}
            for inputs, output, sure in _answers(solution, asked)
        ]
    return said


def _answers(
    solution: Solution, asked: Sequence[Values]
) -> list[tuple[tuple[Any, ...], Any, float | None]]:
    outputs = solution.predict_many(*asked)
    found = []
    for i in range(len(outputs)):
        inputs = tuple(column[i] for column in asked)
        try:
            sure = solution.agreement(*inputs)
        except EvaluationError:
            sure = None
        found.append((inputs, outputs[i], sure))
    return found


def _body(source: str) -> str:
    """A program in one line where it is one."""
    lines = source.strip().splitlines()
    if len(lines) == 2:
        return lines[1].strip().removeprefix("return ")
    return source.strip()
