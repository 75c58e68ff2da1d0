"""The documents as a small web site: one HTML page for each Markdown file, and no dead link.

python docs/build.py site
"""

from __future__ import annotations

import html
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --ink: #2a6f97 }}
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem }}
nav {{ border-bottom: 1px solid var(--line); padding-bottom: .6rem; margin-bottom: 1.5rem }}
nav a {{ margin-right: 1rem; white-space: nowrap }}
a {{ color: var(--ink) }} [aria-current] {{ font-weight: 600; text-decoration: none }}
code, pre {{ font: .9em/1.5 ui-monospace, monospace; background: #8881; border-radius: 4px }}
code {{ padding: .1em .3em }} pre {{ padding: .8rem; overflow-x: auto }}
pre code {{ padding: 0; background: none }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
th, td {{ border-bottom: 1px solid var(--line); padding: .3rem .7rem; text-align: left }}
img, svg {{ max-width: 100% }}
</style>
<nav>{nav}</nav>
<main>
{body}</main>
</html>
"""


def documents(root: Path = ROOT) -> list[Path]:
    """The Markdown files that make the site: the README first, then docs/ by name."""
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]


def title_of(text: str, path: Path) -> str:
    """The first heading. Raises ValueError where there is none."""
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"{path.name} has no title; begin it with '# Title'")
    return found[1].strip()


def slug(heading: str) -> str:
    """The anchor of a heading, as code hosts write it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings."""
    tokens = MARKDOWN.parse(path.read_text(encoding="utf-8"))
    return {slug(heading.content) for heading, _ in _headings(tokens)}


def dead_links(paths: list[Path]) -> Iterator[str]:
    """Every link to a file or a heading that does not exist, with the document it stands in."""
    for path in paths:
        for target in _links(MARKDOWN.parse(path.read_text(encoding="utf-8"))):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = path.parent / unquote(parts.path) if parts.path else path
            if not file.exists():
                yield f"{path.name}: {target} leads to no file"
            elif parts.fragment and unquote(parts.fragment) not in anchors(file):
                yield f"{path.name}: {target} leads to no heading of {file.name}"


def build(target: Path) -> None:
    """Write the site into a folder. Raises ValueError where a link leads nowhere."""
    paths = documents()
    dead = list(dead_links(paths))
    if dead:
        raise ValueError("dead links:\n  " + "\n  ".join(dead))
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    names = {path: "index.html" if path.stem == "README" else f"{path.stem}.html" for path in paths}
    target.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        nav = "".join(
            f'<a href="{names[other]}"{" aria-current=page" if other == path else ""}>'
            f"{html.escape(title_of(texts[other], other))}</a>\n"
            for other in paths
        )
        tokens = MARKDOWN.parse(text)
        for heading, opening in _headings(tokens):
            opening.attrSet("id", slug(heading.content))
        _point_at_pages(tokens, path, names)
        body = MARKDOWN.renderer.render(tokens, MARKDOWN.options, {})
        page = PAGE.format(title=html.escape(title_of(text, path)), nav=nav, body=body)
        (target / names[path]).write_text(page, encoding="utf-8")
    pictures = target / "pictures"
    pictures.mkdir(exist_ok=True)
    for picture in sorted((ROOT / "docs" / "pictures").glob("*.svg")):
        (pictures / picture.name).write_bytes(picture.read_bytes())


def _headings(tokens: list[Token]) -> Iterator[tuple[Token, Token]]:
    """Each heading's text and the token that opens it."""
    for opening, heading in pairwise(tokens):
        if opening.type == "heading_open":
            yield heading, opening


def _links(tokens: list[Token]) -> Iterator[str]:
    for token in _flat(tokens):
        for attribute in ("href", "src"):
            value = token.attrGet(attribute)
            if isinstance(value, str):
                yield value


def _point_at_pages(tokens: list[Token], path: Path, names: dict[Path, str]) -> None:
    """Turn links to Markdown files into links to their pages."""
    for token in _flat(tokens):
        parts = urlsplit(str(token.attrGet("href") or ""))
        page = names.get((path.parent / unquote(parts.path)).resolve()) if parts.path else None
        if page is not None and not parts.scheme:
            token.attrSet("href", page + (f"#{parts.fragment}" if parts.fragment else ""))


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "site")
    build(folder)
    sys.stdout.write(f"{folder / 'index.html'}\n")
