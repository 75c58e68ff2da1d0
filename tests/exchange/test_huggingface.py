"""Repositories with config.json and safetensors, for classes that are installed here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import PyTorchModelHubMixin, split_torch_state_dict_into_shards
from safetensors.torch import load_file, save_file
from torch import nn

from metaloom.exchange import HUGGINGFACE, import_block
from metaloom_registry import (
    Consent,
    MetaloomError,
    NotFound,
    ParseError,
    Refused,
    StorageError,
    TypeMismatch,
)
from metaloom_registry.testing import ImporterSuite

SIGNATURE = "vec[6] -> logits[3]"
CARD = """---
license: apache-2.0
tags: [Small, "toy model", model_hub_mixin]
---
# A small network
"""


class Mixed(nn.Module, PyTorchModelHubMixin):
    """A class that makes itself from a repository."""

    def __init__(self, hidden: int = 8, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Linear(6 if i == 0 else hidden, hidden) for i in range(depth)]
        )
        self.head = nn.Linear(hidden, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


class Plain(nn.Module):
    """A class that takes its settings as arguments, with two names for one tensor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(6, width), nn.Linear(width, 6)
        self.again = self.encode
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.decode(torch.tanh(self.again(x))))


@pytest.fixture
def mixed() -> Mixed:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return Mixed(hidden=5, depth=3)


@pytest.fixture
def repository(mixed, tmp_path) -> Path:
    """A folder as `save_pretrained` writes it."""
    folder = tmp_path / "repository"
    mixed.save_pretrained(folder)
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture
def plain(tmp_path) -> tuple[Path, Plain]:
    folder = tmp_path / "plain"
    folder.mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(6)
        net = Plain(4)
    (folder / "config.json").write_text('{"width": 4}')
    save_file(
        {k: v for k, v in net.state_dict().items() if not k.startswith("again")},
        folder / "model.safetensors",
    )
    return folder, net


class TestHuggingFace(ImporterSuite):
    signature = SIGNATURE

    @pytest.fixture
    def importer(self):
        return HUGGINGFACE

    @pytest.fixture
    def source(self, repository):
        return repository

    @pytest.fixture
    def consent(self):
        return Consent(architecture=Mixed)


def test_a_repository_becomes_a_block_with_its_card_and_licence(repository, mixed, other):
    block: Any = import_block(
        other, "you/mixed", str(repository), SIGNATURE, consent=Consent(Mixed), tags=["mine"]
    )

    x = torch.randn(4, 6)
    assert torch.equal(block.load()(x), mixed(x))
    assert block.license == "Apache-2.0"
    assert block.card == "# A small network"
    assert set(block.tags) == {"mine", "small", "toy-model", "model_hub_mixin"}


@pytest.mark.parametrize(
    "card",
    [b"---\nlicense: mit\n---\n\xff\xfe net", b"---\nlicense: mit\n---\na net " * 200_000],
)
def test_a_card_that_is_no_text_or_has_no_end_is_read_as_far_as_it_goes(repository, other, card):
    (repository / "README.md").write_bytes(card)
    found: Any = import_block(other, "you/m", repository, SIGNATURE, consent=Consent(Mixed))
    assert found.license == "MIT"
    assert "net" in found.card


def test_a_card_that_holds_what_no_database_takes_is_refused(repository, other):
    (repository / "README.md").write_bytes(b"a \0 net")
    with pytest.raises(MetaloomError, match="card"):
        import_block(other, "you/m", repository, SIGNATURE, consent=Consent(Mixed))


def test_what_the_importing_person_says_goes_first(repository, other):
    block: Any = import_block(
        other, "you/m", repository, SIGNATURE, consent=Consent(Mixed), license="MIT", card="Mine."
    )

    assert (block.license, block.card) == ("MIT", "Mine.")


def test_a_class_without_from_pretrained_gets_the_settings_as_arguments(plain):
    folder, net = plain
    found: Any = HUGGINGFACE.read(folder, Consent(Plain)).module

    x = torch.randn(4, 6)
    assert torch.equal(found(x), net(x))
    assert found.again.weight is found.encode.weight
    assert not found.training


def test_state_in_several_files_is_put_together(repository, mixed, tmp_path):
    tensors = load_file(repository / "model.safetensors")
    split = split_torch_state_dict_into_shards(tensors, max_shard_size=200)
    for name, keys in split.filename_to_tensors.items():
        save_file({key: tensors[key] for key in keys}, repository / name)
    index = {"metadata": {}, "weight_map": split.tensor_to_filename}
    (repository / "model.safetensors.index.json").write_text(json.dumps(index))
    (repository / "model.safetensors").unlink()
    assert len(split.filename_to_tensors) > 2

    def build(**settings: int) -> nn.Module:
        return Mixed(**settings)

    found = HUGGINGFACE.read(repository, Consent(build)).module

    assert all(torch.equal(v, found.state_dict()[k]) for k, v in mixed.state_dict().items())


