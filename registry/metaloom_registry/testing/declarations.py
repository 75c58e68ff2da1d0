"""The suite that a plugin's primitives have to pass."""

from __future__ import annotations

import ast
import builtins
import keyword
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloom_registry.errors import EvaluationError
from metaloom_registry.expressions import bound_names, free_names
from metaloom_registry.frozen_dict import FrozenDict, frozen_value
from metaloom_registry.inference import infer
from metaloom_registry.primitives import Primitive, PrimitiveTable
from metaloom_registry.sexpr import parse_term
from metaloom_registry.source import python_module
from metaloom_registry.testing.generating import grounded, values
from metaloom_registry.testing.interpreter import interpret
from metaloom_registry.types import (
    BOOL,
    FLOAT,
    INT,
    TEXT,
    Arrow,
    Constructed,
    Type,
    dict_of,
    function,
    parts,
    uncurried,
)

_PLAIN = {"int", "bool", "float", "text", "list", "tuple", "set", "dict", "graph", "store"}


class PrimitiveSuite:
    """What every primitive of a plugin has to fulfil.

        class TestMine(PrimitiveSuite):
            @pytest.fixture
            def primitives(self):
                return PRIMITIVES

    Examples may use primitives of other plugins where the fixture `vocabulary` gives them too.
    """

    @pytest.fixture
    def primitives(self) -> tuple[Primitive, ...]:
        raise NotImplementedError("give the primitives to be tested as a fixture")

    @pytest.fixture
    def vocabulary(self, primitives: tuple[Primitive, ...]) -> PrimitiveTable:
        """The primitives in whose short names the examples are written."""
        return PrimitiveTable(primitives)

    def test_every_short_name_means_one_primitive(self, vocabulary: PrimitiveTable) -> None:
        shared = {p.short for p in vocabulary} - set(vocabulary.short_names)
        assert not shared, f"two primitives share the short names {shared}"

    def test_every_primitive_says_what_it_does_in_a_line(
        self, primitives: tuple[Primitive, ...]
    ) -> None:
        for primitive in primitives:
            doc = primitive.doc
            sentence = doc.endswith(".") and "\n" not in doc and doc[:1].isupper()
            assert sentence, f"the doc of {primitive.name} is no one-line sentence: {doc!r}"

    def test_parameters_are_python_names(self, primitives: tuple[Primitive, ...]) -> None:
        for primitive in primitives:
            for parameter in primitive.parameters:
                usable = parameter.isidentifier() and not keyword.iskeyword(parameter)
                assert usable, f"{primitive.name}: {parameter!r} is no name for a parameter"
            assert len(set(primitive.parameters)) == len(primitive.parameters), primitive.name

    def test_sources_are_python_over_the_parameters(
        self, primitives: tuple[Primitive, ...]
    ) -> None:
        for primitive in primitives:
            if not primitive.source:
                continue
            expression = ast.parse(primitive.source, mode="eval").body
            imported = _imported(primitive)
            unknown = free_names(expression) - {*primitive.parameters, *imported, *dir(builtins)}
            assert not unknown, f"the source of {primitive.name} uses {unknown}, from nowhere"
            rebound = bound_names(expression) & set(primitive.parameters)
            assert not rebound, f"the source of {primitive.name} binds its parameters {rebound}"

    def test_examples_are_typed_and_have_the_value_they_say(
        self, primitives: tuple[Primitive, ...], vocabulary: PrimitiveTable
    ) -> None:
        for primitive in primitives:
            if primitive.scalar is None:
                continue
            assert len(primitive.examples) >= 2, f"{primitive.name} needs two examples"
            for text, wanted in primitive.examples:
                term = parse_term(text, vocabulary.short_names)
                type_ = infer(term, lambda reference: vocabulary[reference].signature)
                found = interpret(term, vocabulary.__getitem__)
                assert found == wanted, f"{primitive.name}: {text} is {found}, not {wanted}"
                assert _is_of(found, type_), f"{primitive.name}: {text} = {found} is no {type_}"

    def test_sources_compute_the_examples(
        self, primitives: tuple[Primitive, ...], vocabulary: PrimitiveTable
    ) -> None:
        for primitive in primitives:
            if primitive.scalar is None or not primitive.source:
                continue
            for text, wanted in primitive.examples:
                term = parse_term(text, vocabulary.short_names)
                module = python_module(term, vocabulary.__getitem__, name="example")
                names: dict[str, Any] = {}
                exec(module, names)  # noqa: S102 - what the plugin's author wrote, in a test
                found = frozen_value(names["example"]())
                assert found == wanted, f"{primitive.name}: {text} is {found} as\n{module}"

    def test_scalar_forms_have_typed_values_or_raise_evaluation_errors(
        self, primitives: tuple[Primitive, ...]
    ) -> None:
        for primitive in primitives:
            if primitive.scalar is not None and _is_plain(primitive.signature):
                _try_at_random(primitive)


def _imported(primitive: Primitive) -> set[str]:
    """The names that a primitive's import lines bring."""
    found: set[str] = set()
    for line in primitive.imports:
        for node in ast.parse(line).body:
            assert isinstance(node, ast.Import | ast.ImportFrom), f"{line!r} is no import"
            found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return found


def _is_plain(type_: Type) -> bool:
    return all(
        part.name in _PLAIN for part in parts(type_) if isinstance(part, Constructed)
    ) and not any(hasattr(part, "dimensions") for part in parts(type_))


def _try_at_random(primitive: Primitive) -> None:
    arity = len(primitive.parameters)

    @settings(
        max_examples=15, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def check(data: st.DataObject) -> None:
        types, result = uncurried(data.draw(_closed(primitive.signature)))
        arguments = [data.draw(values(type_)) for type_ in types[:arity]]
        assert primitive.scalar is not None
        try:
            found = primitive.scalar(*arguments)
        except EvaluationError:
            return
        rest = function(*types[arity:], result)
        assert _is_of(found, rest), f"{primitive.name}{tuple(arguments)} = {found!r} is no {rest}"
        if primitive.choose is not None:
            assert found == arguments[primitive.choose(arguments[0])], (
                f"{primitive.name}{tuple(arguments)} is not the argument that choose names"
            )

    check()


@st.composite
def _closed(draw: st.DrawFn, type_: Type) -> Type:
    return grounded(type_, draw)


def _is_of(value: Any, type_: Type) -> bool:
    """Whether a plain value is of the type; variables take anything."""
    if isinstance(type_, Arrow):
        return callable(value)
    if not isinstance(type_, Constructed):
        return True
    if type_.name == "list":
        return type(value) is tuple and all(_is_of(item, type_.arguments[0]) for item in value)
    if type_.name == "tuple":
        return (
            type(value) is tuple
            and len(value) == len(type_.arguments)
            and all(map(_is_of, value, type_.arguments))
        )
    if type_.name == "set":
        return type(value) is frozenset and all(_is_of(i, type_.arguments[0]) for i in value)
    if type_.name == "dict":
        key, held = type_.arguments
        return type(value) is FrozenDict and all(
            _is_of(k, key) and _is_of(v, held) for k, v in value.items()
        )
    if type_.name == "graph":
        (node,) = type_.arguments
        rows = dict_of(node, dict_of(node, INT))
        return _is_of(value, rows) and all(to in value for row in value.values() for to in row)
    if type_.name == "store":
        return _is_of(value, type_.arguments[0])
    if type_ == INT:
        return type(value) is int and -(1 << 63) <= value < 1 << 63
    return type(value) is {BOOL: bool, FLOAT: float, TEXT: str}.get(type_, object)
