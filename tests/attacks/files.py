"""Attacks by the weights of a block, by its manifest, and by the folder or archive it comes in."""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from metaloom_registry import (
    BadSeal,
    Corrupt,
    FolderBlobs,
    Manifest,
    NotFound,
    ParseError,
    PublicKey,
    Refused,
    Seal,
    TypeMismatch,
    WrongFact,
    parse_type,
    read_portable,
)
from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.catalogue import validate_block
from metaloom_registry.graph import export_module

from .attack import Attack
from .conftest import VALID_DATA, safetensors, valid_document, valid_header
from .graphs import Bomb, read

GRAPH = dump_canonical(valid_document())


def weights(name: str, tries: str, says: str, make: Callable[[], bytes]) -> Attack:
    return Attack(name, tries, Refused, says, lambda _: read(GRAPH, make()))


def header(change: Callable[[dict[str, Any]], Any], data: bytes = VALID_DATA) -> Any:
    """Weights whose header was changed in place."""

    def make() -> bytes:
        found = valid_header()
        change(found)
        return safetensors(found, data)

    return make


def entry(**fields: Any) -> Any:
    return header(lambda found: found["layer.weight"].update(fields))


def _checkpoint() -> bytes:
    file = io.BytesIO()
    torch.save(nn.Linear(3, 2).state_dict(), file)
    return file.getvalue()


def _many() -> bytes:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return safetensors(json.dumps({f"t{i}": empty for i in range(100_000)}).encode(), b"")


def _floats(number: float) -> bytes:
    return safetensors(valid_header(), struct.pack("<8f", 0, 1, number, 3, 4, 5, 6, 7))


def _truth(_: Path) -> None:
    document = valid_document()
    state = {"name": "mask", "kind": "buffer", "dtype": "bool", "shape": [1], "persistent": True}
    document["state"].append(state)
    document["nodes"][0]["inputs"], document["nodes"][1]["inputs"] = [0, 1, 2], [4]
    document["outputs"] = {"value": 5}
    found = valid_header() | {"mask": {"dtype": "BOOL", "shape": [1], "data_offsets": [32, 33]}}
    read(dump_canonical(document), safetensors(found, VALID_DATA + b"\x07"))


WEIGHTS = (
    weights("a renamed pickle as weights", "gives a pickle that calls a function",
            r"no safetensors file: they claim a header of \d{9} ",
            lambda: pickle.dumps(Bomb()) + bytes(99)),
    weights("a checkpoint of torch", "gives a zip archive with a pickle in it",
            r"no safetensors file: they claim a header of \d{18} ", _checkpoint),
    weights("a header of 2^63 bytes", "lets a reader allocate, or its integers overflow",
            "a header of 9223372036854775808 bytes", lambda: struct.pack("<Q", 1 << 63) + bytes(9)),
    weights("a header longer than the file", "lets a reader read beyond the end",
            "a header of 1000 bytes", lambda: struct.pack("<Q", 1000) + b"{}"),
    weights("an empty file", "has no header at all",
            "have 0 bytes: no safetensors", lambda: b""),
    weights("a header with a key twice", "describes one tensor in two ways",
            "header of the weights: the key 'a' appears twice",
            lambda: safetensors(b'{"a":1,"a":2}', b"")),
    weights("a deep header", "nests brackets in the header",
            "header of the weights nests deeper", lambda: safetensors(b"[" * 1000, b"")),
    weights("overlapping tensors", "lets two tensors share bytes",
            "'layer.bias' overlaps",
            header(lambda h: h["layer.bias"].update(data_offsets=[16, 24]), bytes(24))),
    weights("a gap", "hides bytes between two tensors",
            "'layer.bias' leaves a gap",
            header(lambda h: h["layer.bias"].update(data_offsets=[32, 40]), bytes(40))),
    weights("a script behind the last tensor", "is a shell script as well as weights",
            "cover 32 bytes of 41",
            lambda: safetensors(valid_header(), VALID_DATA + b"#!/bin/sh")),
    weights("a file cut short", "lets a reader read beyond the end of the data",
            "cover 32 bytes of 31", lambda: safetensors(valid_header(), VALID_DATA[:-1])),
    weights("a shape of 2^80 elements", "overflows the product of sizes",
            r"has the shape \[1099511627776, 1099511627776\]", entry(shape=[1 << 40, 1 << 40])),
    weights("a negative size", "gives a size of -3",
            r"has the shape \[2, -3\]", entry(shape=[2, -3])),
    weights("a size of 3.0", "gives a float as a size",
            r"has the shape \[2, 3.0\]", entry(shape=[2, 3.0])),
    weights("an end before the beginning", "swaps the offsets of a tensor",
            r"lies at \[24, 0\]", entry(data_offsets=[24, 0])),
    weights("an offset of 2^62", "points far beyond the file",
            r"lies at \[0, 4611686018427387904\]", entry(data_offsets=[0, 1 << 62])),
    weights("a hundred thousand tensors", "makes the checks take long",
            "(header of|weights)", _many),
    weights("a tensor too many", "smuggles in a tensor that the graph does not own",
            r"does not own \['extra'\]",
            header(lambda h: h.update(extra={"dtype": "F32", "shape": [0],
                                             "data_offsets": [32, 32]}))),
    weights("a tensor too few", "leaves a tensor uninitialised",
            r"lack some that it owns \['layer.bias'\]",
            header(lambda h: h.update(other=h.pop("layer.bias")))),
    weights("a tensor of another shape", "swaps rows and columns",
            r"layer.weight as float32\[3,2\]", entry(shape=[3, 2])),
    weights("a dtype of objects", "says that the elements are Python objects",
            "has the dtype 'object'", entry(dtype="object")),
    weights("metadata with code", "writes Python into the metadata",
            "metadata other than",
            header(lambda h: h.update(__metadata__={"format": "pt", "code": "import os"}))),
    weights("a path as the name of a tensor", "calls a tensor `../x` in the header alone",
            r"'\.\./x' is not a name", header(lambda h: h.update({"../x": h.pop("layer.bias")}))),
    weights("NaN among the parameters", "spreads through whatever uses the block",
            "NaN or infinity in layer.weight", lambda: _floats(math.nan)),
    weights("infinity among the parameters", "turns into NaN at the first difference",
            r"NaN or infinity in layer.weight \(1 of 6\)", lambda: _floats(math.inf)),
    Attack("a truth value of 7", "uses what torch leaves undefined for booleans", Refused,
           "truth values that are neither 0 nor 1", _truth),
)  # fmt: skip


