"""`metaloom init`, `gc`, `repair` and `doctor`: a library made, kept small, whole and working."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

import metaloom
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import counted, show, show_json, table
from metaloom.cli.progress import waiting
from metaloom.doctor import check_installation
from metaloom.home import BLOBS, CATALOGUE, cache_folder, remembered_address, without_password
from metaloom_registry import NotFound, ParseError, catalogue, open_blobs

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def init(
    blobs: Annotated[
        str | None,
        typer.Option("--blobs", help="Where its blobs are.", metavar="URL"),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option("--database", help="Where its catalogue is.", metavar="URL"),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a library, or join one that others made, whose blobs or catalogue are elsewhere.

    Its folder remembers where; every other command then needs no more than the folder. What is not
    said to be elsewhere is in the folder.

    [bold]Examples[/bold]

      metaloom init --blobs s3://our-bucket/metaloom --home ~/ours
      metaloom init --blobs s3://our-bucket/metaloom --database postgresql://lab@db.example/metaloom
    """
    with metaloom.Hub.open(home, blobs=blobs, database=database) as hub:
        where = {
            part.what: without_password(remembered_address(hub.home, part) or str(hub.home))
            for part in (BLOBS, CATALOGUE)
        }
    if as_json:
        show_json({"home": str(hub.home), **where})
        return
    show(f"the library {hub.home}")
    for what, place in where.items():
        show(f"{what}: {place}")


def gc(
    grace: Annotated[
        str,
        typer.Option("--grace", help="How old is old enough: 90s, 30m, 24h, 7d.", metavar="TIME"),
    ] = "24h",
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remove bytes that no block has: of publishes that failed, and of tombstoned blocks.

    Others may publish meanwhile.

    [bold]Examples[/bold]

      metaloom gc --dry-run
      metaloom gc --grace 7d
    """
    with metaloom.Hub.open(home) as hub, waiting("looking for what no block has"):
        found = catalogue.collect(hub.registry, _seconds(grace), dry=dry)
    if as_json:
        removed = [str(digest) for digest in found.removed]
        show_json({"removed": removed, "spared": found.spared, "unfinished": found.unfinished})
        return
    verb = "would remove" if dry else "removed"
    blobs, files = (
        counted(len(found.removed), "blob"),
        counted(found.unfinished, "half-written file"),
    )
    show(f"{verb} {blobs} and {files}")
    if found.spared:
        show(f"{counted(found.spared, 'more blob')} that no block has: younger than {grace}")


def repair(
    source: Annotated[
        str,
        typer.Option("--from", help="Another library's folder, or a store's.", metavar="STORE"),
    ],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Restore damaged and missing bytes from another library or store that has them.

    The exit code is 1 where something could not be restored.

    [bold]Examples[/bold]

      metaloom repair --from /backup/metaloom
      metaloom repair --from s3://bucket/blobs
    """
    with metaloom.Hub.open(home) as hub, waiting("reading every byte"):
        store = open_blobs(_store_address(source), cache_folder(hub.home))
        found = catalogue.repair(hub.registry, store)
    if as_json:
        show_json(
            {
                "restored": [str(digest) for digest in found.restored],
                "problems": [{"block": str(p.block), "problem": p.message} for p in found.problems],
            }
        )
    else:
        nothing = not found.restored and not found.problems
        show(
            "nothing is damaged" if nothing else f"restored {counted(len(found.restored), 'blob')}"
        )
        for problem in found.problems:
            show(f"still damaged {problem.block}: {problem.message}")
    if found.problems:
        raise typer.Exit(1)


def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Check the installation and the library, and say what to fix.

    The exit code is 1 where something does not work.

    [bold]Examples[/bold]

      metaloom doctor
    """
    with waiting("looking"):
        findings = check_installation(lambda: metaloom.Hub.open(home))
    if as_json:
        show_json(
            [
                {"what": f.what, "state": f.state, "said": f.said, "remedy": f.remedy}
                for f in findings
            ]
        )
    else:
        styles = {"ok": "green", "note": "yellow", "bad": "bold red"}
        show(
            table(
                ("", "state", "found", "what to do"),
                [
                    (f.what, Text(f.state, style=styles[f.state]), f.said, f.remedy)
                    for f in findings
                ],
            )
        )
    if any(f.state == "bad" for f in findings):
        raise typer.Exit(1)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d{1,9})([smhd])", text, re.ASCII)
    if match is None:
        raise ParseError(f"{text[:40]!r} is no time; write it as 90s, 30m, 24h or 7d")
    return float(int(match[1]) * _UNITS[match[2]])


def _store_address(given: str) -> str:
    """The blobs of a library, where its folder is given; any other address is a store's own."""
    if "://" in given:
        return given
    folder = Path(given).expanduser()
    if (folder / catalogue.BLOBS_FOLDER).is_dir():
        return str(folder / catalogue.BLOBS_FOLDER)
    if not (folder / "sha256").is_dir():
        raise NotFound(f"{folder} is neither a library nor a store of blobs; give another")
    return str(folder)
