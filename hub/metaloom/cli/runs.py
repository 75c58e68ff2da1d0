"""A run for people: what was done, on what, with what, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metaloom_registry import Digest
    from metaloom_registry.catalogue import RunRecord

CHOICES = ("program", "learner", "learners", "plan", "searches", "prior")
"""What may have been chosen for a run, as its facts call it."""

BRIEF = ("searches", "learners")
"""Of these the names alone are told; their settings stand in the JSON."""


def run_lines(digest: Digest, run: RunRecord) -> str:
    """A run in lines, each headed by what it tells of."""
    rows = list(_rows(digest, run))
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:{width}}  {text}" for label, text in rows)


def _rows(digest: Digest, run: RunRecord) -> Iterator[tuple[str, str]]:
    when = datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    limit = "" if run.budget is None else f" of {run.budget:g} s"
    yield "run", f"{run.kind} {digest.short}, {run.status} in {run.seconds:.1f} s{limit}, {when}"
    if run.task is not None:
        yield "task", f"{run.task.name} : {run.task.type}   {run.task.digest}"
    data: Any = run.facts.get("data", ())
    for one in data:
        yield "data", str(one)
    for name in CHOICES:
        if name in run.facts:
            yield name, _written(run.facts[name], brief=name in BRIEF)
    if (seed := run.seed) is not None:
        yield "seed", str(seed)
    if "device" in run.facts:
        yield "device", str(run.facts["device"])
    versions = run.facts.get("versions")
    if isinstance(versions, Mapping):
        yield "with", ", ".join(f"{name} {version}" for name, version in versions.items())
    if error := run.facts.get("error"):
        yield "error", str(error)
    if again := _again(run):
        yield "again", again


def _again(run: RunRecord) -> str:
    """The command that does it again on the same examples, in a library with the same blocks."""
    if run.task is None:
        return ""
    task, seed = shlex.quote(run.task.name), f"--seed {run.seed}"
    if run.kind == "solve":
        return f"metaloom solve {task} --budget {run.budget:g}s {seed}"
    learner = " --learner ..." if "learner" in run.facts else ""
    program = run.facts.get("program")
    return f"metaloom adapt {shlex.quote(str(program))} {task}{learner} {seed}" if program else ""


def _written(value: Any, *, brief: bool = False) -> str:
    """A choice as Python would write it, without the places of its classes."""
    if isinstance(value, Mapping):
        if set(value) == {"is", "settings"}:
            name = value["is"].rpartition(".")[2]
            return name if brief else f"{name}({_named(value['settings'])})"
        return f"{{{_named(value)}}}"
    if isinstance(value, list):
        return ", ".join(_written(item, brief=brief) for item in value)
    return value.rpartition(".")[2] if isinstance(value, str) and "(" not in value else str(value)


def _named(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_written(value)}" for name, value in settings.items())
