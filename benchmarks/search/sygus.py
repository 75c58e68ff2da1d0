"""Programming-by-example tasks in the SyGuS interchange format, version 1 and 2 (.sl files).

Read are the types of the function to be found, the examples among the constraints, and the string
literals of the grammar.  Two spellings of an example are known: `(= (f "a" 1) "b")` and its mirror.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from metaloom_registry.errors import ParseError

Tree: TypeAlias = Any
"""An atom of the file as text, or a list of trees."""

_TOKENS = re.compile(r';[^\n]*|"(?:[^"]|"")*"|[()]|[^\s()";]+')
_SORTS = {"String": "text", "Int": "int", "Bool": "bool"}


@dataclass(frozen=True)
class StringTask:
    """A task: its type, its examples (inputs and an output each), the grammar's texts."""

    name: str
    type: str
    examples: tuple[tuple[tuple[Any, ...], Any], ...]
    literals: tuple[str, ...]


def read_sygus(name: str, text: str) -> StringTask:
    """The task of a .sl file. Raises ParseError where it is none of examples."""
    commands = list(_trees(_TOKENS.findall(text)))
    functions = [c for c in commands if isinstance(c, list) and c[:1] == ["synth-fun"]]
    if len(functions) != 1:
        raise ParseError(f"{name} asks for {len(functions)} functions; wanted is one")
    _, function, parameters, result, *grammar = functions[0]
    examples = tuple(
        _example(command[1], function, name)
        for command in commands
        if isinstance(command, list) and command[:1] == ["constraint"]
    )
    if not examples:
        raise ParseError(f"{name} has no example")
    sorts = [*(sort for _, sort in parameters), result]
    literals = tuple(dict.fromkeys(_value(atom) for atom in _texts(grammar)))
    return StringTask(name, " -> ".join(_SORTS[sort] for sort in sorts), examples, literals)


def _trees(tokens: Sequence[str]) -> Iterator[Tree]:
    stack: list[list[Tree]] = [[]]
    for token in tokens:
        if token.startswith(";"):
            continue
        if token == "(":
            stack.append([])
        elif token == ")":
            if len(stack) == 1:
                raise ParseError("a parenthesis closes that was never opened")
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise ParseError("a parenthesis is never closed")
    yield from stack[0]


def _example(equation: Tree, function: str, name: str) -> tuple[tuple[Any, ...], Any]:
    if not isinstance(equation, list) or len(equation) != 3 or equation[0] != "=":
        raise ParseError(f"a constraint of {name} is no example: {str(equation)[:80]}")
    _, call, output = equation
    if not (isinstance(call, list) and call[0] == function):
        call, output = output, call
    if not (isinstance(call, list) and call[0] == function):
        raise ParseError(f"a constraint of {name} is no example: {str(equation)[:80]}")
    return tuple(map(_value, call[1:])), _value(output)


def _value(tree: Tree) -> Any:
    if isinstance(tree, list):
        if len(tree) == 2 and tree[0] == "-":
            return -int(tree[1])
        raise ParseError(f"{tree} is no value")
    if tree.startswith('"'):
        return tree[1:-1].replace('""', '"')
    return {"true": True, "false": False}[tree] if tree in ("true", "false") else int(tree)


def _texts(tree: Tree) -> Iterator[str]:
    if isinstance(tree, list):
        for part in tree:
            yield from _texts(part)
    elif tree.startswith('"') and len(tree) > 2:
        yield tree
