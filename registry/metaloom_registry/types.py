"""What a value is: the types of Metaloom, and their text.

A type describes one item; a leading batch axis is implicit and never written.

    int  bool  float  text  grid                  plain values
    image[1,28,28]  vec[64]  logits[5]  label[5]  tensors: dtype float32, label int64
    image<omniglot>[1,28,28]                      with a domain tag, which ranks and never forbids
    list[T]  set[T]  dict[K,V]  (A, B)  graph[T]  containers
    examples[X,Y]  store[s]                       a support set; a memory on disk
    A -> B -> C                                   functions, right associative
    a  b1   vec[n]                                type and dimension variables

`parse_type(str(t)) == t` for every type.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from metaloom_registry.errors import ParseError

TENSOR_KINDS = {
    "image": "float32",
    "vec": "float32",
    "logits": "float32",
    "label": "int64",
    "table": "float32",
}
"""The tensor types and the dtype of each."""

CONSTRUCTORS = {
    "int": 0, "bool": 0, "float": 0, "text": 0, "grid": 0,
    "list": 1, "set": 1, "dict": 2, "graph": 1, "examples": 2, "store": 1,
}  # fmt: skip
"""The other type constructors and how many types each takes; a tuple takes two or more."""

KEYED = frozenset({"dict", "set", "graph"})
"""The constructors whose first type is one of keys: values are found by it."""

HOLDING = frozenset({"list", "text", *KEYED})
"""The constructors of values that have a length."""

MAX_LENGTH = 10_000
MAX_DEPTH = 50
MAX_DIMENSION = 1 << 31

_VARIABLE = re.compile(r"[a-z][0-9]*", re.ASCII)
_DIMENSION = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Variable:
    """A type variable: one lower-case letter and digits, bound by the signature it stands in."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class DimensionVariable:
    """A dimension left open: `n` in `vec[n]`."""

    name: str

    def __str__(self) -> str:
        return self.name


