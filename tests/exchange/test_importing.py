"""Which importer takes what, and what is said where none does."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from metaloom.exchange import importing
from metaloom.exchange.importing import import_block
from metaloom_registry import (
    AlreadyExists,
    Consent,
    Imported,
    NotFound,
    ParseError,
    PluginError,
    Refused,
    StorageError,
    TypeMismatch,
    discover,
)

GROUP = "metaloom.importers"


class TextNet:
    """Takes .net files; each holds a number."""

    def accepts(self, source: object) -> bool:
        return isinstance(source, Path) and source.suffix == ".net"

    def read(self, source: object, consent: Consent) -> Imported:
        assert isinstance(source, Path)
        module = nn.Linear(2, 2)
        nn.init.constant_(module.weight, float(source.read_text()))
        return Imported(module, "vec[2] -> vec[2]", "MIT", "From a text.", ("text",), {"n": 1})


TEXTNET = TextNet()
WRONG = 3


@pytest.fixture
def plugins(monkeypatch):
    """Declares importers of this module in place of the installed ones."""

    def declare(*named: tuple[str, str]) -> None:
        points = [EntryPoint(name, f"{__name__}:{value}", GROUP) for name, value in named]
        monkeypatch.setattr(importing, "discover", lambda group: discover(group, points))
        import sys

        monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or module_here())

    return declare


def module_here():
    from types import ModuleType

    found = ModuleType(__name__)
    found.__dict__.update(globals())
    return found


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "half.net"
    path.write_text("0.5")
    return path


def test_an_installed_importer_is_found_by_what_it_accepts(plugins, file, other):
    plugins(("text", "TEXTNET"))

    block: Any = import_block(other, "you/half", str(file))

    assert block.load()(torch.ones(1, 2)).shape == (1, 2)
    assert (block.license, block.card, block.tags) == ("MIT", "From a text.", ("text",))
    assert block.facts["n"] == 1
    assert str(block.signature) == "vec[2] -> vec[2]"


def test_two_importers_of_one_source_are_an_error_until_one_is_named(plugins, file, other):
    plugins(("one", "TEXTNET"), ("two", "TEXTNET"))

    with pytest.raises(ParseError, match="taken by the importers one, two; name the one to use"):
        import_block(other, "you/half", file)
    assert import_block(other, "you/half", file, importer="two").name == "half"


def test_a_broken_importer_stops_no_other_and_is_told_where_none_takes_it(plugins, file, other):
    plugins(("broken", "MISSING"), ("text", "TEXTNET"))

    assert import_block(other, "you/half", file).name == "half"
    with pytest.raises(NotFound, match=r"no importer takes .*one that does not load: .*'broken'"):
        import_block(other, "you/three", 3)


def test_an_importer_without_its_methods_is_an_error(plugins, file, other):
    plugins(("wrong", "WRONG"))

    with pytest.raises(PluginError, match="'wrong' is a int without `accepts` and `read`"):
        import_block(other, "you/half", file)


def test_an_unknown_importer_is_not_found(file, other):
    with pytest.raises(NotFound, match=r"no installed plugin of metaloom\.importers is called"):
        import_block(other, "you/half", file, importer="nothing")


def test_ours_are_installed():
    assert {"huggingface", "learn2learn", "pt2"} <= set(discover(GROUP).names)


def test_a_live_module_is_taken_as_it_is(other):
    net = nn.Linear(2, 3)

    block: Any = import_block(other, "you/line", net, "vec[2] -> logits[3]", tags=["mine"])

    assert torch.equal(block.load().weight, net.weight)
    assert block.tags == ("mine",)
    with pytest.raises(TypeMismatch, match="give a signature"):
        import_block(other, "you/line", net)


def test_a_source_that_is_not_there_is_named(other, tmp_path):
    with pytest.raises(NotFound, match=r"no file or folder .*none; .*written hf://org/name"):
        import_block(other, "you/none", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"no importer takes .*empty"):
        import_block(other, "you/none", tmp_path / "empty")
    with pytest.raises(NotFound, match="no importer takes ftp://nothing; there are"):
        import_block(other, "you/none", "ftp://nothing")


def test_a_primitives_name_is_not_taken(other):
    with pytest.raises(AlreadyExists, match="is a primitive's name"):
        import_block(other, "lists/map", nn.Linear(2, 2), "vec[2] -> vec[2]")


def test_an_export_says_which_forms_there_are(block, doubling, tmp_path):
    with pytest.raises(ParseError, match=r"'.foo' means no form .*\.zip \(portable\)"):
        block.export(tmp_path / "net.foo")
    with pytest.raises(ParseError, match="'foo' is no form to export to; there are portable, pt2"):
        block.export(tmp_path / "net", "foo")
    for suffix in ("pt2", "onnx"):
        with pytest.raises(Refused, match=r"is a program, and an? .* file holds a trained graph"):
            doubling.export(tmp_path / f"add6.{suffix}")
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        block.export(tmp_path / "file" / "net")


def test_a_file_of_torch_save_is_refused_with_the_remedy(other, tmp_path):
    path = tmp_path / "net.pt"
    torch.save(nn.Linear(2, 3).state_dict(), path)
    with pytest.raises(Refused, match=r"net\.pt is not read: .*publish the module from Python"):
        import_block(other, "you/net", path, "vec[2] -> logits[3]")
