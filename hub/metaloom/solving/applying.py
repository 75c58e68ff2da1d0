"""A block applied to inputs as JSON has them: lists, numbers, truth values, texts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaloom.remembered import memory_path, remembered
from metaloom.solving.storing import stored_solution
from metaloom_metalearn import Effect, Solution, hard_value
from metaloom_registry import (
    InvalidTask,
    Substitution,
    Tensor,
    Type,
    Variable,
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
    hub: Hub, block: Block, inputs: Sequence[Any], memory: str | os.PathLike[str] | None = None
) -> Any:
    """What a block gives for one value an argument.

    A program that was found for a task takes the task's inputs, its support being stored with it.
    A program with a memory has it in a file, by default one in the library's folder.  Raises
    InvalidTask where an input is not of its type, EvaluationError where there is no value, and what
    `remembered` raises.
    """
    if block.kind == "program":
        solution = stored_solution(block)[0]
    else:
        solution = Solution(
            name=str(block.reference),
            type=block.signature,
            term=block.term,
            term_type=block.signature,
            library=hub.library,
            entries=hub.vocabulary.entries(block.term, hub.load),
        )
    if taught(solution.type) is not None:
        raise InvalidTask(
            f"{block.reference} learns from examples first; give it some: "
            f"`metaloom adapt {block.reference} TASK --publish NAME`, and run that"
        )
    effect = Effect.of(solution.term_type)
    if effect is not None:
        path = memory_path(hub.home, block.digest) if memory is None else Path(memory).absolute()
        return _with_memory(solution, effect, str(block.reference), inputs, path)
    if memory is not None:
        raise InvalidTask(f"{block.reference} : {solution.type} has no memory; leave the file out")
    given, _ = uncurried(solution.type)
    if len(inputs) != len(given):
        raise InvalidTask(
            f"{block.reference} : {solution.type} takes {len(given)} inputs, not {len(inputs)}"
        )
    type_ = _for_inputs(solution.type, inputs)
    pairs = zip(inputs, uncurried(type_)[0], strict=True)
    values = [_value(v, t, i) for i, (v, t) in enumerate(pairs)]
    same = solution.type == solution.term_type
    called = replace(
        solution,
        name=str(block.reference),
        type=type_,
        term_type=type_ if same else solution.term_type,
    )
    return called.predict(*values)


def _with_memory(
    solution: Solution, effect: Effect, name: str, inputs: Sequence[Any], path: Path
) -> Any:
    """One call of a program with the memory in a file, which then holds what is remembered."""
    if not is_closed(effect.held):
        raise InvalidTask(
            f"{name} : {effect.type} leaves open what it remembers; publish it with its type"
        )
    if len(inputs) != len(effect.given):
        raise InvalidTask(
            f"{name} : {effect.type} takes {len(effect.given)} inputs beside its memory, not "
            f"{len(inputs)}"
        )
    pairs = zip(inputs, uncurried(_for_inputs(effect.call, inputs))[0], strict=True)
    values = [hard_value(value, t, f"input {i + 1}") for i, (value, t) in enumerate(pairs)]
    with remembered(path, effect.held) as memory:
        output, memory.value = solution.predictor.function()(memory.value, *values)
    return output


def _for_inputs(type_: Type, inputs: Sequence[Any]) -> Type:
    """The type with its type variables filled by what plain inputs are."""
    given, _ = uncurried(type_)
    substitution = Substitution()
    for value, wanted in zip(inputs, given, strict=True):
        if any(isinstance(part, Variable) for part in parts(wanted)):
            unify(_type_of(value), wanted, substitution)
    return substitution.resolve(type_)


def _type_of(value: Any) -> Type:
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, list | tuple):
        return list_of(_type_of(value[0]) if value else INT)
    if isinstance(value, dict):
        return dict_of(TEXT, _type_of(next(iter(value.values()))) if value else INT)
    plain = {int: INT, float: FLOAT, str: TEXT}.get(type(value))
    if plain is None:
        raise InvalidTask(f"{value!r:.80} is no input; give numbers, texts, truth values or lists")
    return plain


def _value(value: Any, type_: Type, place: int) -> Any:
    """The value as a solution takes it: nested lists become tensors where the type has them."""
    if not any(isinstance(part, Tensor) for part in parts(type_)):
        return value
    from metaloom_metalearn.sources.plain import read_values  # noqa: PLC0415 - loads torch

    [read] = read_values([value], type_, lambda _: f"input {place + 1}")
    return read
