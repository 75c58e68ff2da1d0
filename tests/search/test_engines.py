"""The choice of an engine: compiled where that is at hand, and no search waits for a compiler."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba")

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Enumerate
from metaloom_metalearn.search.enumeration import engines
from metaloom_metalearn.search.enumeration.engines import Overtaken, PlainTerms, overtaking
from metaloom_metalearn.search.enumeration.enumerate import Enumeration
from metaloom_metalearn.search.enumeration.kernel import ahead, loops, memory
from metaloom_metalearn.search.enumeration.kernel.bank import KernelBank
from metaloom_metalearn.search.enumeration.kernel.memory import compiled
from metaloom_metalearn.search.enumeration.kernel.rehearsal import rehearse
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_registry import MemoryLibrary, Primitive, print_term

from .conftest import library, primitive, problem_of, task_of

HIGHEST = 20
"""The level to which terms are compared."""


def enumeration(engine: Any, *extra: Primitive) -> Enumeration:
    known = MemoryLibrary.of([*PRIMITIVES, *extra]) if extra else library()
    task = task_of("list[int] -> list[int]", lambda xs: xs[1:])
    found = Enumerate(engine=engine).search(problem_of(task, known))
    assert found is not None
    return found


def terms_of(search: Enumeration) -> list[str]:
    return [print_term(search.candidate(node).term) for node in nodes_of(search)]


def nodes_of(search: Enumeration) -> Iterator[Node]:
    for node in search.nodes():
        if search.level > HIGHEST:
            return
        yield node


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A machine made up: how often it is asked before all is on disk, how often it compiled."""
    made = {"asked": 0, "on_disk_after": 1000, "begun": 0}

    def begin() -> None:
        made["begun"] += 1

    def on_disk(grammar: object) -> bool:
        made["asked"] += 1
        return made["asked"] > made["on_disk_after"]

    monkeypatch.setattr(engines, "_on_disk", on_disk)
    monkeypatch.setattr(engines, "_begin", begin)
    monkeypatch.setattr(engines, "_is_loaded", lambda grammar: False)
    monkeypatch.setattr(engines, "SOON", 0.0)
    return made


def test_a_search_for_which_nothing_is_compiled_yet_goes_on_in_python_and_has_it_compiled(
    machine: dict[str, Any],
) -> None:
    search = enumeration(overtaking)
    found = terms_of(search)
    assert found == terms_of(enumeration(PlainTerms))
    assert machine["begun"] == 1
    assert search.terms.ran == (
        "in Python: a first search on this machine, which is being compiled for"
    )


def test_what_is_on_disk_is_loaded_in_the_midst_of_a_search_which_finds_the_same(
    machine: dict[str, Any],
) -> None:
    machine["on_disk_after"] = 10
    search = enumeration(overtaking)
    found = terms_of(search)
    assert isinstance(search.terms, Overtaken)
    assert isinstance(search.terms.terms, KernelBank)
    assert search.terms.ran == "in Python, and compiled from 5.5 nats on"
    assert found == terms_of(enumeration(PlainTerms))
    assert machine["begun"] == 1


def test_a_short_search_asks_for_no_compiler(
    machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "SOON", 1e9)
    search = enumeration(overtaking)
    terms_of(search)
    assert machine["begun"] == 0
    assert search.terms.ran.startswith("in Python, which was done before")


def test_a_numba_that_does_not_run_is_told_and_not_asked_again(
    machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fails(grammar: object) -> bool:
        asked.append(grammar)
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(engines, "_on_disk", fails)
    search = enumeration(overtaking)
    terms_of(search)
    assert len(asked) == 1
    assert search.terms.ran == (
        "in Python: numba does not run here: cannot cache function: no locator available"
    )


def test_where_numba_is_not_installed_the_account_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    search = enumeration(overtaking)
    for _ in nodes_of(search):
        break
    assert search.terms.ran == (
        "in Python: numba is not installed; the extra metaloom[fast] brings it"
    )


def test_what_is_loaded_in_this_process_is_used_at_once_and_the_account_says_so() -> None:
    rehearse(PRIMITIVES)
    search = enumeration(overtaking)
    assert isinstance(search.terms, KernelBank)
    terms_of(search)
    assert search.account.engine == "compiled"


def test_a_rehearsal_leaves_nothing_of_the_loops_uncompiled() -> None:
    rehearse(PRIMITIVES)
    for name in ("make", "scan", "store", "values_of", "indexed"):
        assert len(getattr(loops, name).signatures) == 1, name


def test_what_is_on_disk_of_modules_that_are_gone_is_thrown_away_and_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "form_of_next.py").write_text("def form(memory, n):\n    return n + 1\n")
    form = importlib.import_module("form_of_next").form
    compiled(form, 1)
    kept = {path.name for path in tmp_path.rglob("*.nb[ic]")}
    assert kept
    tried: list[str] = []

    def loaded(*arguments: Any, **options: Any) -> Callable[[Any], Any]:
        def make(given: Any) -> Any:
            tried.append("again" if tried else "once")
            if tried == ["once"]:  # what numba's loader does, which imports by name
                raise ModuleNotFoundError("No module named 'metaloom_metalearn.search.kernel'")
            return real(*arguments, **options)(given)

        return make

    real = vars(memory)["cfunc"]
    monkeypatch.setattr(memory, "cfunc", loaded)
    found = compiled(form, 1)
    assert tried == ["once", "again"]
    assert found.cache_hits == 0
    assert found.ctypes(None, 7) == 8


def test_the_list_of_what_is_on_disk_holds_for_these_forms_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "folder", lambda: tmp_path)
    grammar = enumeration(PlainTerms).workshop.grammar
    assert not ahead.on_disk(grammar)
    ahead.write_down(PRIMITIVES)
    assert ahead.on_disk(grammar)
    other = primitive("twice", "int -> int", abs)
    wider = enumeration(PlainTerms, replace(other, kernel=twice))
    assert not ahead.on_disk(wider.workshop.grammar)


def twice(memory: Any, x: int) -> int:
    return x + x


def test_one_process_compiles_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    class Process:
        """Holds the lock that it is passed, as a process that is at work does."""

        def __init__(self, command: list[str], pass_fds: tuple[int, ...], **_: Any) -> None:
            self.held = os.dup(pass_fds[0])
            started.append((command, self))

        def wait(self) -> int:
            return 0

    monkeypatch.setattr(ahead, "folder", lambda: tmp_path)
    monkeypatch.setattr(subprocess, "Popen", Process)
    ahead.begin()
    ahead.begin()
    assert len(started) == 1
    assert started[0][0][-1] == "metaloom_metalearn.search.enumeration.kernel.rehearsal"


def test_an_arm_with_a_share_leaves_time_for_the_next() -> None:
    task = task_of("list[int] -> list[int]", lambda xs: tuple(x * x + 7 for x in xs))
    problem = problem_of(task, library(), budget=2000.0)
    list(Enumerate(engine=PlainTerms, share=0.25).run(problem))
    assert 0.2 < problem.clock.elapsed() / 2000.0 < 0.6
