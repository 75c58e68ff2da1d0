"""`metaloom import` and `metaloom export`: from other formats, and to them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import metaloom
from metaloom import exchange
from metaloom.cli.custody import acting
from metaloom.cli.files import read_text
from metaloom.cli.listing import advised, describe
from metaloom.cli.options import AsJson, Card, Home, License, NewTags
from metaloom.cli.output import counted, show, show_json
from metaloom.cli.progress import waiting
from metaloom_registry import Consent, NotFound, ParseError, catalogue

if TYPE_CHECKING:
    from metaloom_registry.catalogue import Moved


def import_(
    name: Annotated[
        str, typer.Argument(help="namespace/name, its name here, or a namespace.", metavar="NAME")
    ],
    source: Annotated[
        str,
        typer.Argument(
            help="A block's folder or .zip, a folder with config.json and safetensors, "
            "hf://org/name, models:/name/1, runs:/ID/model, a .pt2 file, or a namespace's .tar.",
            metavar="SOURCE",
        ),
    ],
    signature: Annotated[
        str | None,
        typer.Option("--signature", help="Its type; a block brings its own.", metavar="TYPE"),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="The class that a repository's state belongs to; it is imported and run.",
            metavar="MODULE:CLASS",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Read a .pt2 file, which may run code hidden in it."),
    ] = False,
    importer: Annotated[
        str | None,
        typer.Option("--importer", help="The importer, where several take it.", metavar="NAME"),
    ] = None,
    license: License = None,  # noqa: A002 - the word people look for
    card: Card = None,
    tag: NewTags = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Publish something trained elsewhere.

    A block that `metaloom export` wrote is checked as a stranger's and runs no code. Everything
    else is converted from your own installed classes, or from files that you trust.

    [bold]Examples[/bold]

      metaloom import me/conv4 conv4/
      metaloom import me/net repo/ --class nets:Net --signature "image[1,28,28] -> logits[5]"
      metaloom import me/net net.pt2 --trust --signature "vec[8] -> logits[5]"
      metaloom import vision vision.tar
    """
    if "/" not in name:
        _import_namespace(name, Path(source), home, as_json)
        return
    consent = Consent(None if architecture is None else _class_named(architecture), trust)
    with metaloom.Hub.open(home) as hub:
        hub.require_free(name)
        with waiting(f"importing {source}"):
            block = exchange.import_block(
                hub,
                name,
                source,
                signature,
                importer=importer,
                consent=consent,
                license=license,
                card=None if card is None else read_text(card),
                tags=tag or (),
            )
        if as_json:
            show_json(describe(block))
        else:
            show(f"{block.reference} : {block.signature}   {block.digest}")


def export(
    name: Annotated[
        str,
        typer.Argument(
            help="A block of the library, or for a .tar file a namespace.", metavar="NAME"
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            "--to",
            help="Where: FOLDER or FILE.zip (a portable block), FILE.pt2, FILE.onnx, FILE.py, "
            "FOLDER.mlflow; FILE.tar for a namespace.",
            metavar="PATH",
        ),
    ],
    form: Annotated[
        str | None,
        typer.Option(
            "--as",
            help="portable, pt2, onnx, python or mlflow; else the suffix tells.",
            metavar="FORM",
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Write a block in a form that others read.

    A portable block holds its ancestors too, and loads wherever Metaloom is installed: with
    [bold]metaloom import[/bold], or metaloom_registry.load_block, which needs torch alone.

    [bold]Examples[/bold]

      metaloom export me/conv4 --to conv4/
      metaloom export me/conv4 --to conv4.onnx
      metaloom export me/evens --to evens.py
      metaloom export me/evens --to served --as mlflow
      metaloom export vision --to vision.tar
    """
    if "/" not in name and to.suffix == ".tar":
        with metaloom.Hub.open(home) as hub, waiting(f"exporting {name}"):
            _tell_moved(catalogue.export_namespace(hub.registry, name, to), str(to), as_json)
        return
    if "/" not in name and to.suffix == ".zip":
        raise ParseError(
            f"{name} is no block; if it is a namespace, an archive of all its blocks ends in .tar"
        )
    with metaloom.Hub.open(home) as hub:
        block = advised(hub[name])
        with waiting(f"exporting {block.reference}"):
            path = exchange.export_block(block, to, form)
        if as_json:
            show_json({**describe(block), "path": str(path)})
        else:
            show(f"{block.reference} is in {path}")


def _import_namespace(name: str, archive: Path, home: str | None, as_json: bool) -> None:
    with metaloom.Hub.open(home) as hub, waiting(f"importing {archive}"):
        by = acting(hub, name)
        moved = catalogue.import_namespace(hub.registry, archive, namespace=name, by=by)
    _tell_moved(moved, name, as_json)


def _tell_moved(moved: Moved, where: str, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "namespace": moved.namespace,
                "names": moved.names,
                "versions": moved.versions,
                "blocks": moved.blocks,
            }
        )
    else:
        show(
            f"in {where}: {counted(moved.versions, 'version')} of {counted(moved.names, 'name')}, "
            f"{counted(moved.blocks, 'block')} with those they came from"
        )


def _class_named(text: str) -> Any:
    """The class that `package.module:Class` names; the current folder counts, as for `python -m`.

    Raises ParseError or NotFound.
    """
    module, colon, path = text.partition(":")
    if not (colon and all(map(str.isidentifier, (*module.split("."), *path.split("."))))):
        raise ParseError(f"{text[:100]!r} names no class; write it as package.module:Class")
    with _current_folder():
        try:
            found: Any = import_module(module)
        except ModuleNotFoundError as error:
            raise NotFound(
                f"the module {module} of --class cannot be imported: {error}; "
                "install it, or run this where it is"
            ) from error
        for part in path.split("."):
            if not hasattr(found, part):
                raise NotFound(f"the module {module} has no {path}; look for the class in it")
            found = getattr(found, part)
    if not callable(found):
        raise ParseError(f"{text} is a {type(found).__name__}, no class")
    return found


@contextmanager
def _current_folder() -> Iterator[None]:
    """Let modules in the current folder be imported meanwhile."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
