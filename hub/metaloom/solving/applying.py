"""A block applied to inputs as JSON has them: lists, numbers, truth values, texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metaloom.solving.storing import stored_solution
from metaloom_metalearn import Solution
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
from metaloom_registry.types import BOOL, FLOAT, INT, TEXT, list_of

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom.hub import Hub


def applied(hub: Hub, block: Block, inputs: Sequence[Any]) -> Any:
    """What a block gives for one value an argument.

    A program that was found for a task takes the task's inputs, its support being stored with it.
    Raises InvalidTask where an input is not of its type, EvaluationError where there is no value.
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
