"""What a bank holds: a term as a graph of shared parts, with its values on the bank's rows.

Variables are numbered by place from the outside (the task's inputs are 0, 1, ...), so that a node
means the same in every bank within the one it was made in; `term_of` turns places into de Bruijn
indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

from metaloom_metalearn.search.grammar.grammar import Production
from metaloom_registry import Apply, Bound, Lambda, Literal, Term, Use

Environment: TypeAlias = tuple[Any, ...]
Code: TypeAlias = Callable[[Environment], Any]


@dataclass(frozen=True, slots=True)
class Variable:
    """The variable at this place."""

    place: int


@dataclass(frozen=True, slots=True)
class Abstraction:
    """A function of `count` arguments, which stand at `base`, `base + 1` ... in its body."""

    base: int
    count: int


Head: TypeAlias = Variable | Literal | Abstraction | Production


class Node:
    """A term: what is applied to what, its cost, and its values, one a row.

    `uses` has bit i set where the term uses the variable at place i; `failed` says that a value is
    `FAILED`.  The values of a function are `Callables`.
    """

    __slots__ = ("arguments", "code", "cost", "failed", "head", "uses", "values")

    def __init__(
        self,
        head: Head,
        arguments: tuple[Node, ...],
        values: tuple[Any, ...],
        cost: float,
        uses: int,
        failed: bool,
    ) -> None:
        self.head = head
        self.arguments = arguments
        self.values = values
        self.cost = cost
        self.uses = uses
        self.failed = failed
        self.code: Code | None = None

    def on(self, values: tuple[Any, ...], failed: bool) -> Node:
        """The same term on other rows."""
        return Node(self.head, self.arguments, values, self.cost, self.uses, failed)


class Callables:
    """The values of a function: a callable for each row, made when it is first asked for.

    At the frontier most functions are called on the first few rows alone.
    """

    __slots__ = ("made", "make", "rows")

    def __init__(self, make: Callable[[int], Any], rows: int) -> None:
        self.make = make
        self.rows = rows
        self.made: list[Any] = []

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> Any:
        while len(self.made) <= row:
            self.made.append(self.make(len(self.made)))
        return self.made[row]

    def __iter__(self) -> Iterator[Any]:
        return (
            iter(self.made)
            if len(self.made) == self.rows
            else map(self.__getitem__, range(self.rows))
        )


class Memo(dict[Any, Any]):
    """A function of one argument on one row: a table of its values, filled as they are asked for.

    `Memo(...).__getitem__` is the callable; it computes what is missing.
    """

    __slots__ = ("code", "environment")
    limit = 4096

    def __init__(self, code: Code, environment: Environment) -> None:
        self.code = code
        self.environment = environment

    def __missing__(self, key: Any) -> Any:
        value = self.code((*self.environment, key))
        if len(self) < self.limit:
            self[key] = value
        return value


def function_of(code: Code, environment: Environment, count: int) -> Callable[[Any], Any]:
    """The body as a curried function of `count` arguments."""
    if count == 1:
        return lambda x: code((*environment, x))
    if count == 2:
        return lambda x: lambda y: code((*environment, x, y))
    return lambda x: function_of(code, (*environment, x), count - 1)


def code_of(node: Node) -> Code:
    """How to compute the term where its variables have other values; made once a node."""
    if node.code is None:
        node.code = _code(node)
    return node.code


def _code(node: Node) -> Code:
    head = node.head
    if isinstance(head, Variable):
        return itemgetter(head.place)
    if isinstance(head, Literal):
        constant = head.value
        return lambda env: constant
    if isinstance(head, Abstraction):
        base, count = head.base, head.count
        body = code_of(node.arguments[0])
        return lambda env: function_of(body, env[:base], count)
    if head.choose is not None:
        return _choice(head.choose, tuple(map(code_of, node.arguments)))
    if len(node.arguments) == 1:
        return _code_of_one(head.code, node.arguments[0])
    if len(node.arguments) == 2:
        return _code_of_two(head.code, *node.arguments)
    call, codes = head.code, tuple(map(code_of, node.arguments))
    return lambda env: call(*[code(env) for code in codes])


def _code_of_one(call: Callable[[Any], Any], argument: Node) -> Code:
    if isinstance(argument.head, Variable):
        place = argument.head.place
        return lambda env: call(env[place])
    code = code_of(argument)
    return lambda env: call(code(env))


def _code_of_two(call: Callable[[Any, Any], Any], first: Node, second: Node) -> Code:
    """An application of two arguments: variables and literals, which most are, without a call."""
    one, other = first.head, second.head
    if isinstance(one, Variable):
        place = one.place
        if isinstance(other, Variable):
            other_place = other.place
            return lambda env: call(env[place], env[other_place])
        if isinstance(other, Literal):
            value = other.value
            return lambda env: call(env[place], value)
        code = code_of(second)
        return lambda env: call(env[place], code(env))
    if isinstance(one, Literal):
        value = one.value
        if isinstance(other, Variable):
            place = other.place
            return lambda env: call(value, env[place])
        code = code_of(second)
        return lambda env: call(value, code(env))
    code = code_of(first)
    if isinstance(other, Variable):
        place = other.place
        return lambda env: call(code(env), env[place])
    if isinstance(other, Literal):
        value = other.value
        return lambda env: call(code(env), value)
    other_code = code_of(second)
    return lambda env: call(code(env), other_code(env))


def _choice(choose: Callable[[Any], int], codes: tuple[Code, ...]) -> Code:
    def run(environment: Environment) -> Any:
        first = codes[0](environment)
        index = choose(first)
        return first if index == 0 else codes[index](environment)

    return run


def term_of(node: Node, inputs: int) -> Term:
    """The closed term `(lam ... body)` of a node of the outermost bank, which has `inputs` rows."""
    term = _term(node, tuple(range(inputs)), inputs)
    for _ in range(inputs):
        term = Lambda(term)
    return term


def _term(node: Node, binders: tuple[int, ...], depth: int) -> Term:
    """`binders` says which binder, counted from the outside, holds each place."""
    head = node.head
    if isinstance(head, Variable):
        return Bound(depth - 1 - binders[head.place])
    if isinstance(head, Literal):
        return head
    if isinstance(head, Abstraction):
        inner = (*binders[: head.base], *range(depth, depth + head.count))
        term = _term(node.arguments[0], inner, depth + head.count)
        for _ in range(head.count):
            term = Lambda(term)
        return term
    term = Use(head.reference)
    for argument in node.arguments:
        term = Apply(term, _term(argument, binders, depth))
    return term
