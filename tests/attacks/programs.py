"""Attacks by programs, types and names, by tasks, and by what is imported from elsewhere."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from metaloom.exchange.huggingface import HUGGINGFACE
from metaloom.exchange.model_card import read_card
from metaloom.exchange.pt2 import PT2
from metaloom.task_files import read_task
from metaloom_registry import (
    BlockName,
    Consent,
    InvalidName,
    InvalidTask,
    Manifest,
    MetaloomError,
    ParseError,
    Refused,
    TypeMismatch,
    infer,
    normal_form,
    parse_term,
    parse_type,
    term_from_json,
)
from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.catalogue import validate_block

from .attack import Attack
from .graphs import Bomb


def of_term(name: str, tries: str, says: str, term: Callable[[], Any]) -> Attack:
    return Attack(name, tries, ParseError, says, lambda _: term_from_json(term()))


def _bomb() -> None:
    term = "(lists/add@1 $0 $0)"
    for _ in range(40):
        term = f"(let {term} (lists/add@1 $0 $0))"
    normal_form(parse_term(f"(lam {term})"))


def _types() -> None:
    term = "(lam (lam ($0 $1 $1)))"
    for _ in range(12):
        term = f"(let {term} (lam ($1 ($1 $0))))"
    infer(parse_term(term), lambda _: parse_type("int"))


def _nested(depth: int) -> Any:
    term: Any = "$0"
    for _ in range(depth):
        term = ["lam", term]
    return term


def program(term: Any, **fields: Any) -> Callable[[Path], Any]:
    """A program block of this term."""

    def check(_: Path) -> None:
        files = {"term.json": dump_canonical(term)}
        validate_block(Manifest.of("program", parse_type("int -> int"), files, **fields), files)

    return check


def of_type(name: str, tries: str, says: str, text: str) -> Attack:
    return Attack(name, tries, ParseError, says, lambda _: parse_type(text))


def of_name(name: str, tries: str, says: str, text: str) -> Attack:
    return Attack(name, tries, InvalidName, says, lambda _: BlockName.parse(text))


TERMS = (
    Attack("an expansion bomb", "shares a value 40 times, which written out is 2^40 nodes",
           ParseError, "written out in full has more than 100000 nodes", lambda _: _bomb()),
    Attack("a bomb of types", "has a type that doubles with every `let`", TypeMismatch,
           "more than 5000 parts", lambda _: _types()),
    Attack("a program without an end", "applies itself to itself", TypeMismatch, "",
           lambda _: infer(parse_term("((lam ($0 $0)) (lam ($0 $0)))"),
                           lambda _: parse_type("int"))),
    of_term("a term 250 functions deep", "exhausts the stack of an interpreter",
            "nests deeper than 200", lambda: _nested(250)),
    of_term("a term of a hundred thousand nodes", "makes the checks take long",
            "more than 100000 nodes", lambda: _wide()),
    of_term("a term that is an object", "gives an object with a class",
            "is not a term", lambda: {"__class__": "os.system"}),
    of_term("an application of an application", "writes one term in two ways",
            "is not an application", lambda: [["lists/add@1", 1], 2]),
    Attack("a program with a loose variable", "reads a value of whoever runs it", Refused,
           r"has the free variable \$0", program(["lam", "$1"])),
    Attack("a program that uses an alias", "means another block tomorrow", Refused,
           "which may mean another block tomorrow", program(["lam", ["me/x@champion", "$0"]])),
    Attack("a program with a hidden parent", "uses a block that its manifest does not list",
           Refused, "'parents' do not list", program(["lam", [f"@sha256:{'1' * 64}", "$0"]])),
    Attack("a program with a hidden primitive", "uses a primitive that its manifest does not list",
           Refused, "'requires' do not list", program(["lam", ["lists/add@1", 1, "$0"]])),
    of_type("a type of 60 lists", "exhausts the stack of a reader",
            "nests deeper than 50", "list[" * 60 + "int" + "]" * 60),
    of_type("a type of a megabyte", "makes unification take long",
            "is too long; at most 10000", "int" * 400_000),
    of_type("a dimension of 2^40 in a type", "asks for inputs that no memory holds",
            "a dimension from 1 to 2147483648", f"vec[{1 << 40}] -> int"),
    of_name("a name with a parent folder", "publishes under `../x`", "is not a namespace", "../x"),
    of_name("a name in full width", "looks like a name that is taken",
            "FULLWIDTH LATIN SMALL LETTER V", "\uff56ision/conv4"),
    of_name("a name with a line's end", "writes a line of output of its own",
            r"'x\\n' is not a name", "me/x\n"),
)  # fmt: skip


def _wide() -> Any:
    return ["a/f@1", *[["a/g@1", *[["a/h@1", *[1] * 60]] * 60]] * 60]


def task(name: str, tries: str, error: type[MetaloomError], says: str, file: str,
         data: Callable[[], bytes]) -> Attack:  # fmt: skip
    def read(folder: Path) -> None:
        path = folder / file
        path.write_bytes(data())
        read_task(path)

    return Attack(name, tries, error, says, read)


def _objects(folder: Path) -> None:
    path = folder / "task.npz"
    np.savez(path, images=np.array([Bomb()], dtype=object), labels=np.array([1]))
    read_task(path)


TASKS = (
    task("a task with a deep line", "nests brackets in an example", ParseError,
         "nests deeper", "task.jsonl", lambda: b'{"i":' + b"[" * 5000 + b"]" * 5000 + b"}\n"),
    task("a task with NaN", "puts NaN among the examples", ParseError,
         "NaN", "task.jsonl", lambda: b'{"i": NaN, "o": 1}\n'),
    task("a task with huge integers", "overflows int64", ParseError,
         "does not fit into 64 bits", "task.jsonl",
         lambda: json.dumps({"i": 10**400, "o": 1}).encode()),
    task("a task with a key twice", "shows two readers two examples", ParseError,
         "appears twice", "task.jsonl", lambda: b'{"i": 1, "i": 2, "o": 1}\n'),
    task("a task of mixed types", "puts a text among the numbers", InvalidTask,
         "one column holds one type", "task.jsonl",
         lambda: b'{"i": 1, "o": 1}\n{"i": "x", "o": 1}\n'),
    task("a pickle as a task", "renames a pickle to NPZ", InvalidTask,
         "is no NPZ file", "task.npz", lambda: pickle.dumps(Bomb())),
    Attack("an array of objects", "hides a pickle within an NPZ file", InvalidTask,
           "is no NPZ file that can be read|Object arrays", _objects),
)  # fmt: skip


def card(name: str, tries: str, says: str, head: str) -> Attack:
    return Attack(name, tries, ParseError, says, lambda _: read_card(f"---\n{head}\n---\ntext"))


def _pt2(folder: Path) -> None:
    path = folder / "model.pt2"
    torch.save({"code": Bomb()}, path)
    PT2.read(path, Consent())


def _repository(index: dict[str, Any] | None) -> Callable[[Path], Any]:
    def read(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        if index is None:
            torch.save(nn.Linear(1, 1).state_dict(), folder / "pytorch_model.bin")
        else:
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        HUGGINGFACE.read(folder, Consent(architecture=nn.Linear))

    return read


def _names_a_class(folder: Path) -> None:
    config = {"architectures": ["os.system"], "auto_map": {"AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    HUGGINGFACE.read(folder, Consent())


_LOL = "a0: &a [x]\n" + "\n".join(f"a{i}: &a{i} [*a, *a, *a]" for i in range(9))

IMPORTS = (
    Attack("a .pt2 with code in it", "runs code when torch reads it", Refused,
           "can run code that is hidden", _pt2),
    Attack("a repository of pickles", "stores its weights in `pytorch_model.bin`", Refused,
           "pytorch_model.bin, a pickle", _repository(None)),
    Attack("a repository that names a class", "asks for `os.system` in config.json", Refused,
           "no class that config.json may name is imported", _names_a_class),
    Attack("a shard outside the repository", "names `../../secret.safetensors`", ParseError,
           r"names the file '\.\./\.\./secret",
           _repository({"weight_map": {"weight": "../../secret.safetensors"}})),
    card("a YAML bomb", "multiplies a list by references to itself", "YAML aliases", _LOL),
    card("YAML that calls a function", "writes `!!python/object/apply:os.system`",
         "is no YAML: could not determine a constructor",
         "x: !!python/object/apply:os.system [echo]"),
    card("a head of a megabyte", "makes the YAML reader slow",
         "at most 65536", "x: " + "y" * 1_000_000),
    Attack("a manifest of raw bytes", "is no JSON at all", ParseError, "is not UTF-8",
           lambda _: load_strict(b"\xff\xfe", "the manifest")),
)  # fmt: skip
