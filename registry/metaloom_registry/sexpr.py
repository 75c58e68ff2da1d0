"""The text of a term: s-expressions, and the same nesting as JSON.

    (lam (lists/map@1 (lam (lists/add@1 3 $0)) $0))      references in full
    (lam (map (lam (add 3 $0)) $0))                      with short names in scope
    ["lam", ["lists/map@1", ["lam", ["lists/add@1", 3, "$0"]], "$0"]]

`(lam B)` is a function, `$i` the variable of the i-th enclosing `lam` or `let`, `(f x y)` an
application, `(let V B)` a shared value, `(hole "T")` a place to be filled; `3`, `-1.5`, `true` and
`"text"` are literals, a float always having a `.` or an `e`.  In JSON a text is `{"text": "..."}`
and a hole `{"hole": "T"}`; all other strings are variables and references.  A term without `let`,
holes and texts is what stitch_core reads.

`parse_term(print_term(t)) == t` and `term_from_json(term_to_json(t)) == t` for every term that
nests at most `MAX_DEPTH` levels and has at most `MAX_NODES` nodes.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from metaloom_registry.canonical import Json
from metaloom_registry.errors import InvalidName, ParseError
from metaloom_registry.names import Reference
from metaloom_registry.terms import (
    MAX_DEPTH,
    MAX_NODES,
    Apply,
    Bound,
    Hole,
    Lambda,
    Let,
    Literal,
    Term,
    Use,
    apply,
    depth,
    node_count,
    spine,
)
from metaloom_registry.types import parse_type

MAX_CHARACTERS = 10_000_000
KEYWORDS = ("lam", "let", "hole", "true", "false")

_TOKEN = re.compile(r'[()]|"(?:[^"\\]|\\.)*"|[^\s()"]+', re.DOTALL)
_SPACE = re.compile(r"\s*")
_BOUND = re.compile(r"\$(0|[1-9][0-9]{0,5})", re.ASCII)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_SHORT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*", re.ASCII)


def print_term(term: Term, names: Mapping[str, Reference] | None = None) -> str:
    """Write a term; `names` are the short names in scope, used where they name a reference."""
    short = {r: name for name, r in (names or {}).items() if _is_short_name(name)}
    written: list[str] = []
    waiting: list[Term | str] = [term]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            written.append(part)
        elif isinstance(part, Lambda):
            waiting += [")", part.body, "(lam "]
        elif isinstance(part, Let):
            waiting += [")", part.body, " ", part.value, "(let "]
        elif isinstance(part, Apply):
            head, arguments = spine(part)
            waiting.append(")")
            for argument in reversed(arguments):
                waiting += [argument, " "]
            waiting += [head, "("]
        else:
            written.append(_print_leaf(part, short))
    return "".join(written)


def _print_leaf(term: Bound | Literal | Use | Hole, short: Mapping[Reference, str]) -> str:
    if isinstance(term, Bound):
        return f"${term.index}"
    if isinstance(term, Use):
        return short.get(term.reference) or str(term.reference)
    if isinstance(term, Hole):
        return f"(hole {json.dumps(str(term.type), ensure_ascii=False)})"
    if isinstance(term.value, bool):
        return "true" if term.value else "false"
    if isinstance(term.value, str):
        return json.dumps(term.value, ensure_ascii=False)
    return repr(term.value)


def _is_short_name(name: str) -> bool:
    """Whether an atom can only be read as a short name: no keyword, number or reference."""
    return (
        _SHORT_NAME.fullmatch(name) is not None
        and name not in KEYWORDS
        and _FLOAT.fullmatch(name) is None
    )


def parse_term(text: str, names: Mapping[str, Reference] | None = None) -> Term:
    """Read a term; `names` are the short names in scope, besides references in full.

    Raises ParseError, which says at which character, on anything that is not a term, on more than
    `MAX_NODES` nodes and on nesting beyond `MAX_DEPTH` levels.
    """
    if len(text) > MAX_CHARACTERS:
        raise ParseError(f"a term of {len(text)} characters is too long; at most {MAX_CHARACTERS}")
    return _Reader(text, names or {}).term()


class _Form:
    """An open parenthesis and what has been read behind it."""

    __slots__ = ("items", "keyword", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        self.keyword: str | None = None
        self.items: list[Term] = []


class _Reader:
    """Reads one term without recursion, so that no text can exhaust the stack."""

    def __init__(self, text: str, names: Mapping[str, Reference]) -> None:
        self.text = text
        self.names = names
        self.nodes = 0

    def fail(self, at: int, problem: str) -> ParseError:
        excerpt = self.text if len(self.text) <= 200 else f"{self.text[:200]}..."
        return ParseError(f"{excerpt!r} is not a term: at character {at + 1} {problem}")

    def term(self) -> Term:
        open_forms: list[_Form] = []
        position = 0
        while True:
            start = _space(self.text, position)
            match = _TOKEN.match(self.text, start)
            if match is None:
                raise self.unfinished(start, open_forms)
            token, position = match.group(), match.end()
            if token == "(":
                if len(open_forms) >= MAX_DEPTH:
                    raise self.fail(start, f"it nests deeper than {MAX_DEPTH} levels")
                open_forms.append(_Form(start))
                continue
            if token == ")":
                if not open_forms:
                    raise self.fail(start, "stands ')' where a term is wanted")
                read = self.close(open_forms.pop())
            elif open_forms and not open_forms[-1].items and token in ("lam", "let", "hole"):
                if open_forms[-1].keyword is None:
                    open_forms[-1].keyword = token
                    continue
                raise self.fail(start, f"stands the keyword {token!r} where a term is wanted")
            else:
                read = self.atom(token, start)
            if open_forms:
                open_forms[-1].items.append(read)
                continue
            rest = _space(self.text, position)
            if rest < len(self.text):
                raise self.fail(rest, f"stands {self.text[rest : rest + 20]!r} after its end")
            return self.checked(read)

    def unfinished(self, start: int, open_forms: list[_Form]) -> ParseError:
        if start < len(self.text):
            return self.fail(start, "begins a text without a closing '\"'")
        if open_forms:
            return self.fail(
                start, f"it ends while the '(' at character {open_forms[-1].start + 1} is open"
            )
        return self.fail(start, "stands the end where a term is wanted")

    def checked(self, term: Term) -> Term:
        found = depth(term)
        if found > MAX_DEPTH:
            raise ParseError(f"a term nests {found} levels deep; at most {MAX_DEPTH}")
        return term

    def close(self, form: _Form) -> Term:
        items, start = form.items, form.start
        self.count(start, 1 if form.keyword else len(items) - 1)
        if form.keyword == "lam":
            if len(items) != 1:
                raise self.fail(start, f"a 'lam' has {len(items)} terms; write (lam BODY)")
            return Lambda(items[0])
        if form.keyword == "let":
            if len(items) != 2:
                raise self.fail(start, f"a 'let' has {len(items)} terms; write (let VALUE BODY)")
            return Let(*items)
        if form.keyword == "hole":
            type_ = items[0].value if len(items) == 1 and isinstance(items[0], Literal) else None
            if not isinstance(type_, str):
                raise self.fail(start, 'a hole names its type as text; write (hole "TYPE")')
            return Hole(parse_type(type_))
        if len(items) < 2:
            what = "one term" if items else "nothing"
            raise self.fail(start, f"parentheses hold {what}; write (FUNCTION ARGUMENT ...)")
        return apply(*items)

    def count(self, at: int, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self.fail(at, f"it has more than {MAX_NODES} nodes")

    def atom(self, token: str, at: int) -> Term:
        self.count(at, 1)
        try:
            return self.read_atom(token, at)
        except InvalidName as error:
            raise self.fail(at, f"stands {token[:100]!r}: {error}") from None

    def read_atom(self, token: str, at: int) -> Term:
        if token[0] == '"':
            return Literal(self.string(token, at))
        if token[0] == "$":
            bound = _BOUND.fullmatch(token)
            if bound is None:
                raise self.fail(at, f"stands {token[:40]!r}; a variable is $0, $1, $2 ...")
            return Bound(int(bound.group(1)))
        if token in ("true", "false"):
            return Literal(token == "true")
        if _INTEGER.fullmatch(token):
            if len(token) > 20:
                raise self.fail(at, f"the integer {token[:40]} does not fit into 64 bits")
            return Literal(int(token))
        if _FLOAT.fullmatch(token):
            if ("." in token or "e" in token.lower()) and math.isfinite(float(token)):
                return Literal(float(token))
            raise self.fail(at, f"stands {token[:40]!r}, which is no int64 and no finite float")
        if "/" in token or "@" in token:
            return Use(Reference.parse(token))
        if token in KEYWORDS:
            raise self.fail(at, f"stands the keyword {token!r} where a term is wanted")
        if token in self.names:
            return Use(self.names[token])
        near = difflib.get_close_matches(token[:100], self.names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "write it in full, such as lists/map@1"
        raise self.fail(at, f"stands the unknown name {token[:100]!r}; {hint}")

    def string(self, token: str, at: int) -> str:
        try:
            return str(json.loads(token))
        except json.JSONDecodeError as error:
            raise self.fail(at, f"a text is not as JSON writes it: {error.msg}") from None


def _space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def term_to_json(term: Term) -> Json:
    """The term as nested JSON arrays. Raises ParseError where it is too deep or too large."""
    found = depth(term)
    if found > MAX_DEPTH:
        raise ParseError(f"a term nests {found} levels deep; at most {MAX_DEPTH}")
    if node_count(term) > MAX_NODES:
        raise ParseError(f"a term has more than {MAX_NODES} nodes")
    return _to_json(term)


def _to_json(term: Term) -> Json:
    if isinstance(term, Bound):
        return f"${term.index}"
    if isinstance(term, Lambda):
        return ["lam", _to_json(term.body)]
    if isinstance(term, Let):
        return ["let", _to_json(term.value), _to_json(term.body)]
    if isinstance(term, Literal):
        return {"text": term.value} if isinstance(term.value, str) else term.value
    if isinstance(term, Use):
        return str(term.reference)
    if isinstance(term, Hole):
        return {"hole": str(term.type)}
    head, arguments = spine(term)
    return [_to_json(head), *map(_to_json, arguments)]


def term_from_json(value: Any) -> Term:
    """Read what `term_to_json` writes. Raises ParseError on anything else, naming the part."""
    return _JsonReader().term(value, 0)


class _JsonReader:
    """Reads one term from JSON; recursion is bounded by `MAX_DEPTH`."""

    def __init__(self) -> None:
        self.nodes = 0

    def term(self, value: Any, level: int) -> Term:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise ParseError(f"a term has more than {MAX_NODES} nodes")
        if level >= MAX_DEPTH:
            raise ParseError(f"a term nests deeper than {MAX_DEPTH} levels")
        if isinstance(value, bool | int | float):
            return Literal(value)
        if isinstance(value, str):
            return self.name(value)
        if isinstance(value, Mapping):
            return self.named(value)
        if isinstance(value, list | tuple):
            return self.form(value, level)
        raise ParseError(f"{_short(value)} is not a term; wanted is a list, a number or a name")

    def name(self, text: str) -> Term:
        bound = _BOUND.fullmatch(text)
        if bound is not None:
            return Bound(int(bound.group(1)))
        try:
            return Use(Reference.parse(text))
        except InvalidName as error:
            raise ParseError(f"{text[:100]!r} is no variable and no reference: {error}") from None

    def named(self, value: Mapping[Any, Any]) -> Term:
        for key, read in (("text", Literal), ("hole", lambda text: Hole(parse_type(text)))):
            if set(value) == {key} and isinstance(value[key], str):
                found: Term = read(value[key])
                return found
        raise ParseError(f'{_short(value)} is not a term; write {{"text": ...}} or {{"hole": ...}}')

    def form(self, items: Any, level: int) -> Term:
        keyword = items[0] if items and items[0] in ("lam", "let") else None
        if keyword == "lam":
            if len(items) != 2:
                raise ParseError(f'{_short(items)} is not a function; write ["lam", BODY]')
            return Lambda(self.term(items[1], level + 1))
        if keyword == "let":
            if len(items) != 3:
                raise ParseError(f'{_short(items)} is not a let; write ["let", VALUE, BODY]')
            return Let(self.term(items[1], level + 1), self.term(items[2], level + 1))
        if len(items) < 2 or _is_application(items[0]):
            raise ParseError(
                f"{_short(items)} is not an application; write [FUNCTION, ARGUMENT, ...], "
                "the function itself being no application"
            )
        count = len(items) - 1
        self.nodes += count - 1
        if level + count >= MAX_DEPTH:
            raise ParseError(f"a term nests deeper than {MAX_DEPTH} levels")
        return apply(
            self.term(items[0], level + count),
            *(self.term(item, level + count - i) for i, item in enumerate(items[1:])),
        )


def _is_application(value: Any) -> bool:
    return isinstance(value, list | tuple) and not (value and value[0] in ("lam", "let"))


def _short(value: Any) -> str:
    text = (
        repr(value)
        if not isinstance(value, list | tuple | Mapping)
        else json.dumps(value, default=repr, skipkeys=True)
    )
    return text if len(text) <= 80 else f"{text[:80]}..."
