"""Python expressions as data: which names they use, substitution, and comprehensions made one.

An expression is an `ast.expr` that is never changed once made; parts may be shared.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Set
from typing import TypeAlias

_OPPOSITE = {ast.Eq: ast.NotEq(), ast.In: ast.NotIn()}

Comprehension: TypeAlias = ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp


def name(identifier: str) -> ast.expr:
    return ast.Name(identifier, ast.Load())


def constant(value: int | float | str | bool) -> ast.expr:
    """A literal; a negative number as the negation it is in Python's grammar."""
    if isinstance(value, bool | str) or not str(value).startswith("-"):
        return ast.Constant(value)
    return ast.UnaryOp(ast.USub(), ast.Constant(-value))


def call(function: ast.expr, *arguments: ast.expr) -> ast.expr:
    return ast.Call(function, list(arguments), [])


def function_of(parameters: Iterable[str], body: ast.expr) -> ast.expr:
    """`lambda parameters: body`."""
    arguments = ast.arguments([], [ast.arg(p) for p in parameters], None, [], [], None, [])
    return ast.Lambda(arguments, body)


def is_atomic(expression: ast.expr) -> bool:
    """Whether writing it twice costs nothing: a name, a literal, an empty list."""
    if isinstance(expression, ast.UnaryOp):
        return isinstance(expression.operand, ast.Constant)
    if isinstance(expression, ast.List):
        return not expression.elts
    return isinstance(expression, ast.Name | ast.Constant)


def bound_names(expression: ast.AST) -> frozenset[str]:
    """The names that lambdas and comprehensions within the expression bind."""
    found = set()
    for node in ast.walk(expression):
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return frozenset(found)


def free_names(expression: ast.AST) -> frozenset[str]:
    """The names the expression takes from around it."""
    return frozenset(used for used, _ in _uses(expression, frozenset(), False))


def uses(expression: ast.AST, identifier: str) -> tuple[int, bool]:
    """How often a name is used free, and whether one use may be computed more than once."""
    found = [again for used, again in _uses(expression, frozenset(), False) if used == identifier]
    return len(found), any(found)


def _uses(node: ast.AST, bound: Set[str], again: bool) -> Iterator[tuple[str, bool]]:
    """Each free use of a name, and whether it lies where it may be computed again."""
    if isinstance(node, ast.Name):
        if isinstance(node.ctx, ast.Load) and node.id not in bound:
            yield node.id, again
    elif isinstance(node, ast.Lambda):
        inner = bound | {argument.arg for argument in node.args.args}
        yield from _uses(node.body, inner, True)
    elif isinstance(node, Comprehension):
        for i, generator in enumerate(node.generators):
            yield from _uses(generator.iter, bound, again or i > 0)
            bound = bound | bound_names(generator.target)
            for condition in generator.ifs:
                yield from _uses(condition, bound, True)
        for part in _results(node):
            yield from _uses(part, bound, True)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _uses(child, bound, again)


def _results(node: Comprehension) -> list[ast.expr]:
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


class _Captured(Exception):
    """A name of the replacement would be bound where it is put."""


def substituted(expression: ast.expr, identifier: str, replacement: ast.expr) -> ast.expr | None:
    """The expression with a free name replaced; None where that would capture a name."""
    try:
        return _Substitution(identifier, replacement).visit(expression)  # type: ignore[no-any-return]
    except _Captured:
        return None


class _Substitution(ast.NodeTransformer):
    """Rebuilds what it changes, so that shared parts stay as they are."""

    def __init__(self, identifier: str, replacement: ast.expr) -> None:
        self.identifier = identifier
        self.replacement = replacement
        self.free = free_names(replacement)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        mine = node.id == self.identifier and isinstance(node.ctx, ast.Load)
        return self.replacement if mine else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        return rebuilt(node, self.visit)

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        return self.scope(node, {argument.arg for argument in node.args.args})

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        return self.comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        return self.comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.expr:
        return self.comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        return self.comprehension(node)

    def scope(self, node: ast.expr, binders: Set[str]) -> ast.expr:
        if self.identifier not in free_names(node):
            return node
        if self.free & binders:
            raise _Captured
        found = rebuilt(node, self.visit)
        assert isinstance(found, ast.expr)
        return found

    def comprehension(self, node: Comprehension) -> ast.expr:
        binders = frozenset().union(*(bound_names(g.target) for g in node.generators))
        if self.identifier in binders:
            raise _Captured
        return self.scope(node, binders)


