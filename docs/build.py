"""The documents as a small web site: a page for each Markdown file, and one of all public names.

python docs/build.py site
"""

from __future__ import annotations

import ast
import html
import inspect
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("metaloom", "metaloom_metalearn", "metaloom_registry")
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --ink: #2a6f97 }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #7cc0e8 }} }}
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem }}
nav {{ border-bottom: 1px solid var(--line); padding-bottom: .6rem; margin-bottom: 1.5rem }}
nav {{ display: flex; flex-wrap: wrap; justify-content: space-between }}
details[open] {{ flex-basis: 100% }} summary {{ cursor: pointer }}
nav ol {{ list-style: none; padding: 0; columns: 16rem }}
a {{ color: var(--ink) }} [aria-current] {{ font-weight: 600; text-decoration: none }}
code, pre {{ font: .9em/1.5 ui-monospace, monospace; background: #8881; border-radius: 4px }}
code {{ padding: .1em .3em }} pre {{ padding: .8rem; overflow-x: auto }}
pre code {{ padding: 0; background: none }}
table {{ border-collapse: collapse; display: block; overflow-x: auto }}
th, td {{ border-bottom: 1px solid var(--line); padding: .3rem .7rem; text-align: left }}
img, svg {{ max-width: 100%; height: auto }}
.said {{ white-space: pre-wrap }} dd {{ margin-left: 1.5rem }}
</style>
<nav>{nav}</nav>
<main>
{body}</main>
</html>
"""


def documents(root: Path = ROOT) -> list[Path]:
    """The Markdown files of the site: the README, what it links to in that order, the others."""
    first = root / "README.md"
    links = _links(MARKDOWN.parse(first.read_text(encoding="utf-8")))
    named = [first, *(root / link for link in links if link.endswith(".md"))]
    return list(dict.fromkeys([*named, *sorted((root / "docs").glob("*.md"))]))


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
    titles = {names[path]: title_of(text, path) for path, text in texts.items()}
    titles["reference.html"] = "Reference"
    (target / "pictures").mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        tokens = MARKDOWN.parse(text)
        for heading, opening in _headings(tokens):
            opening.attrSet("id", slug(heading.content))
        _point_at_pages(tokens, path, names)
        _take_pictures(tokens, path, target)
        _write(target, names[path], titles, MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}))
    _write(target, "reference.html", titles, reference())


def _write(target: Path, name: str, titles: dict[str, str], body: str) -> None:
    """A page with the list of all pages above it."""
    pages = "".join(
        f'<li><a href="{other}"{" aria-current=page" if other == name else ""}>'
        f"{html.escape(title)}</a>\n"
        for other, title in titles.items()
    )
    nav = f'<a href="index.html">{html.escape(titles["index.html"])}</a>'
    nav += f"<details><summary>All pages</summary><ol>{pages}</ol></details>"
    page = PAGE.format(title=html.escape(titles[name]), nav=nav, body=body)
    (target / name).write_text(page, encoding="utf-8")


def reference() -> str:
    """The public names of the three packages, each with its signature and its words."""
    parts = ["<h1>Reference</h1>\n"]
    for package in map(import_module, PACKAGES):
        name = package.__name__
        parts.append(f'<h2 id="{name}">{name}</h2>\n{_said(package.__doc__)}<p>')
        parts += [f'<a href="#{name}.{public}">{public}</a>\n' for public in package.__all__]
        parts.append("</p>\n")
        for public in package.__all__:
            value = getattr(package, public)
            parts.append(f'<h3 id="{name}.{public}"><code>{public}</code></h3>\n')
            if inspect.isclass(value) or inspect.isfunction(value):
                parts += [_call(public, value), _said(inspect.getdoc(value)), _members(value)]
            else:
                parts.append(_said(_said_of_value(package, public)))
    return "".join(parts)


def _members(value: Any) -> str:
    """The public methods and properties of a class that say what they do."""
    found = []
    for name, member in vars(value).items() if inspect.isclass(value) else ():
        inner = getattr(member, "__func__", member)
        known = inspect.isfunction(inner) or isinstance(inner, property)
        if known and not name.startswith("_") and inner.__doc__:
            call = _call(name, inner) if inspect.isfunction(inner) else f"<code>{name}</code>"
            found.append(f"<dt>{call}</dt><dd>{_said(inspect.getdoc(inner))}</dd>\n")
    return f"<dl>{''.join(found)}</dl>\n" if found else ""


class _Plain(str):
    """What is shown in a signature as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _shown(given: inspect.Parameter) -> inspect.Parameter:
    """A parameter with its annotation and its default as they are written."""
    if isinstance(given.annotation, str):
        given = given.replace(annotation=_Plain(given.annotation))
    default = given.default
    if " at 0x" in repr(default):  # a function, or an object without a form of its own
        default = _Plain(getattr(default, "__name__", f"{type(default).__name__}()"))
    elif repr(default) == "<factory>":
        default = _Plain("...")
    return given.replace(default=default)


def _call(name: str, value: Any) -> str:
    """How something is called; nothing for what nobody calls."""
    if inspect.isclass(value) and (
        issubclass(value, BaseException) or getattr(value, "_is_protocol", False)
    ):
        return ""
    try:
        given = inspect.signature(value)
    except ValueError:
        return ""
    shown = [_shown(one) for one in given.parameters.values() if one.name not in ("self", "cls")]
    result = given.return_annotation
    returns = _Plain(result) if isinstance(result, str) else result
    text = str(given.replace(parameters=shown, return_annotation=returns))
    return f"<pre><code>{html.escape(name + text)}</code></pre>\n"


def _said(words: str | None) -> str:
    """A docstring, with what stands in backquotes as code."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(inspect.cleandoc(words or "")))
    return f'<p class="said">{text}</p>\n'


def _said_of_value(package: ModuleType, public: str) -> str:
    """What is written under a name that is neither a class nor a function, where it is assigned."""
    for statement in ast.walk(_parsed(package)):
        if isinstance(statement, ast.ImportFrom) and public in {a.name for a in statement.names}:
            body = _parsed(import_module(str(statement.module))).body
            for assigned, following in pairwise(body):
                if isinstance(assigned, ast.FunctionDef) and assigned.name == public:
                    return ast.get_docstring(assigned) or ""
                targets = getattr(assigned, "targets", [getattr(assigned, "target", None)])
                named = any(isinstance(one, ast.Name) and one.id == public for one in targets)
                if named and isinstance(following, ast.Expr):
                    return str(getattr(following.value, "value", ""))
    return ""


def _parsed(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


def _take_pictures(tokens: list[Token], path: Path, target: Path) -> None:
    """Copy the pictures of a document beside its page."""
    for token in _flat(tokens):
        source = token.attrGet("src")
        if isinstance(source, str) and not urlsplit(source).scheme:
            picture = path.parent / unquote(source)
            (target / "pictures" / picture.name).write_bytes(picture.read_bytes())
            token.attrSet("src", f"pictures/{picture.name}")


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
