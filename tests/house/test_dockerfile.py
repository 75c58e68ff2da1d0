"""The Dockerfile, and the script that carries out its steps where there is no container engine."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def replay() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dockerfile", ROOT / ".ci" / "dockerfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lines(replay) -> list[tuple[str, str]]:
    return list(replay.instructions((ROOT / "Dockerfile").read_text()))


@pytest.fixture
def image(replay, tmp_path):
    """An empty image and a small context."""
    context = tmp_path / "context"
    (context / "code" / "__pycache__").mkdir(parents=True)
    (context / "code" / "a.py").write_text("a")
    (context / "code" / "__pycache__" / "a.pyc").write_text("a")
    (context / "secret").write_text("s")
    (context / ".dockerignore").write_text("*\n!code\n**/__pycache__\n")
    (tmp_path / "root").mkdir()
    return replay.Image(tmp_path / "root", context)


def test_the_linter_finds_nothing():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if hadolint is None:
        pytest.skip("hadolint is not installed")

    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)

    assert done.stdout == ""


def test_the_image_does_not_run_as_root(lines):
    users = [rest for word, rest in lines if word == "USER"]

    assert users
    assert users[-1].split(":")[0] not in ("root", "0")


def test_everything_the_image_copies_is_sent_to_it(replay, lines):
    patterns = (ROOT / ".dockerignore").read_text().split()
    copied = [name for word, rest in lines if word == "COPY" for name in rest.split()[:-1]]

    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert [name for name in copied if not replay.is_sent(name, patterns)] == []


@pytest.mark.parametrize(
    "path", [".git/config", ".venv/bin/python", "tests/x.py", "plugins/template/pyproject.toml"]
)
def test_what_the_image_does_not_need_is_not_sent(replay, path):
    assert not replay.is_sent(path, (ROOT / ".dockerignore").read_text().split())


def test_instructions_are_joined_over_lines_and_comments_are_left_out(replay):
    text = "# one\nFROM a\nRUN b \\\n    # two\n    && c\n"

    assert [(w, " ".join(r.split())) for w, r in replay.instructions(text)] == [
        ("FROM", "a"),
        ("RUN", "b && c"),
    ]


def test_absolute_paths_lie_under_the_folder(image):
    for word, rest in [
        ("ARG", "PREFIX=/opt/x"),
        ("ENV", 'PLACE="$PREFIX/y"'),
        ("WORKDIR", "/src"),
        ("RUN", 'mkdir -p "$PLACE" && pwd > "$PLACE/where"'),
    ]:
        image.carry_out(word, rest)

    assert (image.root / "opt/x/y/where").read_text().strip() == str(image.root / "src")


def test_a_folder_is_copied_less_what_is_ignored(image):
    image.carry_out("WORKDIR", "/src")
    image.carry_out("COPY", "code code")

    assert [p.name for p in (image.root / "src/code").rglob("*")] == ["a.py"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [("secret", "keeps all of it out"), ("nothing", "no such file in the context")],
)
def test_a_copy_that_would_fail_fails(image, source, reason):
    with pytest.raises(ValueError, match=reason):
        image.carry_out("COPY", f"{source} ./")


def test_a_step_that_fails_stops_the_build(image):
    with pytest.raises(subprocess.CalledProcessError):
        image.carry_out("RUN", "false")


def test_the_command_of_the_image_runs_at_the_end(image):
    image.carry_out("ENTRYPOINT", '["touch"]')
    image.carry_out("CMD", '["started"]')
    image.start()

    assert (image.root / "started").exists()


def test_an_instruction_that_is_not_understood_is_an_error(image):
    with pytest.raises(ValueError, match=r"HEALTHCHECK .* does not understand it"):
        image.carry_out("HEALTHCHECK", "NONE")
