"""What importing costs, and which heavy packages it leaves alone."""

import os
import subprocess
import sys

import pytest

HEAVY = ("alembic", "datasets", "mlflow", "numpy", "sklearn", "sqlalchemy", "sqlmodel", "torch")
PACKAGES = ("metaloom", "metaloom_metalearn", "metaloom_registry")


def python(code: str) -> str:
    """What a new interpreter prints when it runs some code."""
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout


def seconds(*command: str) -> float:
    """The least processor time of five runs of a command, which other processes do not change."""
    runs = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = os.times()
        user = after.children_user - before.children_user
        runs.append(user + after.children_system - before.children_system)
    return min(runs)


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package):
    loaded = python(f"import {package}, sys; print(*sorted(sys.modules))").split()

    assert set(HEAVY) & set(loaded) == set()


def test_importing_metaloom_takes_less_than_three_tenths_of_a_second():
    assert seconds("-c", "import metaloom") - seconds("-c", "pass") < 0.3


def test_the_help_of_the_command_line_takes_less_than_half_a_second():
    assert seconds("-m", "metaloom", "--help") < 0.5


def test_the_help_of_the_command_line_loads_nothing_heavy():
    loaded = python("import metaloom.cli, sys; print(*sorted(sys.modules))").split()

    assert set(HEAVY) & set(loaded) == set()


def test_importing_metaloom_starts_no_thread_and_opens_no_file():
    printed = python(
        "import metaloom, threading, sys\nprint(threading.active_count(), 'asyncio' in sys.modules)"
    )

    assert printed.split() == ["1", "False"]
