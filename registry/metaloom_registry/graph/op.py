"""One operation of the format: its name, what it takes, the shape it gives and what it computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metaloom_registry.graph.rules import Rule
from metaloom_registry.graph.values import Spec, Value

Flops = Callable[[Sequence[Any], Sequence[Value], Mapping[str, Any]], int]
"""`(input values, output values, arguments) -> floating point operations`, 2 per multiply-add."""


Examine = Callable[[Sequence[Any], Mapping[str, Any]], "tuple[tuple[Value, ...], Work]"]
"""`(input values, arguments) -> (values it gives, work)`, in one go."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one call costs.

    flops: floating point operations.  scratch: bytes it takes while it runs beside inputs and
    outputs.  inside: bytes of activations that it computes, keeps for gradients and does not give.
    calls: of operations.
    """

    flops: int
    scratch: int = 0
    inside: int = 0
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Op:
    """A versioned operation; a row of the table.

    inputs: the names of its tensors in order; `name?` may be absent, a last `name*` stands for one
      or more.
    outputs: their names; a last `name*` stands for as many as `count_outputs` says.
    arguments: name -> rule; every argument is always written.
    infer: `(*input specs, **arguments) -> value`, or a tuple of one value per output; it raises
      Refused where they do not fit, and touches no memory.
    run: the same call with tensors: what the op means.
    """

    name: str
    version: int
    doc: str
    inputs: tuple[str, ...]
    infer: Callable[..., Any]
    run: Callable[..., Any]
    arguments: Mapping[str, Rule] = field(default_factory=dict)
    outputs: tuple[str, ...] = ("y",)
    flops: Flops | None = None
    scratch: Flops | None = None
    """Bytes that running it takes beside its inputs and outputs; none where no rule is given."""
    since: int = 1
    """The first opset that has it."""
    examine: Examine | None = None
    """Values and work together, for an operation that finds out both at once."""
    count_outputs: Callable[[Mapping[str, Any]], int] | None = None

    @property
    def key(self) -> str:
        """How a graph names it: `conv2d/1`."""
        return f"{self.name}/{self.version}"

    @property
    def fewest(self) -> int:
        return sum(not name.endswith("?") for name in self.inputs)

    @property
    def variadic(self) -> bool:
        return bool(self.inputs) and self.inputs[-1].endswith("*")

    def optional(self, position: int) -> bool:
        """Whether the input at this position may be null."""
        return position < len(self.inputs) and self.inputs[position].endswith("?")

    def specs(self, inputs: Sequence[Any], arguments: Mapping[str, Any]) -> tuple[Value, ...]:
        """The values it gives. Raises Refused where inputs and arguments do not fit."""
        found = self.infer(*inputs, **arguments)
        return found if isinstance(found, tuple) else (found,)

    def gives(self, arguments: Mapping[str, Any]) -> int:
        """How many values it gives."""
        return self.count_outputs(arguments) if self.count_outputs else len(self.outputs)

    def examined(
        self, inputs: Sequence[Any], arguments: Mapping[str, Any]
    ) -> tuple[tuple[Value, ...], Work]:
        """The values it gives, and what it costs. Raises Refused where they do not fit."""
        if self.examine is not None:
            return self.examine(inputs, arguments)
        found = self.specs(inputs, arguments)
        scratch = self.scratch(inputs, found, arguments) if self.scratch else 0
        return found, Work(self.count(inputs, found, arguments), scratch)

    def count(
        self, inputs: Sequence[Any], outputs: Sequence[Value], arguments: Mapping[str, Any]
    ) -> int:
        """Floating point operations; one per element of the outputs where no rule is given."""
        if self.flops is not None:
            return self.flops(inputs, outputs, arguments)
        return sum(value.elements for value in outputs if isinstance(value, Spec))
