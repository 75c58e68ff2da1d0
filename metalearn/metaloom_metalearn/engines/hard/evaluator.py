"""The hard engine: compiles a term once, into nested Python functions over an environment.

Values are int, bool, float, str, tuples for lists and tuples, a `FrozenDict` for a dictionary or
graph, a frozenset for a set, functions of one argument, and `Item`s for tensors.  Nothing is
generated as text, and nothing runs but the primitives that plugins declare and the graphs that the
registry loads.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from metaloom_metalearn.engines.hard.code import (
    Code,
    applied,
    called,
    chosen,
    constant,
    curried,
    variable,
)
from metaloom_metalearn.engines.hard.limits import Limits
from metaloom_metalearn.engines.hard.meter import Meter, meter
from metaloom_registry import (
    Apply,
    Arrow,
    Bound,
    Constructed,
    EvaluationError,
    Hole,
    Lambda,
    Let,
    Literal,
    Loaded,
    Primitive,
    Reference,
    Term,
    Use,
    spine,
)
from metaloom_registry.types import HOLDING

if TYPE_CHECKING:
    from metaloom_metalearn.engines.hard.blocks import Blocks


class Evaluator:
    """Evaluates terms whose blocks `resolve` finds; one for each thread.

    What a block compiles to is kept, and so are the outputs of trained blocks, by content.
    `limits` bound one evaluation each.
    """

    def __init__(
        self,
        resolve: Callable[[Reference], Loaded],
        limits: Limits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self._resolve = resolve
        self._meter: Meter = meter(self.limits, now)
        self._loaded: dict[Reference, Loaded] = {}
        self._values: dict[Reference, Any] = {}
        self._open: list[Reference] = []
        self._torch: Blocks | None = None

    def compile(self, term: Term) -> Callable[..., Any]:
        """The term as a function of its arguments, to be called many times.

        With no arguments it gives the term's value.  Arguments and results are plain values with
        tensors as `Item`s.  Calling it raises EvaluationError where there is no value; so does
        compiling a hole or a free variable, and NotFound comes from `resolve`.
        """
        body, arity = term, 0
        while isinstance(body, Lambda):
            body, arity = body.body, arity + 1
        run = self._safely_compiled(body, arity).run
        start = self._meter.start

        def call(*arguments: Any) -> Any:
            environment: Any = None
            if len(arguments) != arity:
                return apply_one_by_one(arguments)
            start()
            try:
                for argument in arguments:
                    environment = (argument, environment)
                return run(environment)
            except (RecursionError, MemoryError) as error:
                raise _too_large(error) from None

        def apply_one_by_one(arguments: Sequence[Any]) -> Any:
            result = self._safely_compiled(term, 0).run
            start()
            try:
                value = result(None)
                for argument in arguments:
                    value = value(argument)
                return value
            except (RecursionError, MemoryError) as error:
                raise _too_large(error) from None
            except TypeError as error:
                raise EvaluationError(
                    f"the term is given {len(arguments)} arguments, too many for it: {error}"
                ) from error

        return call

    def value(self, term: Term, *arguments: Any) -> Any:
        """The value of a term applied to arguments; tensors go in and come out as tensors.

        Raises EvaluationError where there is none.
        """
        compiled = self.compile(term)
        if self._torch is None and "torch" in sys.modules:
            self._blocks()
        if self._torch is None:
            return compiled(*arguments)
        return self._torch.unwrapped(compiled(*map(self._torch.wrapped, arguments)))

    def warm(self, reference: Reference, items: Sequence[Any]) -> None:
        """Run a trained block on many items in one batch, and keep what it gives.

        `items` are tensors or `Item`s.  Does nothing for a block that is not trained.
        """
        self._use(reference)
        if self._torch is not None:
            self._torch.warm(reference, items)

    def _safely_compiled(self, term: Term, scope: int) -> Code:
        try:
            return self._compiled(term, scope)
        except RecursionError:
            raise EvaluationError("the term nests too deeply; write it in smaller blocks") from None

    def _compiled(self, term: Term, scope: int) -> Code:
        """The code of a term with `scope` variables in scope."""
        if isinstance(term, Bound):
            return variable(term.index, scope)
        if isinstance(term, Literal):
            return constant(term.value)
        if isinstance(term, Lambda):
            return self._meter.function(self._compiled(term.body, scope + 1))
        if isinstance(term, Let):
            value = self._compiled(term.value, scope)
            return self._meter.entered(value, self._compiled(term.body, scope + 1))
        if isinstance(term, Hole):
            raise EvaluationError(f"the hole of type {term.type} is not filled, so has no value")
        if isinstance(term, Use):
            return constant(self._use(term.reference))
        return self._application(term, scope)

    def _application(self, term: Apply, scope: int) -> Code:
        head, arguments = spine(term)
        codes = [self._compiled(argument, scope) for argument in arguments]
        if isinstance(head, Lambda):
            code = self._meter.entered(codes.pop(0), self._compiled(head.body, scope + 1))
        elif isinstance(head, Use):
            primitive = self._load(head.reference)
            count = len(primitive.parameters) if isinstance(primitive, Primitive) else 0
            if isinstance(primitive, Primitive) and 0 < count <= len(codes):
                code = self._saturated(primitive, tuple(codes[:count]))
                codes = codes[count:]
            else:
                code = constant(self._use(head.reference))
        else:
            code = self._compiled(head, scope)
        for argument in codes:
            code = applied(code, argument)
        return code

    def _saturated(self, primitive: Primitive, arguments: tuple[Code, ...]) -> Code:
        if primitive.choose is not None:
            return chosen(primitive, arguments)
        code = called(primitive, self._scalar(primitive), arguments)
        return self._meter.sized(code) if _makes_items(primitive) else code

    def _load(self, reference: Reference) -> Loaded:
        if reference not in self._loaded:
            self._loaded[reference] = self._resolve(reference)
        return self._loaded[reference]

    def _use(self, reference: Reference) -> Any:
        """The value of a block: a function, or what a constant is."""
        if reference not in self._values:
            loaded = self._load(reference)
            if isinstance(loaded, Primitive):
                value = self._primitive(loaded)
            elif isinstance(loaded, Term):
                value = self._program(reference, loaded)
            else:
                value = self._blocks().function(reference, loaded)
            self._values[reference] = value
        return self._values[reference]

    def _primitive(self, primitive: Primitive) -> Any:
        scalar = self._scalar(primitive)
        if not primitive.parameters:
            return scalar()
        function = self._meter.counted(primitive, scalar, _makes_items(primitive))
        return curried(function, len(primitive.parameters))

    def _program(self, reference: Reference, term: Term) -> Any:
        if reference in self._open:
            raise EvaluationError(f"the program {reference} uses itself, so it has no value")
        self._open.append(reference)
        try:
            return self._compiled(term, 0).run(None)
        finally:
            self._open.pop()

    def _scalar(self, primitive: Primitive) -> Callable[..., Any]:
        if primitive.scalar is not None:
            return primitive.scalar
        scalar: Callable[..., Any] = self._blocks().scalar(primitive)
        return scalar

    def _blocks(self) -> Blocks:
        """What needs torch, imported when it is first needed: it costs a second."""
        if self._torch is None:
            self._torch = import_module("metaloom_metalearn.engines.hard.blocks").Blocks()
        return self._torch


def _makes_items(primitive: Primitive) -> bool:
    """Whether what the primitive returns is a text or holds items, and it may have made it."""
    type_ = primitive.signature
    for _ in primitive.parameters:
        type_ = type_.result if isinstance(type_, Arrow) else type_
    return isinstance(type_, Constructed) and type_.name in HOLDING


def _too_large(error: BaseException) -> EvaluationError:
    return EvaluationError(f"it nests too deeply or needs too much memory: {type(error).__name__}")
