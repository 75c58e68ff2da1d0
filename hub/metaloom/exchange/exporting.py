"""Exporting: a block written in a form that others read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metaloom.exchange.mlflow_model import write_mlflow
from metaloom.exchange.onnx_file import write_onnx
from metaloom.exchange.programs import portable_of
from metaloom.exchange.pt2 import write_pt2
from metaloom.solving import stored_solution
from metaloom.vocabulary import function_name
from metaloom_registry import (
    AlreadyExists,
    GraphModule,
    ParseError,
    Refused,
    StorageError,
    write_portable,
)

if TYPE_CHECKING:
    from metaloom.blocks import Block


@dataclass(frozen=True, slots=True)
class Format:
    """A form a block is written in: what it is, the suffixes that mean it, and who writes it."""

    what: str
    suffixes: tuple[str, ...]
    write: Callable[[Block, Path], object]


def export_block(block: Block, to: str | os.PathLike[str], form: str | None = None) -> Path:
    """Write a block, of whole files or not at all; returns the path.

    form: a name of `FORMATS`; without one the path's suffix tells, and a path without a suffix is
      a portable folder.
    Raises ParseError for an unknown form, AlreadyExists where something is at the path, Refused
    where the block does not go into the form, MissingExtra where a package is missing.
    """
    target = Path(to).expanduser().absolute()
    name = _form_of(target) if form is None else form
    if name not in FORMATS:
        raise ParseError(f"{name[:80]!r} is no form to export to; there are {', '.join(FORMATS)}")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise AlreadyExists(f"{target} is there already; choose another path or remove it first")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        try:
            written = work / target.name
            FORMATS[name].write(block, written)
            written.replace(target)
        finally:
            shutil.rmtree(work)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}; choose another path"
        ) from error
    return target


def _form_of(target: Path) -> str:
    if not target.suffix:
        return "portable"
    for name, form in FORMATS.items():
        if target.suffix.lower() in form.suffixes:
            return name
    suffixes = ", ".join(f"{s} ({n})" for n, form in FORMATS.items() for s in form.suffixes)
    raise ParseError(
        f"the suffix {target.suffix[:40]!r} means no form to export to; "
        f"use {suffixes}, no suffix for a folder, or name the form: {', '.join(FORMATS)}"
    )


def _graph(block: Block, what: str) -> GraphModule:
    """The graph of a block. Raises Refused where it is none."""
    loaded = block.load() if block.kind == "graph" else None
    if not isinstance(loaded, GraphModule):
        raise Refused(
            f"{block.reference} is a {block.kind}, and {what} holds a trained graph; programs are "
            "exported as portable folders, archives, MLflow models or Python files"
        )
    return loaded


def _portable(block: Block, path: Path) -> None:
    write_portable(portable_of(block), path)


def _pt2(block: Block, path: Path) -> None:
    write_pt2(_graph(block, "a .pt2 file"), path)


def _onnx(block: Block, path: Path) -> None:
    write_onnx(_graph(block, "an ONNX file"), path)


def _mlflow(block: Block, path: Path) -> None:
    work = path.parent / "work"
    work.mkdir()
    write_mlflow(portable_of(block), path, work)


def _python(block: Block, path: Path) -> None:
    if block.kind == "graph":
        raise Refused(
            f"{block.reference} is a trained graph, which is not to be written as Python; "
            "export it as .onnx or .pt2"
        )
    if block.kind == "primitive":
        raise Refused(f"{block.reference} is a primitive; publish a program that uses it")
    name = block.reference.name
    text = stored_solution(block)[0].python(
        function_name("solution" if name is None else str(name))
    )
    path.write_text(text, encoding="utf-8")


FORMATS: Mapping[str, Format] = {
    "portable": Format("a folder or archive that Metaloom reads anywhere", (".zip",), _portable),
    "pt2": Format("a program of torch.export, in eval mode", (".pt2",), _pt2),
    "onnx": Format("an ONNX file, in eval mode", (".onnx",), _onnx),
    "python": Format("a Python file that needs nothing else", (".py",), _python),
    "mlflow": Format("a folder that `mlflow models serve` serves", (".mlflow",), _mlflow),
}
"""The forms by name."""
