"""Repositories as the Hugging Face Hub has them: config.json, safetensors, README.md.

The architecture is a class that the person who imports has installed and names.  What config.json
says of classes is not read, and a pickle is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import nn

from metaloom.exchange.model_card import MAX_CARD_BYTES, card_in, read_card
from metaloom.exchange.repositories import ADDRESS, Remote, Repository, Snapshot
from metaloom_registry import (
    Consent,
    Imported,
    NotFound,
    ParseError,
    Refused,
    TypeMismatch,
    load_strict,
)
from metaloom_registry.portable import MAX_FILE

if TYPE_CHECKING:
    from metaloom_registry import Architecture

CONFIG_FILE = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
CARD_FILE = "README.md"
MAX_SHARDS = 1_000
MAX_CONFIG = 32 << 20
SHOWN = 3
"""Names of tensors that an error lists."""

_WANTED = {
    CONFIG_FILE: MAX_CONFIG,
    "*.safetensors": MAX_FILE,
    INDEX: MAX_CONFIG,
    CARD_FILE: MAX_CARD_BYTES,
}
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.safetensors", re.ASCII)
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class HuggingFaceImporter:
    """Reads a folder, or a snapshot of `hf://organisation/name@revision`."""

    def accepts(self, source: object) -> bool:
        if isinstance(source, str):
            return source.startswith(ADDRESS)
        return isinstance(source, Path) and (source / CONFIG_FILE).is_file()

    def read(self, source: object, consent: Consent) -> Imported:
        """The architecture with the stored state, which has to be the whole of its state.

        A class with `from_pretrained` makes itself from the folder, any other from the settings in
        config.json.  Raises Refused without an architecture or where there are pickles alone,
        TypeMismatch where settings or state are not those of the architecture.
        """
        architecture = consent.architecture
        if architecture is None:
            raise Refused(
                f"{source} stores numbers, not the architecture they belong to, and no class that "
                "config.json may name is imported; name one that you have installed: "
                "--class package.module:Class, or Consent(architecture=Class); "
                "`metaloom pull` takes a block that another library pushed"
            )
        folder = source
        if isinstance(source, str):
            folder = Snapshot.of(Repository.parse(source), Remote.of(), _WANTED).folder
        assert isinstance(folder, Path)
        state = _state(folder)
        module = _built(architecture, folder)
        _give(module, state, _name(architecture))
        card = folder / CARD_FILE
        told = card_in(card) if card.is_file() else read_card("")
        return Imported(module.eval(), license=told.license, card=told.text, tags=told.tags)


HUGGINGFACE = HuggingFaceImporter()


def _state(folder: Path) -> dict[str, torch.Tensor]:
    """The tensors of all safetensors files that the repository names."""
    found: dict[str, torch.Tensor] = {}
    for file in _weight_files(folder):
        try:
            tensors = load_file(file)
        except Exception as error:  # safetensors has an error of its own, in Rust
            raise ParseError(f"{file} is no safetensors file: {error}") from error
        if twice := sorted(set(found) & set(tensors)):
            raise ParseError(f"{file} holds {twice[0]} again; each tensor is in one file")
        found.update(tensors)
    return found


def _weight_files(folder: Path) -> Iterator[Path]:
    if (folder / WEIGHTS).is_file():
        yield folder / WEIGHTS
        return
    if not (folder / INDEX).is_file():
        pickles = [path.name for pattern in _PICKLES for path in folder.glob(pattern)]
        if pickles:
            raise Refused(
                f"{folder} has its weights in {min(pickles)}, a pickle, which can run code when "
                "it is read; save them again as safetensors: save_pretrained writes them"
            )
        raise NotFound(f"{folder} has neither {WEIGHTS} nor {INDEX}; save_pretrained writes one")
    index = load_strict((folder / INDEX).read_bytes(), str(folder / INDEX))
    shards = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(shards, dict) or not shards:
        raise ParseError(f"{folder / INDEX} has no weight_map from tensors to files")
    names = sorted({str(name) for name in shards.values()})
    if len(names) > MAX_SHARDS:
        raise ParseError(
            f"{folder / INDEX} names {len(names)} files; at most {MAX_SHARDS} are read"
        )
    for name in names:
        if not _SHARD.fullmatch(name):
            raise ParseError(f"{folder / INDEX} names the file {name[:80]!r}, which is none of its")
        if not (folder / name).is_file():
            raise NotFound(f"{folder / name} is missing, which {INDEX} names; fetch it again")
        yield folder / name


def _built(architecture: Architecture, folder: Path) -> nn.Module:
    """The architecture made from the folder or from its settings."""
    name = _name(architecture)
    settings = load_strict((folder / CONFIG_FILE).read_bytes(), str(folder / CONFIG_FILE))
    if not isinstance(settings, dict):
        raise ParseError(f"{folder / CONFIG_FILE} is no JSON object of settings")
    try:
        if _makes_itself(architecture):
            module = architecture.from_pretrained(str(folder), local_files_only=True)  # type: ignore[attr-defined]
        else:
            module = architecture(**settings)
    except Exception as error:
        raise TypeMismatch(
            f"{name} cannot be made with the settings of {folder / CONFIG_FILE} "
            f"({', '.join(settings) or 'none'}): {type(error).__name__}: {str(error)[:300]}; "
            "name the class that saved them"
        ) from error
    if not isinstance(module, nn.Module):
        raise TypeMismatch(f"{name} makes a {type(module).__name__}, not a torch.nn.Module")
    return module


def _makes_itself(architecture: Architecture) -> bool:
    return callable(getattr(architecture, "from_pretrained", None))


def _give(module: nn.Module, stored: Mapping[str, torch.Tensor], name: str) -> None:
    """Let the module have exactly the stored state; TypeMismatch where that is not its state.

    Of tensors under several names, safetensors files hold one.  Numbers may be stored in a narrower
    dtype than the module's.
    """
    own = module.state_dict(keep_vars=True)
    same: dict[int, set[str]] = {}
    for key, value in own.items():
        same.setdefault(id(value), set()).add(key)
    both = [(key, value, own[key]) for key, value in stored.items() if key in own]
    problems = {
        "it lacks": [key for key, value in own.items() if not same[id(value)] & stored.keys()],
        "it has, and the class has not,": [key for key in stored if key not in own],
        "it has another shape of": [
            f"{key} ({list(value.shape)} instead of {list(wanted.shape)})"
            for key, value, wanted in both
            if wanted.shape != value.shape
        ],
        "it has a wider dtype of": [
            f"{key} ({value.dtype} instead of {wanted.dtype})"
            for key, value, wanted in both
            if torch.promote_types(value.dtype, wanted.dtype) != wanted.dtype
        ],
    }
    for what, keys in problems.items():
        if keys:
            more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
            raise TypeMismatch(
                f"the stored state is not that of {name}: {what} {', '.join(keys[:SHOWN])}{more}; "
                "name the class that saved it"
            )
    with torch.no_grad():
        for _, value, wanted in both:
            wanted.copy_(value)


def _name(architecture: Architecture) -> str:
    return str(getattr(architecture, "__qualname__", architecture))
