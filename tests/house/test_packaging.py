"""The wheel, the pins and the Makefile."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from metaloom_registry import discover
from metaloom_registry.plugins import GROUPS

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = {
    "metaloom": "hub",
    "metaloom_demo": "demo",
    "metaloom_dictionaries": "plugins",
    "metaloom_floats": "plugins",
    "metaloom_graphs": "plugins",
    "metaloom_heads": "plugins",
    "metaloom_learn2learn": "plugins",
    "metaloom_lists": "plugins",
    "metaloom_memory": "plugins",
    "metaloom_metalearn": "metalearn",
    "metaloom_recursion": "plugins",
    "metaloom_registry": "registry",
    "metaloom_text": "plugins",
    "metaloom_vectors": "plugins",
    "metaloom_vision": "plugins",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def pins() -> list[str]:
    return (ROOT / "constraints.txt").read_text().splitlines()


def pinned() -> dict[str, str]:
    return {canonicalize_name(n): v for n, _, v in (pin.partition("==") for pin in pins())}


def test_the_wheel_holds_every_file_of_every_package_and_nothing_else(wheel):
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {
        f"{package}/{path.relative_to(ROOT / folder / package).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in (ROOT / folder / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert held == wanted


def test_every_package_is_marked_as_typed(wheel):
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_carries_the_licence_and_the_entry_points(wheel):
    info = {n.partition(".dist-info/")[2]: n for n in zipfile.ZipFile(wheel).namelist()}
    points = zipfile.ZipFile(wheel).read(info["entry_points.txt"]).decode()

    assert "licenses/LICENSE" in info
    assert "[metaloom.primitives]" in points
    assert "metaloom = metaloom.entry" in points


def test_every_package_is_imported_from_the_wheel_alone(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path)
    code = (
        "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p"
        f" and not p.startswith({str(ROOT)!r})] + [{str(tmp_path)!r}]\n"
        f"import {', '.join(PACKAGES)}\n"
        "import metaloom_registry.names\n"
        f"print(*(p.__file__ for p in ({', '.join(PACKAGES)})), sep='\\n')"
    )

    files = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True
    ).stdout.splitlines()

    assert {Path(file).parent.parent for file in files} == {tmp_path}


def test_the_pins_are_exact_and_sorted():
    assert [pin for pin in pins() if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    assert pins() == sorted(pins(), key=str.lower)
    assert pinned()["torch"] == "2.13.0"


def installed_with(extras: set[str]) -> set[str]:
    """The distributions that metaloom with some extras brings, as they are installed here."""
    seen: set[tuple[str, str]] = set()
    wanted = [("metaloom", extra) for extra in ("", *extras)]
    while wanted:
        name, extra = wanted.pop()
        if (name, extra) in seen:
            continue
        try:
            version(name)
        except PackageNotFoundError:
            continue
        seen.add((name, extra))
        for line in requires(name) or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                key = canonicalize_name(needed.name)
                wanted += [(key, inner) for inner in ("", *needed.extras)]
    return {name for name, _ in seen} - {"metaloom"}


def test_everything_that_make_installs_is_pinned():
    assert installed_with({"dev"}) - set(pinned()) - {"pip", "setuptools"} == set()


def test_what_is_installed_satisfies_what_the_project_asks_for():
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    wrong = [
        line
        for line in declared
        if (need := Requirement(line)).name != "metaloom"
        and pinned()[canonicalize_name(need.name)] not in need.specifier
    ]

    assert wrong == []


def test_make_alone_lists_the_targets():
    printed = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    listed = re.findall(r"^make (\w+)", printed, re.MULTILINE)
    assert {"help", "demo", "test", "check", "docs"} <= set(listed)


def test_make_says_so_where_python_is_too_old(tmp_path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    old = tmp_path / "python3"
    old.write_text(
        f"#!/bin/sh\nshift; exec {sys.executable} -c 'import sys; sys.version_info = (3, 9, 2); "
        'sys.version = "3.9.2 (main)"\'"\n$1"\n'
    )
    old.chmod(0o755)

    done = subprocess.run(
        ["make", "test", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode != 0
    assert "Metaloom needs Python 3.11 or newer" in done.stderr
    assert "is 3.9.2; choose another: make PYTHON=python3.12" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_every_plugin_of_ours_loads(group):
    ours = [o for o in discover(group).outcomes() if o.plugin.distribution == "metaloom"]

    assert [str(outcome.error) for outcome in ours if outcome.error] == []
