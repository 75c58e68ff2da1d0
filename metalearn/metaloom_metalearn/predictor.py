"""Predicting with a term: by the batched engine where it can, else value by value.

The two engines give the same values.  The hard one knows every plain type and needs no torch; the
batched one runs a trained block once for all inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import metaloom_metalearn
from metaloom_metalearn.engines.hard.evaluator import Evaluator
from metaloom_metalearn.engines.hard.limits import Limits
from metaloom_metalearn.memory import Effect, called_in_turn, empty_value
from metaloom_metalearn.search.examples import hard_value, holds_tensors
from metaloom_metalearn.search.resolver import Resolver
from metaloom_metalearn.tasks import Examples, Values
from metaloom_registry import (
    Constructed,
    EvaluationError,
    InvalidTask,
    Term,
    Type,
    TypeMismatch,
    uncurried,
)


@dataclass
class Predictor:
    """A term that is ready to predict: its type, the support it takes first, if any, and blocks.

    `type` is that of the predictions: `term_type` without the support, or for a term with a memory
    that of streams.
    """

    term: Term
    term_type: Type
    type: Type
    resolver: Resolver
    support: Examples | None = None
    limits: Limits = field(default_factory=Limits)
    _module: Any = field(default=None, repr=False)
    _function: Callable[..., Any] | None = field(default=None, repr=False)

    def predict(self, columns: Sequence[Values]) -> Values:
        """The outputs for inputs, one column an argument; None where there is no value.

        What takes no argument has the one output.
        """
        given, want = uncurried(self.type)
        if len(columns) != len(given):
            raise InvalidTask(f"{self.type} takes {len(given)} inputs, not {len(columns)}")
        if given and self._batched():
            device = next((p.device for p in self._module.parameters()), "cpu")
            batch = [
                metaloom_metalearn.to_batch(column, type_, device)
                for column, type_ in zip(columns, given, strict=True)
            ]
            return self._on_batch(batch, want, device)
        rows = zip(*columns, strict=True) if given else [()]
        return tuple(self._one(row) for row in rows)

    def function(self) -> Callable[..., Any]:
        """The term in the hard engine, on hard values. It takes no support."""
        if self._function is None:
            self._function = Evaluator(self.resolver, self.limits).compile(self.term)
        return self._function

    def reason(self, row: Sequence[Any]) -> str:
        """Why there is no value for one input an argument; empty where the engine cannot tell."""
        if self._module is None:
            try:
                self._applied(row)
            except EvaluationError as error:
                return str(error)
        return ""

    def _one(self, row: Sequence[Any]) -> Any:
        try:
            return self._applied(row)
        except EvaluationError:
            return None

    def _applied(self, row: Sequence[Any]) -> Any:
        given, want = uncurried(self.type)
        inputs = [
            hard_value(value, type_, f"input {i + 1}")
            for i, (value, type_) in enumerate(zip(row, given, strict=True))
        ]
        effect = None if self.type == self.term_type else Effect.of(self.term_type)
        if effect is not None:
            return called_in_turn(self.function(), empty_value(effect.held), inputs)[0]
        output = self.function()(*inputs)
        return _unwrapped(output) if holds_tensors(want) else output

    def _batched(self) -> bool:
        """Whether the batched engine predicts: tensors take part, and every block has that form."""
        if self._module is not None:
            return True
        if not any(map(holds_tensors, (self.type, self.term_type))) and not self.resolver.parts:
            return False
        try:
            self._module = metaloom_metalearn.compile_term(
                self.term, self.resolver.type_of, self.resolver
            ).eval()
        except TypeMismatch:
            if self.support is not None or self.resolver.parts:
                raise
            return False
        return True

    def _on_batch(self, batch: list[Any], want: Type, device: Any) -> Values:
        if self.support is not None:
            examples = uncurried(self.term_type)[0][0]
            assert isinstance(examples, Constructed)
            inputs, outputs = examples.arguments
            held = metaloom_metalearn.to_support(self.support, inputs, outputs, device)
            batch.insert(0, held)
        return _without_gradient(self._module, batch, want)


def _without_gradient(module: Any, batch: Sequence[Any], want: Type) -> Values:
    import torch  # noqa: PLC0415 - it is there already, because the module is

    with torch.no_grad():
        output = module(*batch)
    return metaloom_metalearn.from_batch(output, want)


def _unwrapped(value: Any) -> Any:
    from metaloom_metalearn.engines.hard.items import unwrapped  # noqa: PLC0415 - loads torch

    return unwrapped(value)