def test_no_class_is_taken_from_the_data(repository, monkeypatch):
    config = json.loads((repository / "config.json").read_text())
    config["architectures"] = ["os.system"]
    (repository / "config.json").write_text(json.dumps(config))

    with pytest.raises(Refused, match=r"no class that config.json may name is imported; name one"):
        HUGGINGFACE.read(repository, Consent())


def test_settings_of_another_class_are_named(plain):
    folder, _ = plain
    (folder / "config.json").write_text('{"widht": 4}')

    with pytest.raises(TypeMismatch, match=r"Plain cannot be made with .*\(widht\).*'widht'"):
        HUGGINGFACE.read(folder, Consent(Plain))


def test_missing_tensors_are_named(repository):
    tensors = load_file(repository / "model.safetensors")
    left = {k: v for k, v in tensors.items() if not k.startswith("layers")}
    save_file(left, repository / "model.safetensors")

    with pytest.raises(
        TypeMismatch,
        match=r"not that of Mixed: it lacks layers.0.weight, .* and 3 more; name the class",
    ):
        HUGGINGFACE.read(repository, Consent(Mixed))


def test_strange_tensors_are_named(repository):
    tensors = load_file(repository / "model.safetensors")
    save_file({**tensors, "extra": torch.zeros(2)}, repository / "model.safetensors")

    with pytest.raises(TypeMismatch, match="it has, and the class has not, extra"):
        HUGGINGFACE.read(repository, Consent(Mixed))


def test_other_shapes_are_named(plain):
    folder, _ = plain
    (folder / "config.json").write_text('{"width": 5}')

    with pytest.raises(TypeMismatch, match=r"encode.weight \(\[4, 6\] instead of \[5, 6\]\)"):
        HUGGINGFACE.read(folder, Consent(Plain))


def test_a_wider_dtype_is_not_rounded(plain):
    folder, net = plain
    tensors = {k: v.double() for k, v in net.state_dict().items() if not k.startswith("again")}
    save_file(tensors, folder / "model.safetensors")

    with pytest.raises(TypeMismatch, match=r"wider dtype of .*torch.float64 instead of"):
        HUGGINGFACE.read(folder, Consent(Plain))


def test_pickled_weights_are_refused(plain):
    folder, net = plain
    (folder / "model.safetensors").unlink()
    torch.save(net.state_dict(), folder / "pytorch_model.bin")

    with pytest.raises(Refused, match=r"pytorch_model.bin, a pickle, which can run code"):
        HUGGINGFACE.read(folder, Consent(Plain))


def test_no_weights_at_all_are_missed(plain):
    folder, _ = plain
    (folder / "model.safetensors").unlink()

    with pytest.raises(NotFound, match=r"has neither model.safetensors nor"):
        HUGGINGFACE.read(folder, Consent(Plain))


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        ("[]", ParseError, "no weight_map"),
        ('{"weight_map": {}}', ParseError, "no weight_map"),
        ('{"weight_map": {"a": "../a.safetensors"}}', ParseError, "which is none of its"),
        ('{"weight_map": {"a": "/etc/passwd"}}', ParseError, "which is none of its"),
        ('{"weight_map": {"a": "a.bin"}}', ParseError, "which is none of its"),
        ('{"weight_map": {"a": "a.safetensors"}}', NotFound, "is missing"),
    ],
)
def test_an_index_names_files_of_the_repository_alone(plain, index, error, message):
    folder, _ = plain
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)

    with pytest.raises(error, match=message):
        HUGGINGFACE.read(folder, Consent(Plain))


def test_a_damaged_file_of_weights_is_named(plain):
    folder, _ = plain
    (folder / "model.safetensors").write_bytes(b"nothing")

    with pytest.raises(ParseError, match=r"model.safetensors is no safetensors file"):
        HUGGINGFACE.read(folder, Consent(Plain))


def test_settings_that_are_no_object_are_refused(plain):
    folder, _ = plain
    (folder / "config.json").write_text("[1]")

    with pytest.raises(ParseError, match="is no JSON object of settings"):
        HUGGINGFACE.read(folder, Consent(Plain))


def test_a_class_that_is_no_module_is_refused(plain):
    folder, _ = plain

    with pytest.raises(TypeMismatch, match=r"dict makes a dict, not a torch.nn.Module"):
        HUGGINGFACE.read(folder, Consent(dict))  # type: ignore[arg-type]


def test_a_repository_that_cannot_be_fetched_is_an_error_with_the_remedy():
    with pytest.raises(StorageError, match="HF_HUB_OFFLINE forbids to fetch it; unset it"):
        HUGGINGFACE.read("hf://nobody/nothing@v1", Consent(Plain))
    with pytest.raises(ParseError, match="is no repository such as hf://org/name"):
        HUGGINGFACE.read("hf://nothing", Consent(Plain))
