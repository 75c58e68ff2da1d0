"""What tests of the arms with networks begin with: a library of modules, a problem, predictions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import Clock, Problem, Scored, Task, compile_term
from metaloom_registry import Digest, Entry, MemoryLibrary, Reference, check, parse_type


def block(name: str, type_: str, module: nn.Module) -> tuple[Entry, nn.Module]:
    digest = Digest.of(name.encode())
    return Entry(Reference(None, digest), digest, "graph", parse_type(type_), name), module


def library(*blocks: tuple[Entry, nn.Module]) -> MemoryLibrary:
    found = MemoryLibrary.of((*HEADS, *LISTS))
    for entry, module in blocks:
        found.add(entry, module)
    return found


def problem(task: Task, held: MemoryLibrary, **settings: Any) -> Problem:
    entries = tuple(entry for entry, _ in held.blocks.values())
    generator = torch.Generator().manual_seed(settings.pop("seed", 0))
    clock = settings.pop("clock", Clock(60))
    return Problem(task, held, entries, clock, generator=generator, **settings)


def predictions(scored: Scored, held: MemoryLibrary, batch: Any) -> Any:
    known = {entry.reference: entry for entry, _ in held.blocks.values()}
    parts = scored.candidate.parts

    def type_of(reference: Reference) -> Any:
        return parts[reference].type if reference in parts else known[reference].type

    check(scored.candidate.term, scored.candidate.type, type_of)
    module = compile_term(
        scored.candidate.term,
        type_of,
        lambda r: parts[r].module if r in parts else held.load(known[r].digest),
    )
    return module.eval()(batch)
