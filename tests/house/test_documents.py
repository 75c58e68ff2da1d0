"""The documents: every link leads somewhere, and the console blocks mean what they say."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

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


def test_links_between_documents_become_links_between_pages(site, tmp_path):
    site.build(tmp_path)

    assert (tmp_path / "index.html").exists()
    assert "CONTRIBUTING.html" in (tmp_path / "index.html").read_text()
    assert '.md"' not in (tmp_path / "index.html").read_text()


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
