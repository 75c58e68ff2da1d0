"""What every `Importer` has to do, as tests.

class TestMine(ImporterSuite):
    signature = "vec[3] -> logits[2]"

    @pytest.fixture
    def importer(self): return IMPORTER

    @pytest.fixture
    def source(self, tmp_path): return ...            # something it reads
"""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.graph import export_module, load_graph
from metaloom_registry.importing import Consent, Imported, Importer
from metaloom_registry.manifest import path_problem


class ImporterSuite:
    """Subclass it, with fixtures `importer` and `source`, and `signature`, the module's type.

    `consent` is what reading the source takes.
    """

    signature: str

    @pytest.fixture
    def importer(self) -> Importer:
        raise NotImplementedError("give a fixture `importer`")

    @pytest.fixture
    def source(self) -> object:
        raise NotImplementedError("give a fixture `source`: a path, an address or an object")

    @pytest.fixture
    def consent(self) -> Consent:
        return Consent()

    def test_its_own_kind_of_source_is_accepted(self, importer: Importer, source: object) -> None:
        assert importer.accepts(source) is True

    def test_anything_else_is_not_accepted(self, importer: Importer, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        strange = (None, 3, "nothing", "https://nothing", empty, tmp_path / "none", object())
        assert [one for one in strange if importer.accepts(one)] == []

    def test_what_is_read_is_a_module_and_plain_words_about_it(
        self, importer: Importer, source: object, consent: Consent
    ) -> None:
        found = importer.read(source, consent)
        assert isinstance(found, Imported)
        assert callable(found.module)
        assert found.module.state_dict() is not None
        assert isinstance(found.card, str)
        assert dump_canonical(found.facts)
        assert [path for path in found.files if path_problem(path)] == []

    def test_reading_twice_gives_equal_modules_that_share_nothing(
        self, importer: Importer, source: object, consent: Consent
    ) -> None:
        first, second = (importer.read(source, consent).module for _ in range(2))
        ours, theirs = first.state_dict(), second.state_dict()
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert tensor.equal(theirs[name])
            assert tensor.numel() == 0 or tensor.data_ptr() != theirs[name].data_ptr()

    def test_what_is_read_becomes_a_block(
        self, importer: Importer, source: object, consent: Consent
    ) -> None:
        module = importer.read(source, consent).module
        exported = export_module(module, self.signature)
        loaded = load_graph(exported.graph, exported.weights)
        assert loaded.state_dict().keys() == module.state_dict().keys()
