"""A block published here loads in another virtual environment: metaloom, torch and safetensors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from metaloom_registry import plain_module

ROOT = Path(__file__).resolve().parents[2]
ABSENT = (
    "alembic", "learn2learn", "mlflow", "numba", "numpy", "onnx", "pydantic", "rich",
    "sqlalchemy", "sqlmodel", "typer",
)  # fmt: skip
"""What the other environment has not got, though Metaloom's wheel asks for some of it."""


def needed_by(*names: str) -> Iterator[str]:
    """These distributions and what they need of themselves, as they are installed here."""
    waiting, seen = list(names), set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if name in seen:
            continue
        seen.add(name)
        yield name
        for line in found.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with Metaloom's wheel, torch and safetensors.

    torch and safetensors, and what torch asks for, are links to where they are installed here.
    """
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, symlinks=True, with_pip=False)
    [site] = folder.glob("lib/python*/site-packages")
    for name in needed_by("torch", "safetensors"):
        found = distribution(name)
        for top in {path.parts[0] for path in found.files or () if path.parts[0] != ".."}:
            if top != "__pycache__" and not (site / top).exists():
                (site / top).symlink_to(Path(str(found.locate_file(top))))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return folder / "bin" / "python"


def run(python: Path, code: str, folder: Path) -> list[str]:
    """What a program prints in that environment, line by line."""
    done = subprocess.run([python, "-I", "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.timeout(240)
def test_a_block_loads_and_computes_the_same_where_there_is_nothing_else(
    python, block, images, tmp_path
):
    module = block.load()
    block.export(tmp_path / "folder")
    block.export(tmp_path / "archive.zip")
    torch.save(images, tmp_path / "images.pt")
    slope = torch.autograd.grad(module(images).square().mean(), module.head.weight)[0]

    printed = run(
        python,
        f"""
import json, sys, torch
from importlib.util import find_spec
assert [name for name in {ABSENT!r} if find_spec(name)] == []
from metaloom_registry import load_block
images = torch.load("images.pt", weights_only=True)
module, other = load_block("folder"), load_block("archive.zip")
assert isinstance(module, torch.nn.Module)
torch.testing.assert_close(module(images), other(images), rtol=0, atol=0)
print(json.dumps(module(images).tolist()))
print(json.dumps(list(module.state_dict())))
slope = torch.autograd.grad(module(images).square().mean(), module.head.weight)[0]
print(json.dumps(slope.tolist()))
module.train()(images).sum().backward()
assert module.norm.num_batches_tracked == 4
print(sys.prefix)
assert not {{"metaloom", "metaloom_metalearn"}} & set(sys.modules)
""",
        tmp_path,
    )

    assert torch.equal(torch.tensor(json.loads(printed[0])), block.load()(images))
    assert json.loads(printed[1]) == list(module.state_dict())
    assert torch.equal(torch.tensor(json.loads(printed[2])), slope)
    assert printed[3] != sys.prefix


@pytest.mark.timeout(240)
def test_a_program_runs_where_there_is_nothing_else(python, doubling, tmp_path):
    doubling.export(tmp_path / "add6")

    printed = run(
        python,
        f"""
import sys
from importlib.util import find_spec
assert [name for name in {ABSENT!r} if find_spec(name)] == []
from metaloom.exchange import load_program
print(load_program("add6").predict([1, 2, 30]))
assert "torch" not in sys.modules
""",
        tmp_path,
    )

    assert printed == ["(7, 8, 36)"]


@pytest.mark.timeout(240)
def test_a_plain_module_needs_torch_alone(python, block, images, tmp_path):
    plain = plain_module(block.load())
    torch.save({"module": plain, "images": images}, tmp_path / "plain.pt")

    printed = run(
        python,
        """
import json, sys, warnings
warnings.simplefilter("ignore")
for name in ("metaloom", "metaloom_registry", "metaloom_metalearn"):
    sys.modules[name] = None
import torch
saved = torch.load("plain.pt", weights_only=False)
print(json.dumps(saved["module"](saved["images"]).tolist()))
""",
        tmp_path,
    )

    assert torch.equal(torch.tensor(json.loads(printed[0])), block.load()(images))


def test_the_environment_has_only_what_torch_and_safetensors_ask_for(python):
    [site] = python.parents[1].glob("lib/python*/site-packages")
    links = {path.name for path in site.iterdir() if path.is_symlink()}

    assert {"torch", "safetensors"} <= links
    assert shutil.which("pip", path=str(python.parent)) is None
    assert [name for name in ABSENT if name in links] == []
