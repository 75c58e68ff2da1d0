"""Compiling ahead of need: a process of its own puts the compiled engine on disk.

numba takes half a minute to compile the engine and the primitives of a machine's first search, and
less than a second to load them afterwards.  So no search waits for a compiler: where what it needs
is not on disk, a process at low priority puts it there, and the search goes on in Python.  What is
there is written down beside numba's own files: a list of compiled forms, valid for one version of
the sources, of Python and of numba, and for one kind of processor.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import llvmlite
import llvmlite.binding
import numba

from metaloom_metalearn.search.enumeration.kernel.memory import packed
from metaloom_metalearn.search.grammar.grammar import Grammar
from metaloom_registry import Primitive

COMPILER = "metaloom_metalearn.search.enumeration.kernel.rehearsal"


def on_disk(grammar: Grammar) -> bool:
    """Whether the engine and the compiled forms that a grammar needs can be loaded from disk."""
    needed = (form_name(kernel, arity) for kernel, arity in grammar.kernels())
    try:
        return set(needed) <= set(listing().read_text(encoding="utf-8").splitlines())
    except OSError:
        return False


def begin() -> None:
    """Start to compile in a process that outlives this one, unless one is at work already."""
    if not sys.executable or getattr(sys, "frozen", False):
        return
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "metaloom-compiling.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", COMPILER],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock.fileno(),),  # whoever holds it open holds the lock
        )
    Thread(target=process.wait, daemon=True).start()


def write_down(primitives: Iterable[Primitive]) -> None:
    """Write down that the engine and the compiled forms of these primitives are on disk."""
    names = [form_name(p.kernel, len(p.parameters)) for p in primitives if p.kernel is not None]
    draft = listing().with_suffix(f".{os.getpid()}")
    draft.write_text("\n".join(sorted(names)), encoding="utf-8")
    draft.replace(listing())


def form_name(form: Any, arity: int) -> str:
    """What a compiled form is called in the list: where it is defined, and when that changed."""
    module = getattr(form, "module", None) or form.__module__
    name = getattr(form, "name", None) or form.__qualname__
    spec = find_spec(module)
    changed = os.stat(spec.origin).st_mtime_ns if spec and spec.origin else 0
    return f"{module}:{name}:{arity}:{changed}"


def listing() -> Path:
    """The file that lists what is there for these sources, this Python and this processor."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    said = (
        platform.python_version(), numba.__version__, llvmlite.__version__,
        llvmlite.binding.get_host_cpu_name(), llvmlite.binding.get_host_cpu_features().flatten(),
        *(f"{source.name}:{source.stat().st_mtime_ns}" for source in sources),
    )  # fmt: skip
    digest = hashlib.sha256("\n".join(said).encode()).hexdigest()
    return folder() / f"metaloom-compiled-{digest[:16]}.txt"


def folder() -> Path:
    """Where numba keeps what it compiles of this package."""
    return Path(str(packed.stats.cache_path))
