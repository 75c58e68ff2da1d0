"""Importing and exporting from the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

Command = Callable[..., Any]


def test_a_program_goes_out_and_into_another_library(
    metaloom: Command, add3: str, tmp_path: Path
) -> None:
    out = metaloom("export", add3, "--to", tmp_path / "add3")
    assert out.code == 0, out.err
    assert str(tmp_path / "add3") in out.out.replace("\n", "")
    done = metaloom("import", "you/add3", tmp_path / "add3", "--home", tmp_path / "b", "--json")
    assert done.code == 0, done.err
    assert done.json["reference"] == "you/add3@1"
    assert done.json["digest"] == metaloom("show", add3, "--json").json["digest"]


def test_a_repository_is_imported_with_a_class_of_the_current_folder(
    metaloom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets_of_a_test.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Linear):\n"
        "    def __init__(self, width):\n        super().__init__(3, width)\n"
    )
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo" / "config.json").write_text(json.dumps({"width": 2}))
    state = {"weight": torch.ones(2, 3), "bias": torch.zeros(2)}
    save_file(state, tmp_path / "repo" / "model.safetensors")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    named = ("import", "me/net", "repo", "--signature", "vec[3] -> logits[2]")

    done = metaloom(*named, "--class", "nets_of_a_test:Net", "--license", "MIT")
    assert done.code == 0, done.err
    assert "me/net@1 : vec[3] -> logits[2]" in done.out
    assert sys.path == path
    monkeypatch.delitem(sys.modules, "nets_of_a_test")

    assert "name one that you have installed: --class package.module:Class" in metaloom(*named).err
    for wrong, message in (
        ("Net", "names no class; write it as package.module:Class"),
        ("a-b:Net", "names no class"),
        ("nothing_here:Net", "cannot be imported"),
        ("nets_of_a_test:Ten", "has no Ten"),
        ("math:pi", "is a float, no class"),
    ):
        done = metaloom(*named, "--class", wrong)
        assert done.code == 1
        assert message in done.err.replace("\n", " ")


def test_mistakes_are_told_with_their_remedy(metaloom: Command, add3: str, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(b"")
    for command, message in (
        (("import", "me/x", tmp_path / "none"), "there is no file or folder"),
        (("import", "me/x", tmp_path / "net.pt2"), "--trust"),
        (("export", add3, "--to", tmp_path / "a.foo"), "means no form to export to"),
        (("export", add3, "--to", tmp_path / "a.onnx"), "is a program"),
        (("export", "lists/map", "--to", tmp_path / "a"), "is a primitive"),
        (("export", "me/none", "--to", tmp_path / "a"), "me/none"),
    ):
        done = metaloom(*command)
        assert done.code == 1
        assert message in done.err.replace("\n", " ")


@pytest.mark.parametrize("command", ["import", "export"])
def test_the_help_has_examples(metaloom: Command, command: str) -> None:
    assert f"metaloom {command} me/conv4" in metaloom(command, "--help").out