def manifest(**fields: Any) -> bytes:
    """A manifest as bytes, with other fields."""
    found = load_strict(Manifest.of("program", parse_type("int -> int"), {}).to_bytes())
    return dump_canonical(found | fields)


def _file(path: str, size: int = 3) -> Callable[[Path], Any]:
    described = {path: {"digest": f"sha256:{'0' * 64}", "bytes": size}}
    return lambda _: Manifest.parse(manifest(files=described))


def of_manifest(name: str, tries: str, says: str, **fields: Any) -> Attack:
    return Attack(name, tries, Refused, says, lambda _: Manifest.parse(manifest(**fields)))


def with_path(name: str, tries: str, says: str, path: str) -> Attack:
    return Attack(name, tries, Refused, says, _file(path))


def _with_facts(**changed: Any) -> Callable[[Path], Any]:
    """A block that is sound but for its facts, some of which are those of another."""

    def publish(_: Path) -> None:
        torch.manual_seed(0)
        signature = parse_type("vec[3] -> vec[2]")
        exported = export_module(nn.Linear(3, 2), signature)
        files = {"graph.json": exported.graph, "weights.safetensors": exported.weights}
        facts = {**exported.facts, **changed}
        if "fingerprint" in changed:
            other = export_module(nn.Linear(3, 2), signature)
            facts["fingerprint"] = other.facts["fingerprint"]
        validate_block(Manifest.of("graph", signature, files, facts=facts), files)

    return publish


def _of_another_type(_: Path) -> None:
    files = {"graph.json": GRAPH, "weights.safetensors": safetensors(valid_header(), VALID_DATA)}
    validate_block(Manifest.of("graph", parse_type("text -> vec[2]"), files), files)


_TWINS = {"a/X": {"digest": f"sha256:{'0' * 64}", "bytes": 1},
          "a/x": {"digest": f"sha256:{'0' * 64}", "bytes": 1}}  # fmt: skip

