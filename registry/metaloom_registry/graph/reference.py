"""The operations as a section of the documentation, so that it says what the table says."""

from __future__ import annotations

import re

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.ops import FAMILIES

BEGIN = "<!-- operations: begin (python docs/operations.py writes what follows) -->"
END = "<!-- operations: end -->"


def operations() -> str:
    """Every operation by family: its inputs, arguments, outputs and meaning, as Markdown."""
    sections = []
    for family, ops in FAMILIES.items():
        rows = "\n".join(_row(op) for op in ops)
        sections.append(f"### {family}\n\n| op | meaning | arguments |\n|---|---|---|\n{rows}\n")
    return "\n".join(sections)


def with_operations(document: str) -> str:
    """A document with the section between the two marks written anew.

    Raises ValueError where the marks are missing.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks the marks {BEGIN!r} and {END!r}")
    return f"{before}{begin}\n\n{operations()}\n{end}{after}"


def _row(op: Op) -> str:
    head = f"`{op.key}` ({', '.join(op.inputs)}) → {', '.join(op.outputs)}"
    arguments = "; ".join(f"{name}: {rule}" for name, rule in op.arguments.items()) or "none"
    return "| " + " | ".join(map(_escaped, (head, op.doc, arguments))) + " |"


def _escaped(cell: str) -> str:
    return re.sub(r"[\\|*<\[]", r"\\\g<0>", cell)
