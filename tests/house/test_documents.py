"""The documents: every link leads somewhere, and the console blocks mean what they say."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from typer.main import get_command

from metaloom.cli import app
from metaloom_registry.plugins import GROUPS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(site, tmp_path_factory):
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site")
    site.build(folder)
    return folder


@pytest.fixture
def run(tmp_path):
    """Runs one document as `make check` runs ours, and gives what pytest prints."""

    def document(text: str) -> str:
        (tmp_path / "page.md").write_text(text)
        (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "page.md"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return done.stdout

    return document


def test_every_link_leads_somewhere(site):
    assert list(site.dead_links(site.documents())) == []


def test_a_link_to_nothing_is_found(site, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n[a](gone.md) [b](#page) [c](page.md#gone) [d](https://example.org)\n")

    assert list(site.dead_links([page])) == [
        "page.md: gone.md leads to no file",
        "page.md: page.md#gone leads to no heading of page.md",
    ]


def test_links_between_documents_become_links_between_pages(pages):
    front = (pages / "index.html").read_text()

    assert "CONTRIBUTING.html" in front
    assert '.md"' not in front


def test_the_site_has_the_pictures_and_the_pages_in_the_order_of_the_front_page(site, pages):
    for page in pages.glob("*.html"):
        for picture in re.findall(r'<img src="([^"]+)"', page.read_text()):
            assert (pages / picture).is_file(), f"{page.name} shows {picture}"
    order = [path.stem for path in site.documents()]
    assert order.index("quickstart") < order.index("find-a-block") < order.index("security-model")


def test_the_reference_says_of_each_public_name_what_it_is_and_how_it_is_called(site, pages):
    page = (pages / "reference.html").read_text()

    for package in map(import_module, site.PACKAGES):
        for public in package.__all__:
            assert f'<h3 id="{package.__name__}.{public}">' in page
    assert '<p class="said"></p>' not in page
    assert "maml(steps: int, lr: float, order: Order = second_order" in page
    assert " at 0x" not in page
    assert "<dt><pre><code>fits(" in page, "the methods of the hub"


def test_every_extra_is_documented():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")

    assert [extra for extra in project["optional-dependencies"] if f"`{extra}`" not in page] == []


def test_every_command_is_shown_in_a_document(site):
    pages = "".join(path.read_text(encoding="utf-8") for path in site.documents())

    commands = get_command(app).list_commands(None)  # type: ignore[attr-defined]
    assert [name for name in commands if f"metaloom {name}" not in pages] == []


def test_a_document_runs_as_one_program_in_a_folder_of_its_own(run):
    printed = run(
        "```python\nfrom pathlib import Path\nPath('x').write_text('1')\n```\n"
        "```python\nassert Path('x').exists()\n"
        "assert Path.cwd().name.startswith('metaloom-docs-')\n```\n"
    )

    assert "2 passed" in printed


def test_a_python_block_that_is_wrong_fails(run):
    assert "1 failed" in run("```python\nassert 1 == 2\n```\n")


def test_a_command_that_fails_fails_and_shows_what_it_said(run):
    printed = run("```bash\n$ python -c 'import sys; sys.exit(\"no such block\")'\n```\n")

    assert "1 failed" in printed
    assert "exit status 1" in printed
    assert "no such block" in printed


def test_output_that_is_written_has_to_be_what_is_printed(run):
    printed = run(
        "```console\n$ python -c 'print(1, 2)'\n1 ...\n$ python -c \\\n 'print(3)'\n```\n"
        "```console\n$ python -c 'print(1, 2)'\n2\n```\n"
    )

    assert "1 failed, 1 passed" in printed
    assert "wanted:" in printed


def test_other_blocks_are_not_run(run):
    assert "no tests ran" not in run("```bash\nmake demo\n```\n```text\nhello\n```\n")


def test_every_extension_point_is_documented():
    page = (ROOT / "docs" / "write-a-plugin.md").read_text(encoding="utf-8")

    assert [group for group in GROUPS if f"`{group}`" not in page] == []


def test_every_file_that_the_design_names_is_there():
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:\w+/…/)?([\w/]+\.py)`", page))
    files = [f"/{path.relative_to(ROOT)}" for path in ROOT.glob("*/metaloom*/**/*.py")]

    assert [name for name in named if not any(file.endswith(f"/{name}") for file in files)] == []


def test_every_folder_on_the_map_of_the_design_is_there():
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[\w/]*\w/", page.split("```")[1]))
    inner = {path.name for path in ROOT.glob("*/metaloom*/**") if path.is_dir()}

    assert [one for one in named if not (ROOT / one).is_dir() and one[:-1] not in inner] == []
