"""The `.pt2` files of torch: written by `torch.export`, and read where they are trusted."""

from __future__ import annotations

from pathlib import Path

import torch

from metaloom_registry import Consent, GraphModule, Imported, ParseError, Refused
from metaloom_registry.graph import exported_program, traced_inputs, unlocked
from metaloom_registry.graph.examples import tensors_of

SUFFIX = ".pt2"
CHECKED_MULTIPLES = 4
"""The open dimensions have so many multiples of the least they may be when a file is compared."""


class Pt2Importer:
    """Reads a program that `torch.export.save` wrote, if its origin is trusted."""

    def accepts(self, source: object) -> bool:
        return isinstance(source, Path) and source.suffix == SUFFIX

    def read(self, source: object, consent: Consent) -> Imported:
        """The program as a module. Raises Refused without trust, ParseError for other files."""
        assert isinstance(source, Path)
        if not consent.trust:
            raise Refused(
                f"{source} is a .pt2 file, and torch.export.load can run code that is hidden in "
                "one; if you made the file or trust who did, say so: --trust, or trust=True. "
                "Metaloom's own export (`metaloom export NAME --to FOLDER`) needs no trust"
            )
        try:
            program = torch.export.load(source)
        except Exception as error:
            raise ParseError(
                f"torch.export.load cannot read {source}: {type(error).__name__}: "
                f"{str(error)[:200]}; write it again with torch.export.save"
            ) from error
        return Imported(unlocked(program))


PT2 = Pt2Importer()


def write_pt2(module: GraphModule, path: Path) -> None:
    """Write a graph as torch's own program, in eval mode, its open dimensions left open.

    The file is read again, and has to compute the same.  Raises Refused where torch cannot trace
    the graph, or cannot read what it wrote.
    """
    torch.export.save(exported_program(module), path)
    inputs = traced_inputs(module.graph.value, CHECKED_MULTIPLES)
    try:
        again = torch.export.load(path).module(check_guards=False)
        with torch.no_grad():
            same = [
                *map(torch.equal, tensors_of(again(*inputs)), tensors_of(module.eval()(*inputs)))
            ]
    except Exception as error:
        raise Refused(
            f"torch cannot read the .pt2 file that it wrote of this graph: {type(error).__name__}: "
            f"{str(error)[:200]}; export it as a portable folder instead"
        ) from error
    if not all(same):
        raise Refused(
            "the .pt2 file that torch wrote computes something else than the block; "
            "export it as a portable folder instead"
        )
