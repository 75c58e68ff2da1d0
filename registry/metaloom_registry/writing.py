"""How a term becomes one Python expression: templates filled in, functions applied on the spot."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from metaloom_registry.errors import PluginError
from metaloom_registry.expressions import (
    bound_names,
    call,
    constant,
    free_names,
    function_of,
    is_atomic,
    name,
    rebuilt,
    simplified,
    uses,
)
from metaloom_registry.names import Reference
from metaloom_registry.primitives import Primitive
from metaloom_registry.terms import (
    Apply,
    Bound,
    Hole,
    Lambda,
    Let,
    Literal,
    Term,
    Use,
    children,
    spine,
)
from metaloom_registry.types import Arrow, uncurried

_FAMILIES = (
    ("x", "y", "z", "w", "v", "u"),
    ("xs", "ys", "zs", "ws"),
    ("xss", "yss", "zss"),
    ("n", "m", "k"),
    ("i", "j", "k"),
    ("p", "q", "r"),
    ("f", "g", "h"),
)


def fresh(wanted: str, taken: Set[str]) -> str:
    """The name itself or the next of its kind that is not taken: y after x, total2 after total."""
    family = next((f for f in _FAMILIES if wanted in f), (wanted,))
    later = family[family.index(wanted) :]
    for candidate in (*later, *(f"{wanted}{i}" for i in range(2, len(taken) + 3))):
        if candidate not in taken:
            return candidate
    raise AssertionError("more names are taken than there are")


@dataclass(frozen=True)
class Template:
    """The Python expression of a primitive over its parameters."""

    parameters: tuple[str, ...]
    functions: frozenset[str]
    expression: ast.expr

    @classmethod
    def of(cls, primitive: Primitive) -> Template:
        """Read a primitive's source; without one, a call of its name.

        Raises PluginError where the source is no Python expression.
        """
        short = "".join(c if c.isalnum() else "_" for c in primitive.short)
        source = primitive.source or f"{short}({', '.join(primitive.parameters)})"
        try:
            expression = ast.parse(source, mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise PluginError(
                f"the source of the primitive {primitive.name} is no Python expression: {error}"
            ) from None
        types = uncurried(primitive.signature)[0]
        functions = frozenset(
            p for p, t in zip(primitive.parameters, types, strict=False) if isinstance(t, Arrow)
        )
        return cls(primitive.parameters, functions, expression)

    @cached_property
    def locals(self) -> frozenset[str]:
        """The names the expression binds itself."""
        return bound_names(self.expression)

    @cached_property
    def globals(self) -> frozenset[str]:
        """The names it takes from Python and from its imports."""
        return free_names(self.expression) - set(self.parameters)

    @cached_property
    def shared(self) -> frozenset[str]:
        """The parameters, no functions, whose value it computes more than once."""
        return frozenset(
            p
            for p in self.parameters
            if p not in self.functions and uses(self.expression, p) not in ((0, False), (1, False))
        )


@dataclass(frozen=True)
class Function:
    """A Python function that stands elsewhere, called with `arity` arguments at once."""

    name: str
    arity: int


@dataclass(frozen=True)
class Written:
    """A value that is an expression already."""

    expression: ast.expr


@dataclass(frozen=True)
class Delayed:
    """A term in its scope, to be written where it is used."""

    term: Term
    scope: Scope


Value: TypeAlias = Written | Delayed
Scope: TypeAlias = "tuple[Value, ...]"
"""What `$0`, `$1`, ... stand for."""


@dataclass(frozen=True)
class Writer:
    """Writes terms; `block` says how a block is written."""

    block: Callable[[Reference], Template | Function]

    def expression(self, term: Term, scope: Scope) -> ast.expr:
        return self.call(Delayed(term, scope), ())

    def written(self, value: Value) -> ast.expr:
        return value.expression if isinstance(value, Written) else self.call(value, ())

    def call(self, value: Value, arguments: Sequence[Value]) -> ast.expr:
        """The value applied to arguments."""
        if isinstance(value, Written):
            return self._called(value.expression, arguments)
        term, scope = value.term, value.scope
        if isinstance(term, Bound):
            return self.call(scope[term.index], arguments)
        if isinstance(term, Apply):
            head, given = spine(term)
            return self.call(
                Delayed(head, scope), [*(Delayed(a, scope) for a in given), *arguments]
            )
        if isinstance(term, Let):
            return self._bound(Delayed(term.value, scope), term.body, scope, arguments)
        if isinstance(term, Lambda):
            if arguments:
                return self._bound(arguments[0], term.body, scope, arguments[1:])
            parameter = fresh("x", self.names(value))
            body = self.expression(term.body, (Written(name(parameter)), *scope))
            return function_of([parameter], body)
        if isinstance(term, Use):
            return self._used(self.block(term.reference), arguments)
        if isinstance(term, Hole):
            return self._called(call(name("hole"), ast.Constant(str(term.type))), arguments)
        return self._called(constant(term.value), arguments)

    def inlines(self, value: Value, body: Term) -> bool:
        """Whether a value is written where `$0` of the body stands, rather than given a name."""
        count, again = _uses(body)
        return count == 0 or (count == 1 and not again) or self._is_short(value)

    def names(self, value: Value) -> frozenset[str]:
        """The names of variables that the value takes from around it."""
        if isinstance(value, Written):
            return free_names(value.expression)
        found: set[str] = set()
        for index in _free_indices(value.term):
            found |= self.names(value.scope[index])
        return frozenset(found)

    def _called(self, function: ast.expr, arguments: Sequence[Value]) -> ast.expr:
        for argument in arguments:
            function = call(function, self.written(argument))
        return function

    def _bound(
        self, value: Value, body: Term, scope: Scope, arguments: Sequence[Value]
    ) -> ast.expr:
        """The body with the value as `$0`, applied to arguments."""
        if self.inlines(value, body):
            return self.call(Delayed(body, (value, *scope)), arguments)
        taken = self.names(Delayed(Lambda(body), scope)).union(*map(self.names, arguments))
        local = fresh("x", taken)
        inner = self.call(Delayed(body, (Written(name(local)), *scope)), arguments)
        return call(function_of([local], inner), self.written(value))

    def _is_short(self, value: Value) -> bool:
        """Whether it may be written twice: a name, a literal, a function."""
        if isinstance(value, Written):
            return is_atomic(value.expression) or isinstance(value.expression, ast.Lambda)
        term = value.term
        if isinstance(term, Bound):
            return self._is_short(value.scope[term.index])
        if isinstance(term, Use):
            block = self.block(term.reference)
            return (
                isinstance(block, Template) and (is_atomic(block.expression) or self._takes(block))
            ) or (isinstance(block, Function) and block.arity > 0)
        return isinstance(term, Lambda | Literal)

    def _takes(self, template: Template) -> bool:
        return bool(template.parameters)

    def _used(self, block: Template | Function, arguments: Sequence[Value]) -> ast.expr:
        arity = len(block.parameters) if isinstance(block, Template) else block.arity
        if len(arguments) >= arity:
            whole = self._whole(block, arguments[:arity])
            return self._called(whole, arguments[arity:])
        if isinstance(block, Function) and arity == 1:
            return name(block.name)
        wanted = block.parameters if isinstance(block, Template) else ("x",) * arity
        taken = set().union(*map(self.names, arguments))
        added: list[str] = []
        for parameter in wanted[len(arguments) :]:
            added.append(fresh(parameter, taken))
            taken.add(added[-1])
        result = self._whole(block, [*arguments, *(Written(name(one)) for one in added)])
        for parameter in reversed(added):
            result = function_of([parameter], result)
        return result

    def _whole(self, block: Template | Function, arguments: Sequence[Value]) -> ast.expr:
        if isinstance(block, Function):
            return call(name(block.name), *map(self.written, arguments))
        return self._filled(block, arguments)

    def _filled(self, template: Template, arguments: Sequence[Value]) -> ast.expr:
        """A template with its parameters replaced, its own variables renamed where they clash."""
        values = dict(zip(template.parameters, arguments, strict=True))
        taken = set().union(*map(self.names, arguments))
        renamed: dict[str, str] = {}
        for local in sorted(template.locals):
            renamed[local] = local
            if local in taken:
                renamed[local] = fresh(local, taken | template.locals | set(renamed.values()))
        given: dict[str, ast.expr] = {}
        for parameter in sorted(template.shared):
            if not self._is_short(values[parameter]):
                avoid = taken | set(renamed.values()) | set(given) | template.globals
                local = fresh(parameter, avoid)
                given[local] = self.written(values[parameter])
                values[parameter] = Written(name(local))
        filled = self._fill(template.expression, values, renamed)
        assert isinstance(filled, ast.expr)
        return call(function_of(given, filled), *given.values()) if given else filled

    def _fill(self, node: ast.AST, values: dict[str, Value], renamed: dict[str, str]) -> ast.AST:
        def fill(part: ast.AST) -> ast.AST:
            return self._fill(part, values, renamed)

        if isinstance(node, ast.Name):
            if node.id in values:
                return self.written(values[node.id])
            return ast.Name(renamed.get(node.id, node.id), node.ctx)
        if isinstance(node, ast.arg):
            return ast.arg(renamed.get(node.arg, node.arg))
        function, given = _curried_call(node)
        if isinstance(function, ast.Name) and function.id in values and given:
            filled = [fill(argument) for argument in given]
            return self.call(
                values[function.id], [Written(f) for f in filled if isinstance(f, ast.expr)]
            )
        return simplified(rebuilt(node, fill))


def _curried_call(node: ast.AST) -> tuple[ast.AST, list[ast.expr]]:
    """What is called and with what: `f(a)(b)` is `f` and `[a, b]`."""
    arguments: list[ast.expr] = []
    while isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        arguments.insert(0, node.args[0])
        node = node.func
    return node, arguments


def _uses(body: Term) -> tuple[int, bool]:
    """How often a body uses its `$0`, and whether one use lies within a function."""
    count, again = 0, False
    waiting: list[tuple[Term, int, bool]] = [(body, 0, False)]
    while waiting:
        part, index, inside = waiting.pop()
        if isinstance(part, Bound):
            if part.index == index:
                count, again = count + 1, again or inside
        elif isinstance(part, Lambda):
            waiting.append((part.body, index + 1, True))
        elif isinstance(part, Let):
            waiting += [(part.value, index, inside), (part.body, index + 1, inside)]
        else:
            waiting += [(child, index, inside) for child in children(part)]
    return count, again


def _free_indices(term: Term) -> set[int]:
    """Which `$i` the term takes from around it."""
    found: set[int] = set()
    waiting: list[tuple[Term, int]] = [(term, 0)]
    while waiting:
        part, inside = waiting.pop()
        if isinstance(part, Bound):
            if part.index >= inside:
                found.add(part.index - inside)
        elif isinstance(part, Lambda):
            waiting.append((part.body, inside + 1))
        elif isinstance(part, Let):
            waiting += [(part.value, inside), (part.body, inside + 1)]
        else:
            waiting += [(child, inside) for child in children(part)]
    return found
