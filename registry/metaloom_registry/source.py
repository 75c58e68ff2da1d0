"""The Python source of a term, as a person would write it.

Primitives appear as their own Python expressions, functions applied on the spot are written out,
programs that the term uses become functions of their own, and trained blocks are called by name:

    def solution(xs):
        return [2 * x for x in xs if x % 2 == 0]

Where the evaluator gives a value, the source gives the same, lists being Python lists.  It knows no
limits: Python's integers do not overflow, and what is not needed is not computed.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from metaloom_registry.errors import ParseError, Refused, TypeMismatch
from metaloom_registry.expressions import name as variable
from metaloom_registry.inference import infer
from metaloom_registry.library import Loaded
from metaloom_registry.names import Reference
from metaloom_registry.primitives import Primitive
from metaloom_registry.terms import (
    Apply,
    Bound,
    Hole,
    Lambda,
    Let,
    Term,
    apply,
    lambdas,
    references,
    shifted,
    subterms,
)
from metaloom_registry.types import (
    Arrow,
    Constructed,
    Tensor,
    Type,
    Variable,
    parse_type,
    uncurried,
)
from metaloom_registry.writing import (
    Delayed,
    Function,
    Scope,
    Template,
    Value,
    Writer,
    Written,
    fresh,
)

_ANY_FUNCTION = parse_type("a -> b")
_RESERVED = frozenset({*keyword.kwlist, *keyword.softkwlist, *dir(builtins)})


def python_source(
    term: Term,
    resolve: Callable[[Reference], Loaded],
    name: str = "solution",
    parameters: Sequence[str] = (),
    names: Mapping[Reference, str] | None = None,
) -> str:
    """The term as Python functions, that of the term itself last, without imports.

    `resolve` gives the blocks, `name` is the function's name, `parameters` those of its first
    arguments (by default they are named by type: xs, n, image), `names` what blocks are called that
    the term knows by digest alone.  Raises ParseError where the term is too deep, TypeMismatch
    where it is not typed.
    """
    return _Document(resolve, names or {}).source(term, name, parameters)


def python_module(
    term: Term,
    resolve: Callable[[Reference], Loaded],
    name: str = "solution",
    parameters: Sequence[str] = (),
    names: Mapping[Reference, str] | None = None,
) -> str:
    """The term as the text of a Python file that needs nothing else.

    Raises Refused where the term uses a trained block, has a hole, or uses a primitive that
    declares no source.
    """
    document = _Document(resolve, names or {})
    text = document.source(term, name, parameters)
    if document.missing:
        raise Refused(
            f"{', '.join(sorted(document.missing))}: not to be written as Python alone; "
            "run the program with Metaloom instead"
        )
    imports = "".join(f"{line}\n" for line in sorted(document.imports))
    return f"{imports}\n\n{text}" if imports else text


@dataclass
class _Document:
    """The functions written so far, and what they need."""

    resolve: Callable[[Reference], Loaded]
    names: Mapping[Reference, str]
    imports: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    _loaded: dict[Reference, Loaded] = field(default_factory=dict)
    _types: dict[Reference, Type] = field(default_factory=dict)
    _blocks: dict[Reference, Template | Function] = field(default_factory=dict)
    _functions: list[str] = field(default_factory=list)
    _reserved: set[str] = field(default_factory=lambda: set(_RESERVED))
    _template_names: set[str] = field(default_factory=set)

    def source(self, term: Term, name: str, parameters: Sequence[str]) -> str:
        for one in (name, *parameters):
            if not one.isidentifier() or keyword.iskeyword(one):
                raise ParseError(f"{one[:80]!r} is not a name in Python; give an identifier")
        try:
            blocks = self.gather(term)
            self._reserved.add(name)
            for reference in blocks:
                self._blocks[reference] = self.function(reference)
            for reference in blocks:
                loaded, block = self._loaded[reference], self._blocks[reference]
                if isinstance(loaded, Term) and isinstance(block, Function):
                    self.define(loaded, self.type_of(reference), block.name, ())
            self.define(term, infer(term, self.type_of), name, parameters)
        except RecursionError:
            raise ParseError("the term nests too deeply to be written as Python") from None
        return "\n\n".join(self._functions)

    def gather(self, term: Term) -> list[Reference]:
        """Load what the term uses; its blocks other than primitives, those used by others first."""
        blocks: list[Reference] = []
        if any(isinstance(part, Hole) for part in subterms(term)):
            self.missing.add("a hole")
        for reference in references(term):
            if reference in self._loaded:
                continue
            loaded = self._loaded[reference] = self.resolve(reference)
            if isinstance(loaded, Primitive):
                self.use(loaded)
                continue
            if isinstance(loaded, Term):
                blocks += self.gather(loaded)
            blocks.append(reference)
        return blocks

    def use(self, primitive: Primitive) -> None:
        self.imports.update(primitive.imports)
        template = self._blocks[primitive.reference] = Template.of(primitive)
        self._reserved |= template.globals
        self._template_names |= template.locals | set(template.parameters)
        if not primitive.source:
            self.missing.add(primitive.name)

    def function(self, reference: Reference) -> Function:
        """How a program or a trained block is called."""
        name = self.block_name(reference)
        loaded = self._loaded[reference]
        if isinstance(loaded, Term):
            return Function(name, _lambda_count(_expanded(loaded, self.type_of(reference))))
        self.missing.add(name)
        return Function(name, 1)

    def block_name(self, reference: Reference) -> str:
        """An identifier for a block, that nothing else is called."""
        if reference in self.names:
            text = self.names[reference].rpartition("/")[2].partition("@")[0]
        elif reference.name is not None:
            text = reference.name.name
        else:
            text = f"block_{str(reference.selector).rpartition(':')[2][:8]}"
        text = re.sub(r"\W", "_", text, flags=re.ASCII)
        text = text if text.isidentifier() and len(text) > 2 else f"block_{text}"
        found = fresh(text, self._reserved | self._template_names)
        self._reserved.add(found)
        return found

    def type_of(self, reference: Reference) -> Type:
        """The type of a block; of a trained one no more than that it is a function."""
        if reference not in self._types:
            loaded = self._loaded[reference]
            if isinstance(loaded, Primitive):
                found = loaded.signature
            elif isinstance(loaded, Term):
                found = infer(loaded, self.type_of)
            else:
                found = _ANY_FUNCTION
            self._types[reference] = found
        return self._types[reference]

    def define(self, term: Term, type_: Type, name: str, parameters: Sequence[str]) -> None:
        """Add `def name(...)` for a term of this type, with all the arguments that it has."""
        writer = Writer(self._blocks.__getitem__)
        taken = set(self._reserved)
        types: list[Type] = []
        scope: Scope = ()
        given: list[str] = []
        term = _expanded(term, type_)
        while isinstance(term, Lambda):
            argument, type_ = _argument(type_)
            wanted = parameters[len(given)] if len(given) < len(parameters) else _name(argument)
            given.append(fresh(wanted, taken))
            taken.add(given[-1])
            types.insert(0, argument)
            scope = (Written(variable(given[-1])), *scope)
            term = term.body
        lines: list[str] = []
        while (split := _let(term)) is not None:
            value, term = split
            argument = self.type_within(value, types)
            written: Value = Delayed(value, scope)
            if not writer.inlines(written, term):
                local = fresh(_name(argument), taken)
                taken.add(local)
                lines.append(f"    {local} = {ast.unparse(writer.written(written))}\n")
                written = Written(variable(local))
            types.insert(0, argument)
            scope = (written, *scope)
        expression = writer.expression(term, scope)
        lines.append(f"    return {ast.unparse(expression)}\n")
        self._functions.append(f"def {name}({', '.join(given)}):\n{''.join(lines)}")

    def type_within(self, term: Term, types: Sequence[Type]) -> Type:
        """The type of a part, as well as it is known without let-polymorphism."""
        try:
            return infer(term, self.type_of, types)
        except TypeMismatch:
            return Variable("a")


def _let(term: Term) -> tuple[Term, Term] | None:
    """The value and the body where a term gives a value a name."""
    if isinstance(term, Let):
        return term.value, term.body
    if isinstance(term, Apply) and isinstance(term.function, Lambda):
        return term.argument, term.function.body
    return None


def _expanded(term: Term, type_: Type) -> Term:
    """The term with a lambda for each argument of its type (eta-expansion)."""
    missing = len(uncurried(type_)[0]) - _lambda_count(term)
    if missing <= 0:
        return term
    body, count = term, 0
    while isinstance(body, Lambda):
        body, count = body.body, count + 1
    body = apply(shifted(body, missing), *map(Bound, reversed(range(missing))))
    return lambdas(count + missing, body)


def _argument(type_: Type) -> tuple[Type, Type]:
    """The first argument of a function type, and the rest."""
    return (type_.argument, type_.result) if isinstance(type_, Arrow) else (type_, type_)


def _lambda_count(term: Term) -> int:
    count = 0
    while isinstance(term, Lambda):
        term, count = term.body, count + 1
    return count


def _name(type_: Type) -> str:
    """What a variable of this type is called."""
    if isinstance(type_, Tensor):
        return "image" if type_.kind == "image" else type_.kind
    if isinstance(type_, Arrow):
        return "f"
    if isinstance(type_, Variable):
        return "x"
    if type_.name == "list":
        (item,) = type_.arguments
        nested = isinstance(item, Constructed) and item.name == "list"
        return "xss" if nested else "xs"
    return _NAMES.get(type_.name, type_.name)


_NAMES = {
    "int": "n", "bool": "p", "float": "x", "text": "text", "tuple": "pair", "dict": "d", "set": "s",
    "examples": "support", "store": "memory",
}  # fmt: skip
