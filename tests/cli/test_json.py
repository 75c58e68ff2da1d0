"""What `--json` prints has the keys that docs/json-output.md says, of an empty library too."""

import re
from pathlib import Path

import pytest

pytest.importorskip("cryptography", reason="the extra `signatures` is not installed")

PAGE = (Path(__file__).parents[2] / "docs" / "json-output.md").read_text()
ROWS = {
    command: set(re.findall(r"`([^`]+)`", keys))
    for commands, keys in re.findall(r"^\| (`.*?) \| .*? \| (.*?) ?\|$", PAGE, re.MULTILINE)
    for command in re.findall(r"`([^`]+)`", commands)
}
BLOCK, HELD = (
    set(re.findall(r"`([^`]+)`", PAGE[PAGE.index(start) : PAGE.index(end)]))
    for start, end in (
        ("A block is an object with", "What the library holds"),
        ("has also", "; the four"),
    )
)
BLOCKS = {"list", "search", "fits", "show", "publish", "yank", "deprecate", "tombstone"}


def keys(value):
    return set(value[0] if isinstance(value, list) else value)


def test_an_empty_library_has_valid_json(metaloom):
    for command in ("list", "search zebra", "list nowhere", "search --tag none"):
        assert metaloom(*command.split(), "--json").json == []
    assert metaloom("verify", "--json").json["problems"] == []
    assert metaloom("gc", "--json").json["removed"] == []
    assert metaloom("owner", "list", "me", "--json").json["owners"] == []
    assert metaloom("key", "list", "--json").json == {"trusted": [], "untrusted": []}


def test_every_documented_command_gives_the_documented_keys(metaloom, add3, tmp_path):
    metaloom("publish", "me/other", "(lam (map (add 3) $0))")
    asked = {
        "list": "list",
        "search": "search add3",
        "fits": "fits me/add3",
        "show": "show me/add3",
        "publish": "publish me/same (lam $0)",
        "yank": "yank me/other@1",
        "deprecate": "deprecate me/add3@1 --use me/other@1",
        "tombstone": "tombstone me/same@1 --why x",
        "alias BLOCK ALIAS": "alias me/add3 best",
        "alias NAME": "alias me/add3",
        "lineage": "lineage me/add3",
        "verify": "verify",
        "gc": "gc",
        "repair": f"repair --from {tmp_path / 'library'}",
        "key new": "key new",
        "key list": "key list",
        "owner add": "owner add mine default",
        "owner list": "owner list mine",
        "owner remove": "owner remove mine default",
        "init": "init",
        "doctor": "doctor",
    }
    assert set(asked) == set(ROWS)
    for command, line in asked.items():
        words = line.split(" ", 2) if command == "publish" else line.split()
        done = metaloom(*words, "--json")
        assert done.code == 0, f"{line}: {done.err}"
        wanted = ROWS[command] | (BLOCK | HELD if command in BLOCKS else set())
        assert wanted <= keys(done.json), f"{line}: {wanted - keys(done.json)}"
    primitive = metaloom("show", "lists/map", "--json").json
    assert BLOCK | ROWS["show"] <= set(primitive)
