"""A program applied to inputs as JSON has them: lists, numbers, truth values, texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaloom.remembered import memory_path, remembered
from metaloom.solving.storing import stored_solution, unscored
from metaloom_metalearn import Effect, Limits, Solution, hard_value, holds_tensors
from metaloom_registry import (
    Arrow,
    Constructed,
    InvalidTask,
    MetaloomError,
    Substitution,
    Term,
    Type,
    Variable,
    infer,
    parts,
    taught,
    uncurried,
    unify,
)
from metaloom_registry.types import BOOL, FLOAT, INT, TEXT, dict_of, is_closed, list_of

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom.hub import Hub


def applied(
    hub: Hub,
    program: Block | Term,
    inputs: Sequence[Any],
    memory: str | os.PathLike[str] | None = None,
) -> Any:
    """What a program gives for one value an argument.

    A block that was found for a task takes the task's inputs, its support being stored with it.
    A program with a memory has it in a file, that of a block by default in the library's folder.
    Raises InvalidTask where an input is not of its type, EvaluationError where there is no value,
    and what `remembered` raises.
    """
    block = None if isinstance(program, Term) else program
    name = hub.show(program) if isinstance(program, Term) else str(program.reference)
    if block is not None and block.kind == "program":
        solution = stored_solution(block)[0]
    else:
        term = hub.term(program)
        solution = unscored(hub, name, term, infer(term, hub.vocabulary.type_of))
    if taught(solution.type) is not None:
        raise InvalidTask(
            f"{name} learns from examples first; give it some: "
            f"`metaloom adapt {name if block else repr(name)} TASK --publish NAME`, and run that"
        )
    effect = Effect.of(solution.term_type)
    if effect is not None:
        path = _memory_file(hub, block, name, memory)
        return _with_memory(solution, effect, name, inputs, path)
    if memory is not None:
        raise InvalidTask(f"{name} : {solution.type} has no memory; leave the file out")
    given, _ = uncurried(solution.type)
    if any(isinstance(type_, Arrow) for type_ in given):
        raise InvalidTask(
            f"{name} : {solution.type} takes a function, which is no input; give one in a program, "
            "such as (lam (map (lam (add 1 $0)) $0))"
        )
    _require_count(f"{name} : {solution.type}", given, inputs)
    type_ = _for_inputs(solution.type, inputs)
    pairs = zip(inputs, uncurried(type_)[0], strict=True)
    values = [_value(v, t, i) for i, (v, t) in enumerate(pairs)]
    same = solution.type == solution.term_type
    called = replace(
        solution,
        name=name,
        type=type_,
        term_type=type_ if same else solution.term_type,
    )
    return called.predict(*values)


def tried(hub: Hub, term: Term, inputs: Sequence[Any], limits: Limits) -> Any:
    """What a program of plain types gives within limits; None where it gives nothing."""
    try:
        type_ = _for_inputs(infer(term, hub.vocabulary.type_of), inputs)
        predictor = replace(unscored(hub, "it", term, type_).predictor, limits=limits)
        return predictor.predict([(value,) for value in inputs])[0]
    except MetaloomError:
        return None


def _with_memory(
    solution: Solution, effect: Effect, name: str, inputs: Sequence[Any], path: Path
) -> Any:
    """One call of a program with the memory in a file, which then holds what is remembered."""
    if not is_closed(effect.held):
        raise InvalidTask(
            f"{name} : {effect.type} leaves open what it remembers; publish it with its type"
        )
    _require_count(f"{name} : {effect.type}", effect.given, inputs, " beside its memory")
    pairs = zip(inputs, uncurried(_for_inputs(effect.call, inputs))[0], strict=True)
    values = [hard_value(value, t, f"input {i + 1}") for i, (value, t) in enumerate(pairs)]
    with remembered(path, effect.held) as memory:
        output, memory.value = solution.predictor.function()(memory.value, *values)
    return output


def _memory_file(
    hub: Hub, block: Block | None, name: str, given: str | os.PathLike[str] | None
) -> Path:
    if given is not None:
        return Path(given).absolute()
    if block is None:
        raise InvalidTask(
            f"{name} remembers, and is not published: give the file of its memory, or publish it"
        )
    return memory_path(hub.home, block.digest)


def _require_count(
    what: str, wanted: Sequence[Type], inputs: Sequence[Any], beside: str = ""
) -> None:
    if len(inputs) != len(wanted):
        takes = f"{len(wanted)} input{'' if len(wanted) == 1 else 's'}"
        raise InvalidTask(f"{what} takes {takes}{beside}, not {len(inputs)}")


def _for_inputs(type_: Type, inputs: Sequence[Any]) -> Type:
    """The type with its type variables filled by what plain inputs are."""
    given, _ = uncurried(type_)
    substitution = Substitution()
    for value, wanted in zip(inputs, given, strict=True):
        if any(isinstance(part, Variable) for part in parts(wanted)):
            unify(_type_of(value, wanted), wanted, substitution)
    return substitution.resolve(type_)


def _type_of(value: Any, wanted: Type) -> Type:
    """The type of a value as JSON has it, read as `wanted`, whose variables it fills.

    What is wanted tells sets, tuples and graphs, which JSON has as lists, from lists.
    """
    if isinstance(wanted, Constructed) and wanted.arguments:
        return _type_inside(value, wanted)
    if not isinstance(wanted, Variable):
        return wanted
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, list | tuple):
        return list_of(_type_of(value[0], wanted) if value else INT)
    if isinstance(value, dict):
        return dict_of(*_types_of_pair(value, wanted, wanted))
    plain = {int: INT, float: FLOAT, str: TEXT}.get(type(value))
    if plain is None:
        raise InvalidTask(f"{value!r:.80} is no input; give numbers, texts, truth values or lists")
    return plain


def _type_inside(value: Any, wanted: Constructed) -> Type:
    arguments = wanted.arguments
    if isinstance(value, dict) and wanted.name == "dict":
        return Constructed("dict", _types_of_pair(value, arguments[0], arguments[1]))
    if isinstance(value, dict) and wanted.name == "graph":
        return Constructed("graph", _types_of_pair(value, arguments[0], INT)[:1])
    if not isinstance(value, list | tuple) or not value:
        return wanted
    if wanted.name == "tuple" and len(value) == len(arguments):
        return Constructed("tuple", tuple(map(_type_of, value, arguments)))
    if wanted.name in ("list", "set"):
        return Constructed(wanted.name, (_type_of(value[0], *arguments),))
    if wanted.name in ("dict", "graph") and isinstance(value[0], list | tuple):  # pairs, edges
        return Constructed(wanted.name, tuple(map(_type_of, value[0], arguments)))
    return wanted


def _types_of_pair(value: dict[Any, Any], key: Type, held: Type) -> tuple[Type, Type]:
    """The types of a dictionary's keys and values; JSON writes integers among keys as texts."""
    if not value:
        return key, held
    whole = all(isinstance(one, int) or one.lstrip("-").isdecimal() for one in value)
    keys = (INT if whole else TEXT) if isinstance(key, Variable) else key
    return keys, _type_of(next(iter(value.values())), held)


def _value(value: Any, type_: Type, place: int) -> Any:
    """The value as a solution takes it: nested lists become tensors where the type has them."""
    if not holds_tensors(type_):
        return value
    from metaloom_metalearn.sources.plain import read_values  # noqa: PLC0415 - loads torch

    [read] = read_values([value], type_, lambda _: f"input {place + 1}")
    return read
