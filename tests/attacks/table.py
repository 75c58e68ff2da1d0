"""The attacks as a section of docs/security-model.md, so that it says what the tests do.

`python docs/attacks.py` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .attack import Attack
from .files import ARCHIVES, MANIFESTS, WEIGHTS
from .graphs import ATTACKS as GRAPHS
from .programs import IMPORTS, TASKS, TERMS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "security-model.md"
BEGIN = "<!-- attacks: begin (python docs/attacks.py writes what follows) -->"
END = "<!-- attacks: end -->"

FAMILIES: Mapping[str, Sequence[Attack]] = {
    "By the graph": GRAPHS,
    "By the weights": WEIGHTS,
    "By the manifest": MANIFESTS,
    "By the folder, the archive or the signature": ARCHIVES,
    "By programs, types and names": TERMS,
    "By tasks": TASKS,
    "By what is imported": IMPORTS,
}


def attacks() -> list[Attack]:
    """All of them."""
    return [attack for family in FAMILIES.values() for attack in family]


def with_attacks(document: str) -> str:
    """A document with the section between the two marks written anew."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    sections = []
    for family, listed in FAMILIES.items():
        rows = "\n".join(f"| {_cell(a.name)} | {_cell(a.tries)} | `{a.error.__name__}` |"
                         for a in listed)  # fmt: skip
        sections.append(
            f"### {family}\n\n| attack | what it tries | error |\n|---|---|---|\n{rows}\n"
        )
    return f"{before}{BEGIN}\n\n" + "\n".join(sections) + f"\n{END}{after}"


def _cell(text: str) -> str:
    return "".join(
        part if i % 2 else re.sub(r"[|*<\[]", r"\\\g<0>", part)
        for i, part in enumerate(re.split(r"(`[^`]*`)", text))
    )