MANIFESTS = (
    with_path("a file outside the folder", "lists the file `../../.bashrc`",
              r"'\.\./\.\./\.bashrc' is not a path", "../../.bashrc"),
    with_path("an absolute path", "lists the file `/etc/passwd`",
              "'/etc/passwd' is not a path", "/etc/passwd"),
    with_path("a path of Windows", "lists a file with backslashes and a drive",
              "is not a path; a path is", "C:\\autoexec.bat"),
    with_path("a path that reads backwards", "hides its ending by a mark that turns the text",
              r"u202e.* is not a path", "card\u202etxt.exe"),
    with_path("a device", "lists the file `con`, which opens a device on some systems",
              "'con.json' names a device", "con.json"),
    with_path("the manifest as its own file", "lists `manifest.json` among the files",
              "'manifest.json' is kept for the manifest", "manifest.json"),
    of_manifest("two files that are one", "lists `a/X` and `a/x`, one file on some systems",
                "differ only in case", files=_TWINS),
    Attack("a file of 2^63 bytes", "promises more than any disk holds", Refused,
           "has 9223372036854775807 bytes", _file("weights.safetensors", (1 << 63) - 1)),
    of_manifest("a field nobody knows", "adds the field `setup` with a command",
                "the field 'setup'", setup="pip install evil"),
    of_manifest("a kind of block with code", "says that it is of the kind `python`",
                "'python' is not a kind", kind="python"),
    of_manifest("a manifest of the future", "says `metaloom-block/999999`",
                "metaloom-block/999999", format="metaloom-block/999999"),
    of_manifest("a tag with a script", "writes markup into a tag",
                "'<script>' is not a tag", tags=["<script>"]),
    of_manifest("a licence with an escape", "moves the cursor of a terminal by a licence",
                "is not an SPDX licence", licence="MIT\u001b[2J"),
    of_manifest("a card of a megabyte", "fills screens and indexes",
                "a card of 1000000 characters", card="x" * 1_000_000),
    of_manifest("a role with a space", "makes two words of a role in a line of output",
                "'is trusted' is not a role",
                parents=[{"digest": f"sha256:{'0' * 64}", "role": "is trusted"}]),
    Attack("a manifest in other spelling", "has the same content under another digest", Refused,
           "the manifest is not in canonical form",
           lambda _: Manifest.parse(manifest().replace(b'":', b'": '))),
    Attack("a poisoned fingerprint", "claims to behave as a block that is found often", WrongFact,
           "'fingerprint' is that of a block that behaves otherwise",
           _with_facts(fingerprint=None)),
    Attack("a modest block", "claims fewer parameters than it has", WrongFact,
           "'parameters' says 3", _with_facts(parameters=3)),
    Attack("a cheap block", "claims to cost nothing", WrongFact, "'cost'",
           _with_facts(cost={"at": {"B": 1}, "flops": 0, "peak_bytes": 0,
                             "activation_bytes": 0})),
    Attack("a block of another type", "claims to read text", TypeMismatch,
           "text", _of_another_type),
)  # fmt: skip


def _block(folder: Path) -> Path:
    """A sound program block as a folder."""
    files = {"notes.txt": b"hello"}
    found = Manifest.of("program", parse_type("int -> int"), files)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_bytes(found.to_bytes())
    (folder / "notes.txt").write_bytes(b"hello")
    return folder


def _link(folder: Path) -> None:
    secret = folder / "secret"
    secret.write_text("of mine")
    block = _block(folder / "block")
    (block / "notes.txt").unlink()
    (block / "notes.txt").symlink_to(secret)
    read_portable(block)


def _link_among_blobs(folder: Path) -> None:
    secret = folder / "secret"
    secret.write_text("of mine")
    store = FolderBlobs(folder / "blobs")
    digest = store.put(b"what was promised")
    path = store.path(digest)
    path.unlink()
    path.symlink_to(secret)
    store.get(digest)


def _archive(compression: int, entries: Callable[[Path], dict[str, bytes]]) -> Any:
    def make(folder: Path) -> None:
        archive = folder / "block.zip"
        with zipfile.ZipFile(archive, "w", compression) as file:
            for path, data in entries(_block(folder / "block")).items():
                file.writestr(path, data)
        read_portable(archive)

    return make


def _forged(_: Path) -> None:
    data = manifest()
    key = PublicKey("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    Seal(key, 1_700_000_000, "00" * 64).check(data)


def _missing(folder: Path) -> None:
    block = _block(folder / "block")
    (block / "notes.txt").unlink()
    read_portable(block)


ARCHIVES = (
    Attack("a link out of a block's folder", "lets a file of the block be a link to a secret",
           Corrupt, "is not what the manifest promises", _link),
    Attack("a link among the blobs", "puts a link to a secret under another's digest", Corrupt,
           "the blob", _link_among_blobs),
    Attack("a zip bomb", "compresses a file a thousandfold", Refused,
           "is compressed or encrypted",
           _archive(zipfile.ZIP_DEFLATED, lambda block: {
               "manifest.json": bytes(1 << 20)})),
    Attack("an archive that names other folders", "puts the manifest at `../manifest.json`",
           NotFound, "has no manifest.json",
           _archive(zipfile.ZIP_STORED, lambda block: {
               "../manifest.json": (block / "manifest.json").read_bytes()})),
    Attack("an archive with other bytes", "changes a file under an honest manifest", Corrupt,
           "notes.txt is not what the manifest promises",
           _archive(zipfile.ZIP_STORED, lambda block: {
               "manifest.json": (block / "manifest.json").read_bytes(), "notes.txt": b"hullo"})),
    Attack("a block without a file", "lists a file and leaves it away", NotFound,
           "notes.txt is missing, which the manifest lists", _missing),
    Attack("a forged signature", "signs in another's name with zeros", BadSeal,
           "does not hold for the block", _forged),
    Attack("a weak key", "signs with a point of small order, for which anybody can sign", Refused,
           "is a weak key", lambda _: PublicKey(f"01{'00' * 31}")),
    Attack("a key that is none", "gives a path as a key", ParseError,
           "is not a public key", lambda _: PublicKey.parse("ed25519:../../id_ed25519")),
)  # fmt: skip
