"""What holds for every test, and how the code blocks of the documents are run.

Each document runs in a temporary folder of its own, as one program from top to bottom.  Of the
`bash` and `console` blocks those run that begin with `$ metaloom` or `$ python`: every line that
begins with `$ ` is a command, and what follows it, if anything, is the output it must print, where
`...` stands for anything.
"""

import doctest
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

# Two processes share two cores: one thread each. Read by torch and numpy when they are imported.
for _threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_threads] = "1"

# No test asks a network for anything.
os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", MLFLOW_DISABLE_TELEMETRY="true")
os.environ["METALOOM_MLFLOW_URI"] = "off"  # no solve starts a sender of its own
for _variable in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID"):
    os.environ.pop(_variable, None)

hypothesis.settings.register_profile("house", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def _home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the hub of the person who runs it."""
    monkeypatch.setenv("METALOOM_HOME", str(tmp_path_factory.getbasetemp() / "home"))


def _enter(namespace: dict[str, Any]) -> None:
    folder = tempfile.TemporaryDirectory(prefix="metaloom-docs-", ignore_cleanup_errors=True)
    namespace["__name__"] = "__main__"
    namespace["_outside"] = (folder, os.getcwd(), os.environ.get("METALOOM_HOME"))
    os.environ["METALOOM_HOME"] = str(Path(folder.name) / "home")
    os.chdir(folder.name)


def _leave(namespace: dict[str, Any]) -> None:
    folder, before, home = namespace["_outside"]
    os.chdir(before)
    os.environ.pop("METALOOM_HOME", None)
    if home is not None:
        os.environ["METALOOM_HOME"] = home
    folder.cleanup()


def _commands(block: str) -> Iterator[tuple[str, str]]:
    """Each command of a console block with the output that is written under it."""
    command, output = "", ""
    for line in block.splitlines(keepends=True):
        if command.endswith("\\\n"):
            command += line
        elif line.startswith("$ "):
            if command:
                yield command, output
            command, output = line[2:], ""
        else:
            output += line
    if command:
        yield command, output


def _run_console(example: Example) -> str | None:
    block = str(example.parsed)
    if not block.startswith(("$ metaloom", "$ python")):
        return None
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    home = str(Path.cwd() / "home")
    for command, wanted in _commands(block):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            env={**os.environ, "PATH": path, "METALOOM_HOME": home, "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode:
            return f"$ {command}exit status {done.returncode}\n{done.stdout}{done.stderr}"
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        if wanted.strip() and not doctest.OutputChecker().check_output(wanted, done.stdout, flags):
            return f"$ {command}wanted:\n{wanted}\ngiven:\n{done.stdout}"
    return None


pytest_collect_file = Sybil(
    parsers=[
        PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS),
        CodeBlockParser("bash", _run_console),
        CodeBlockParser("console", _run_console),
        SkipParser(),
    ],
    patterns=["*.md"],
    setup=_enter,
    teardown=_leave,
).pytest()