Dimension: TypeAlias = int | DimensionVariable


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor type: its kind fixes the dtype; `dimensions` leave out the batch axis."""

    kind: str
    dimensions: tuple[Dimension, ...]
    domain: str | None = None

    @property
    def dtype(self) -> str:
        return TENSOR_KINDS[self.kind]

    def __str__(self) -> str:
        domain = f"<{self.domain}>" if self.domain else ""
        return f"{self.kind}{domain}[{','.join(map(str, self.dimensions))}]"


@dataclass(frozen=True, slots=True)
class Constructed:
    """A constructor on types: `int`, `list[T]`, `dict[K,V]`, and `tuple`, written `(A, B)`."""

    name: str
    arguments: tuple[Type, ...] = ()

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.arguments))
        if self.name == "tuple":
            return f"({inner})"
        return f"{self.name}[{inner}]" if self.arguments else self.name


@dataclass(frozen=True, slots=True)
class Arrow:
    """A function from one argument to a result; functions of more arguments return functions."""

    argument: Type
    result: Type

    def __str__(self) -> str:
        left = f"({self.argument})" if isinstance(self.argument, Arrow) else str(self.argument)
        return f"{left} -> {self.result}"


Type: TypeAlias = Variable | Tensor | Constructed | Arrow
"""What a value is: a variable, a tensor type, a constructed type or a function type."""

INT = Constructed("int")
"""Integers of 64 bits."""
BOOL = Constructed("bool")
"""Truth values."""
FLOAT = Constructed("float")
"""Numbers of double precision."""
TEXT = Constructed("text")
"""Unicode text."""
GRID = Constructed("grid")
"""Rows of cells, each a digit 0 to 9."""


def list_of(item: Type) -> Type:
    """`list[item]`."""
    return Constructed("list", (item,))


def tuple_of(*items: Type) -> Type:
    """The type of a tuple: `(A, B)`."""
    return Constructed("tuple", items)


def set_of(item: Type) -> Type:
    """`set[item]`."""
    return Constructed("set", (item,))


def dict_of(key: Type, value: Type) -> Type:
    """`dict[key, value]`."""
    return Constructed("dict", (key, value))


def store_of(held: Type) -> Type:
    """`store[held]`: a memory on disk."""
    return Constructed("store", (held,))


def examples_of(inputs: Type, outputs: Type) -> Type:
    """A support set: pairs of an input and an output."""
    return Constructed("examples", (inputs, outputs))


def function(*parts: Type) -> Type:
    """`function(A, B, C)` is `A -> B -> C`."""
    *arguments, result = parts
    for argument in reversed(arguments):
        result = Arrow(argument, result)
    return result


def uncurried(type_: Type) -> tuple[tuple[Type, ...], Type]:
    """The arguments of a function type and what it returns in the end."""
    arguments = []
    while isinstance(type_, Arrow):
        arguments.append(type_.argument)
        type_ = type_.result
    return tuple(arguments), type_


def parts(type_: Type) -> Iterator[Type]:
    """The type itself and every type within it, outermost first."""
    yield type_
    if isinstance(type_, Constructed):
        for argument in type_.arguments:
            yield from parts(argument)
    elif isinstance(type_, Arrow):
        yield from parts(type_.argument)
        yield from parts(type_.result)


def is_closed(type_: Type) -> bool:
    """Whether the type has neither type variables nor dimension variables."""
    return not any(
        isinstance(part, Variable)
        or (
            isinstance(part, Tensor)
            and any(isinstance(d, DimensionVariable) for d in part.dimensions)
        )
        for part in parts(type_)
    )


def unhashable_key(type_: Type) -> Type | None:
    """The first part in a place for keys that can be none; None where every key can be one.

    Keys of dictionaries, items of sets and nodes of graphs are int, bool, float, text, or tuples of
    these; a variable may become one.
    """
    for part in parts(type_):
        if isinstance(part, Constructed) and part.name in KEYED and not _is_key(part.arguments[0]):
            return part.arguments[0]
    return None


def _is_key(type_: Type) -> bool:
    if isinstance(type_, Constructed) and type_.name == "tuple":
        return all(map(_is_key, type_.arguments))
    return isinstance(type_, Variable) or type_ in (INT, BOOL, FLOAT, TEXT)


def without_domains(type_: Type) -> Type:
    """The type with every domain tag left out: what unification looks at."""
    return mapped(type_, lambda t: Tensor(t.kind, t.dimensions) if isinstance(t, Tensor) else t)


def mapped(type_: Type, change: Callable[[Type], Type]) -> Type:
    """Rebuild a type, `change` applied to every part from the leaves up."""
    if isinstance(type_, Constructed) and type_.arguments:
        type_ = Constructed(type_.name, tuple(mapped(a, change) for a in type_.arguments))
    elif isinstance(type_, Arrow):
        type_ = Arrow(mapped(type_.argument, change), mapped(type_.result, change))
    return change(type_)


def parse_type(text: str) -> Type:
    """Read a type. Raises ParseError that points at the first character that does not fit."""
    if len(text) > MAX_LENGTH:
        raise ParseError(f"a type of {len(text)} characters is too long; at most {MAX_LENGTH}")
    parser = _Parser(text)
    found = parser.function(0)
    parser.end()
    return found


class _Parser:
    """A recursive-descent reader of one type."""

    _token = re.compile(r"\s*(->|[A-Za-z_][A-Za-z0-9_]*|[0-9]+|[\[\](),<>]|\S)", re.ASCII)

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, int]] = []
        position = 0
        while match := self._token.match(text, position):
            self.tokens.append((match.group(1), match.start(1)))
            position = match.end()
        self.index = 0

    def peek(self) -> str:
        return self.tokens[self.index][0] if self.index < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self.index += 1
        return token

    def fail(self, wanted: str) -> ParseError:
        at = min(self.index, len(self.tokens))
        where = self.tokens[at][1] if at < len(self.tokens) else len(self.text)
        given = repr(self.peek()) if self.peek() else "the end"
        return ParseError(
            f"{self.text[:200]!r} is not a type: at character {where + 1} stands {given} "
            f"where {wanted} is wanted"
        )

    def expect(self, token: str) -> None:
        if self.peek() != token:
            raise self.fail(repr(token))
        self.index += 1

    def end(self) -> None:
        if self.index < len(self.tokens):
            raise self.fail("the end or '->'")

    def function(self, depth: int) -> Type:
        if depth > MAX_DEPTH:
            raise ParseError(f"{self.text[:80]!r}... nests deeper than {MAX_DEPTH} levels")
        chain = [self.atom(depth)]
        while self.peek() == "->":
            self.index += 1
            chain.append(self.atom(depth))
        if len(chain) > MAX_DEPTH:
            raise ParseError(f"{self.text[:80]!r}... takes more than {MAX_DEPTH} arguments")
        return function(*chain)

    def atom(self, depth: int) -> Type:
        if self.peek() == "(":
            return self.group(depth)
        name = self.peek()
        if name in TENSOR_KINDS:
            self.index += 1
            return self.tensor(name)
        if name in CONSTRUCTORS:
            self.index += 1
            return self.constructed(name, depth)
        if _VARIABLE.fullmatch(name):
            self.index += 1
            return Variable(name)
        close = difflib.get_close_matches(name, [*TENSOR_KINDS, *CONSTRUCTORS], n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        raise self.fail(f"a type{hint}")

    def group(self, depth: int) -> Type:
        self.expect("(")
        items = [self.function(depth + 1)]
        while self.peek() == ",":
            self.index += 1
            items.append(self.function(depth + 1))
        self.expect(")")
        return items[0] if len(items) == 1 else tuple_of(*items)

    def tensor(self, kind: str) -> Type:
        domain = None
        if self.peek() == "<":
            start = self.tokens[self.index][1] + 1
            stop = self.text.find(">", start)
            domain = self.text[start:stop] if stop > 0 else ""
            if not _DOMAIN.fullmatch(domain) or len(domain) > 96:
                raise self.fail("a domain tag such as <omniglot>")
            while self.next() != ">":
                pass
        self.expect("[")
        dimensions = [self.dimension()]
        while self.peek() == ",":
            self.index += 1
            dimensions.append(self.dimension())
        self.expect("]")
        if kind in ("vec", "logits", "label") and len(dimensions) != 1:
            raise ParseError(f"{self.text[:200]!r} is not a type: {kind} takes one dimension")
        return Tensor(kind, tuple(dimensions), domain)

    def dimension(self) -> Dimension:
        token = self.peek()
        if token.isascii() and token.isdigit():
            if len(token) > 10 or not 1 <= int(token) <= MAX_DIMENSION:
                raise self.fail(f"a dimension from 1 to {MAX_DIMENSION}")
            self.index += 1
            return int(token)
        if _DIMENSION.fullmatch(token):
            self.index += 1
            return DimensionVariable(token)
        raise self.fail(
            "a dimension, a positive integer or a lower-case variable such as 'n' "
            "(a type describes one item, without a batch axis),"
        )

    def constructed(self, name: str, depth: int) -> Type:
        arity = CONSTRUCTORS[name]
        if arity == 0:
            return Constructed(name)
        self.expect("[")
        arguments = [self.function(depth + 1)]
        while self.peek() == ",":
            self.index += 1
            arguments.append(self.function(depth + 1))
        self.expect("]")
        if len(arguments) != arity:
            raise ParseError(
                f"{self.text[:200]!r} is not a type: {name} takes {arity} "
                f"{'type' if arity == 1 else 'types'}, not {len(arguments)}"
            )
        return Constructed(name, tuple(arguments))
