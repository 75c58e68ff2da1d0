"""The template of a plugin, installed in a folder of its own as a stranger's would be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEMPLATE = Path(__file__).resolve().parents[2] / "plugins" / "template"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed template: nothing is added to this Python."""
    target = tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*command, *options, str(TEMPLATE)], check=True, capture_output=True)
    return target


def run(installed: Path, folder: Path, *command: str) -> str:
    """What a command prints where the template is installed."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_template_passes_its_own_tests(installed, tmp_path):
    for path in (TEMPLATE / "pyproject.toml", *(TEMPLATE / "tests").glob("*.py")):
        place = tmp_path / path.relative_to(TEMPLATE)
        place.parent.mkdir(exist_ok=True)
        place.write_text(path.read_text())

    printed = run(installed, tmp_path, "pytest", "-q", "-p", "no:cacheprovider")

    assert " passed" in printed
    assert "skipped" not in printed


def test_metaloom_lists_the_template_among_the_plugins(installed, tmp_path):
    assert "metaloom-template" in run(installed, tmp_path, "metaloom", "plugins", "--json")


def test_the_primitive_of_the_template_is_found(installed, tmp_path):
    (tmp_path / "find.py").write_text(
        "from metaloom_registry import discover, load_primitives\n"
        "table, _ = load_primitives(discover('metaloom.primitives'))\n"
        "print(*(p.name for p in table))\n"
    )

    assert "template/clamp" in run(installed, tmp_path, "find").split()


def test_nothing_of_the_template_stays_behind(installed):
    assert (
        "metaloom-template"
        not in subprocess.run(
            [sys.executable, "-m", "pip", "list"], check=True, capture_output=True, text=True
        ).stdout
    )
