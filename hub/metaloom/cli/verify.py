"""`metaloom verify`: blocks as they were published, and who signed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

import metaloom
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import counted, show, show_json
from metaloom.cli.progress import waiting
from metaloom_registry import Reference, Standing


def verify(
    reference: Annotated[
        str | None, typer.Argument(help="One block; all of them without.", metavar="BLOCK")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key",
            help="Who must have signed it: a key's file, name or ed25519:...",
            metavar="KEY",
        ),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Try the capabilities it claims, too.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check every byte of the library against its digest, and signatures against their keys.

    Of one block the facts that can be measured again are. The exit code is 1 where a block is
    damaged, a signature does not hold, or a fact is wrong.

    [bold]Examples[/bold]

      metaloom verify
      metaloom verify vision/conv4@3 --key alice.pub
    """
    with metaloom.Hub.open(home) as hub, waiting("reading every byte"):
        found = hub.verify(reference, key=key, thorough=thorough)
        called = {
            p.block: str(hub.vocabulary.label(Reference(None, p.block))) for p in found.problems
        }
    if as_json:
        show_json(
            {
                "blocks": found.blocks,
                "files": found.files,
                "bytes": found.size,
                "facts": found.facts,
                "signers": [signer_json(signer) for signer in found.signers],
                "problems": [
                    {"block": str(p.block), "name": called[p.block], "problem": p.message}
                    for p in found.problems
                ],
            }
        )
    else:
        show(
            f"read {counted(found.size, 'byte')} in {counted(found.files, 'file')} of "
            f"{counted(found.blocks, 'block')}"
        )
        if reference is not None:
            for line in signed_lines(found.signers):
                show(line)
        if found.facts:
            show(f"measured again and the same: {', '.join(found.facts)}")
        for problem in found.problems:
            show(f"damaged {called[problem.block]}: {problem.message}")
        if found.sound:
            show("all as published")
    if not found.sound:
        raise typer.Exit(1)


def signed_lines(signers: Sequence[Standing]) -> list[str]:
    """Who signed, in words; that nobody did, where nobody did."""
    return [str(signer) for signer in signers] or ["NOT signed"]


def signer_json(signer: Standing) -> dict[str, object]:
    """A signature and what it is worth."""
    return {
        "key": str(signer.seal.key),
        "name": signer.name,
        "state": signer.state,
        "signed": signer.seal.when.isoformat(),
        "problem": signer.problem,
    }