def rebuilt(node: ast.AST, change: Callable[[ast.AST], ast.AST]) -> ast.AST:
    """A new node of the same class, `change` applied to each node directly within."""
    fields = {}
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            value = change(value)
        elif isinstance(value, list):
            value = [change(item) if isinstance(item, ast.AST) else item for item in value]
        fields[field] = value
    return type(node)(**fields)


def simplified(node: ast.AST) -> ast.AST:
    """The node as people write it: comprehensions made one, `x == 0` for `0 == x`, and `!=`.

    What is within the node is taken to be simple already.
    """
    if isinstance(node, ast.ListComp | ast.GeneratorExp) and len(node.generators) == 1:
        return _fused(node)
    if (
        isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Eq)
        and len(node.ops) == 1
        and isinstance(node.left, ast.Constant)
        and not isinstance(node.comparators[0], ast.Constant)
    ):
        return ast.Compare(node.comparators[0], node.ops, [node.left])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = node.operand
        if isinstance(inner, ast.Compare) and type(inner.ops[0]) in _OPPOSITE:
            return ast.Compare(inner.left, [_OPPOSITE[type(inner.ops[0])]], inner.comparators)
    return node


def _fused(node: ast.ListComp | ast.GeneratorExp) -> ast.expr:
    """`[f(x) for x in [x for x in xs if p(x)]]` as `[f(x) for x in xs if p(x)]`, and the like."""
    outer = node.generators[0]
    if _is_call_of(outer.iter, "list"):
        source = ast.comprehension(outer.target, outer.iter.args[0], outer.ifs, 0)  # type: ignore[attr-defined]
        return _fused(type(node)(node.elt, [source]))
    inner = outer.iter
    if (
        not isinstance(inner, ast.ListComp)
        or len(inner.generators) != 1
        or not isinstance(outer.target, ast.Name)
        or not isinstance(inner.generators[0].target, ast.Name)
    ):
        return node
    whole = ast.Tuple([node.elt, *outer.ifs], ast.Load())
    place = outer.target.id
    source = inner.generators[0]
    is_filter = isinstance(inner.elt, ast.Name) and inner.elt.id == inner.generators[0].target.id
    if not is_filter and uses(whole, place) != (1, False):
        return node
    item = inner.generators[0].target.id
    if item != place and item in free_names(whole):
        return node
    moved = substituted(whole, place, inner.elt)
    if not isinstance(moved, ast.Tuple):
        return node
    fused: ast.expr = type(node)(
        moved.elts[0],
        [ast.comprehension(source.target, source.iter, [*source.ifs, *moved.elts[1:]], 0)],
    )
    if item == place or not is_filter:
        return fused
    return _renamed(fused, item, place)


def _renamed(node: ast.expr, item: str, wanted: str) -> ast.expr:
    """The comprehension with its variable called as the outer one was, where that is safe."""
    assert isinstance(node, ast.ListComp | ast.GeneratorExp)
    generator = node.generators[0]
    whole = ast.Tuple([node.elt, *generator.ifs], ast.Load())
    moved = None if wanted in free_names(whole) else substituted(whole, item, name(wanted))
    if not isinstance(moved, ast.Tuple):
        return node
    target = ast.Name(wanted, ast.Store())
    return type(node)(moved.elts[0], [ast.comprehension(target, generator.iter, moved.elts[1:], 0)])


def _is_call_of(expression: ast.expr, function: str) -> bool:
    return (
        isinstance(expression, ast.Call)
        and isinstance(expression.func, ast.Name)
        and expression.func.id == function
        and len(expression.args) == 1
        and not expression.keywords
    )
