"""A model card as the Hugging Face Hub has it: Markdown after a YAML head."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from metaloom.exchange.extras import optional
from metaloom_registry import ParseError, Tensor, Type, uncurried

MAX_HEAD = 64 * 1024
MAX_CARD = 200_000
MAX_CARD_BYTES = 1 << 20
"""Of a file that holds a card: more than head and text may have."""
MAX_TAGS = 32
_HEAD = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*\r?$\n?", re.DOTALL | re.MULTILINE)
_TAG = re.compile(r"[a-z0-9][a-z0-9._:-]{0,63}", re.ASCII)
_ALIAS = re.compile(r"(?:^|[\s,\[{:-])[&*][A-Za-z0-9_]", re.MULTILINE)

SPDX = {
    "apache-2.0": "Apache-2.0", "mit": "MIT", "bsd": "BSD-3-Clause",
    "bsd-2-clause": "BSD-2-Clause", "bsd-3-clause": "BSD-3-Clause",
    "bsl-1.0": "BSL-1.0", "isc": "ISC", "unlicense": "Unlicense", "zlib": "Zlib",
    "gpl-2.0": "GPL-2.0-only", "gpl-3.0": "GPL-3.0-only", "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-3.0": "LGPL-3.0-only", "agpl-3.0": "AGPL-3.0-only", "mpl-2.0": "MPL-2.0",
    "cc0-1.0": "CC0-1.0", "cc-by-4.0": "CC-BY-4.0", "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0", "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
}  # fmt: skip
"""The licences of the Hub that SPDX lists, by their identifier on the Hub."""

_PIPELINES: Mapping[tuple[str, ...], str] = {
    ("image", "image"): "image-to-image",
    ("image", "label"): "image-classification",
    ("image", "logits"): "image-classification",
    ("image", "vec"): "image-feature-extraction",
}
"""What the Hub calls tasks, by the kinds of what goes in and comes out."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a card tells: an SPDX licence or None, the text without its head, tags as ours are.

    `metaloom` is what its block of that name says, as the texts it holds.
    """

    license: str | None
    text: str
    tags: tuple[str, ...]
    metaloom: Mapping[str, str] = field(default_factory=dict)


def read_card(text: str) -> Card:
    """Read a card.

    A licence that SPDX does not list becomes a `LicenseRef-` of the same name.  Raises ParseError
    where the head is not plain YAML: too long, with aliases, or no mapping.
    """
    match = _HEAD.match(text)
    if match is None:
        return Card(None, text[:MAX_CARD].strip(), ())
    head = _head(match.group(1))
    body = text[match.end() :][:MAX_CARD].strip()
    listed = head.get("tags")
    words = listed if isinstance(listed, list) else []
    tags = [str(word).lower().replace(" ", "-") for word in words]
    fitting = [tag for tag in dict.fromkeys(tags) if _TAG.fullmatch(tag)]
    ours = head.get("metaloom")
    said = ours.items() if isinstance(ours, dict) else ()
    texts = {str(key): value for key, value in said if isinstance(value, str)}
    return Card(_licence(head), body, tuple(fitting[:MAX_TAGS]), texts)


def card_in(path: Path) -> Card:
    """The card in a file, of which no more is read than a card may have. Raises as `read_card`."""
    with path.open("rb") as file:
        return read_card(file.read(MAX_CARD_BYTES).decode("utf-8", errors="replace"))


def write_card(head: Mapping[str, Any], text: str) -> str:
    """A card with this head; whatever the values hold, they stay values of the head."""
    yaml = optional("yaml", "huggingface", "the head of a model card")
    written = yaml.safe_dump(dict(head), sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"---\n{written}---\n\n{text}"


def hub_licence(spdx: str) -> dict[str, str]:
    """How the Hub says an SPDX expression: by its own identifier, or as `other` with the name.

    Such a name has lower-case letters, digits, dots and dashes.
    """
    for known, name in SPDX.items():
        if name == spdx and known != "bsd":
            return {"license": known}
    name = spdx.removeprefix("LicenseRef-").lower()
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.-]+", "-", name).strip("-")}


def pipeline(signature: Type) -> dict[str, str]:
    """What the Hub calls a task of this type, if it has a word for it."""
    arguments, result = uncurried(signature)
    kinds = tuple(one.kind for one in (*arguments, result) if isinstance(one, Tensor))
    found = _PIPELINES.get(kinds) if len(kinds) == len(arguments) + 1 else None
    return {} if found is None else {"pipeline_tag": found}


def _head(text: str) -> dict[str, Any]:
    if len(text) > MAX_HEAD:
        raise ParseError(f"the head of README.md has {len(text)} characters; at most {MAX_HEAD}")
    return load_yaml(text, "the head of README.md")


def load_yaml(text: str, what: str) -> dict[str, Any]:
    """A mapping of plain values from a stranger's YAML. Raises ParseError, also for aliases."""
    if _ALIAS.search(text):
        raise ParseError(f"{what} has YAML aliases, which are not read; write it out")
    yaml = optional("yaml", "huggingface", what)
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ParseError(f"{what} is no YAML: {str(error)[:200]}") from error
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ParseError(f"{what} is a {type(found).__name__}, not a mapping")
    return found


def _licence(head: dict[str, Any]) -> str | None:
    given = head.get("license")
    if not isinstance(given, str) or not given.strip():
        return None
    name = given.strip().lower()
    if name == "other" and isinstance(head.get("license_name"), str):
        name = str(head["license_name"]).strip().lower()
    return SPDX.get(name) or f"LicenseRef-{re.sub(r'[^A-Za-z0-9.-]+', '-', name)[:80]}"
