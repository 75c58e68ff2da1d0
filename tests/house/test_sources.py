"""What holds for every file that is kept in git."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ("hub", "metalearn", "registry")
PUBLIC = ("metaloom_registry", "metaloom_metalearn")


def tracked() -> list[Path]:
    """The files that git keeps; all of them where this is no git checkout."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


def texts() -> list[tuple[Path, str]]:
    """The tracked files that are text."""
    found = []
    for path in tracked():
        try:
            found.append((path.relative_to(ROOT), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def imports(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    """Each import of a Python file: the module, and the names taken from it (none for `import`)."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.module, tuple(alias.name for alias in node.names)))
    return found


def test_no_python_file_has_five_hundred_lines():
    long = {str(p): n for p, t in texts() if p.suffix == ".py" and (n := t.count("\n")) >= 500}

    assert long == {}


def test_no_file_names_a_path_of_the_machine_it_was_written_on():
    # Written in parts, so that this file does not hold what it looks for.
    absolute = re.compile(
        r"(?<![\w.:/])/(?:" + "|".join(["home", "root", "Users", "work"]) + r")/\w"
    )

    found = {str(p): m.group() for p, t in texts() if (m := absolute.search(t))}

    assert found == {}


def test_no_file_names_the_host_of_a_package_registry():
    hosts = [
        "pypi." + "org",
        "files.python" + "hosted",
        "download.py" + "torch.org",
        "registry." + "npm",
    ]

    found = {str(path): host for path, text in texts() for host in hosts if host in text}

    assert found == {}


def test_no_module_is_called_after_nothing_in_particular():
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}

    assert [str(p) for p, _ in texts() if p.stem in vague] == []


def test_every_module_says_what_it_is():
    folders = (*CORE, "demo", "plugins")
    sources = [
        p
        for p, _ in texts()
        if p.suffix == ".py" and p.parts[0] in folders and "tests" not in p.parts
    ]

    bare = [str(p) for p in sources if not ast.get_docstring(ast.parse((ROOT / p).read_text()))]

    assert bare == []


def test_plugins_import_only_public_names_of_the_core():
    deep = []
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        for module, names in imports(path):
            package, _, inner = module.partition(".")
            if package not in PUBLIC:
                continue
            listed = __import__(package).__all__
            suite = inner == "testing" or inner.startswith("testing.")
            if not suite and (inner or not names or not set(names) <= set(listed)):
                deep.append(f"{path.relative_to(ROOT)}: {module} {' '.join(names)}".strip())

    assert deep == []


def test_the_core_runs_no_code_that_it_reads():
    forbidden = {"pickle", "dill", "cloudpickle", "marshal", "shelve"}
    core = [path for folder in CORE for path in sorted((ROOT / folder).rglob("*.py"))]

    found = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in core
        for module, _ in imports(path)
        if module.partition(".")[0] in forbidden
    }

    assert found == set()
