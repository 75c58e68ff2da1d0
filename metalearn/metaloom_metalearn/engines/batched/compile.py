"""The batched engine: a term becomes an ordinary `nn.Module` that computes whole batches.

A term is compiled once into Python closures over batched values (see `values`): a block in it
becomes a submodule, shared by all its uses; `map` over a block is one call on the items of all
rows; a function that captures values of its surroundings has them repeated for the rows that it is
called on.  Nothing is captured that `torch.func.functional_call`, `vmap` or `deepcopy` could not
exchange: closures reach blocks through the module that runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from metaloom_metalearn.engines.batched.batch_code import (
    Closure,
    Code,
    Environment,
    Frame,
    Partial,
    applied,
    block,
    call,
    choice,
    constant,
    joined,
    variable,
)
from metaloom_metalearn.engines.batched.mode import Hard, Mode
from metaloom_metalearn.engines.batched.soft import SoftLabel
from metaloom_metalearn.engines.batched.values import BatchedValue, device_of, rows_of
from metaloom_registry import (
    Apply,
    Bound,
    Hole,
    Lambda,
    Let,
    Literal,
    Loaded,
    Primitive,
    Reference,
    Term,
    Type,
    TypeMismatch,
    Use,
    infer,
    spine,
    uncurried,
)
from metaloom_registry.graph import Argument, Call, Fused, GraphModule

MAX_NODES = 100_000


class TermModule(nn.Module):
    """A compiled term: `forward(*inputs)` applies it to batched values.

    `blocks` holds the trained blocks by position, `references` says which block each is.  In soft
    mode a label comes out as its logits [rows, k], so that losses can use cross entropy; an int
    as a `SoftInt`.
    """

    def __init__(
        self, term: Term, code: Code, blocks: Mapping[Reference, nn.Module], mode: Mode
    ) -> None:
        super().__init__()
        self.term = term
        self.mode = mode
        self.references = tuple(blocks)
        self.blocks = nn.ModuleList(blocks.values())
        self._code = code

    def forward(self, *inputs: BatchedValue) -> BatchedValue:
        rows = rows_of(inputs)
        blocks = cast("Sequence[nn.Module]", self.blocks)
        device = device_of(inputs) or next((p.device for p in self.parameters()), None)
        frame = Frame(1 if rows is None else rows, device or torch.device("cpu"), blocks)
        value = self._code((), frame)
        for one in inputs:
            value = value(one)
        return value.logits if isinstance(value, SoftLabel) else value

    def parts(self) -> dict[Reference, nn.Module]:
        """The trained blocks by reference."""
        return dict(zip(self.references, self.blocks, strict=True))


def compile_term(
    term: Term,
    type_of: Callable[[Reference], Type],
    resolve: Callable[[Reference], Loaded],
    mode: Mode = Hard(),  # noqa: B008 - a frozen value
) -> TermModule:
    """Compile a closed term to a module; its blocks are used as they are, not copied.

    `resolve` gives what a reference names, once for each: a module becomes a submodule, a program
    is compiled in place, a primitive is called in the form that `mode` chooses.  Raises
    TypeMismatch where the term has no type, a primitive lacks that form or the term has a hole.
    """
    infer(term, type_of)
    compiler = _Compiler(type_of, resolve, mode)
    code = compiler.code(term, _Scope())
    return TermModule(term, code, compiler.blocks, mode)


@dataclass(frozen=True)
class _Scope:
    """Which slot of the environment holds each variable, innermost last, and how many there are."""

    slots: tuple[int, ...] = ()
    width: int = 0

    def slot(self, index: int) -> int:
        if index >= len(self.slots):
            raise TypeMismatch(f"${index} is bound by nothing around it; close the term with lam")
        return self.slots[-1 - index]

    def extended(self) -> _Scope:
        return _Scope((*self.slots, self.width), self.width + 1)


class _Compiler:
    """Turns terms into code, and gathers the blocks that they use."""

    def __init__(
        self,
        type_of: Callable[[Reference], Type],
        resolve: Callable[[Reference], Loaded],
        mode: Mode,
    ) -> None:
        self.type_of = type_of
        self.resolve = resolve
        self.mode = mode
        self.blocks: dict[Reference, nn.Module] = {}
        self.loaded: dict[Reference, Loaded] = {}
        self.programs: dict[Reference, Code | None] = {}
        self.nodes = 0

    def code(self, term: Term, scope: _Scope) -> Code:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise TypeMismatch(f"the program has more than {MAX_NODES} nodes once expanded")
        if isinstance(term, Bound):
            return variable(scope.slot(term.index))
        if isinstance(term, Lambda):
            return self.function(term, scope)
        if isinstance(term, Apply):
            return self.application(term, scope)
        if isinstance(term, Let):
            value, body = self.code(term.value, scope), self.code(term.body, scope.extended())
            return lambda env, frame: body((*env, value(env, frame)), frame)
        if isinstance(term, Literal):
            literal, mode = term.value, self.mode
            if isinstance(literal, str):
                raise TypeMismatch(f"the text {literal[:40]!r} has no batched form")
            return lambda env, frame: mode.literal(literal, frame.rows, frame.device)
        if isinstance(term, Use):
            return self.use(term.reference)
        raise TypeMismatch(f"{_described(term)} has no value yet; fill it before compiling")

    def function(self, term: Lambda, scope: _Scope) -> Code:
        """A lambda captures the variables it uses, and no others."""
        used = sorted(index - 1 for index in free_indices(term.body) if index > 0)
        sources = tuple(scope.slot(index) for index in used)
        slots = [-1] * (used[-1] + 1 if used else 0)
        for place, index in enumerate(used):
            slots[-1 - index] = place
        body = self.code(term.body, _Scope((*slots, len(used)), len(used) + 1))

        def make(env: Environment, frame: Frame) -> Closure:
            return Closure(body, tuple(env[slot] for slot in sources), frame)

        return make

    def application(self, term: Apply, scope: _Scope) -> Code:
        head, given = spine(term)
        if (whole := self.composition(term, scope)) is not None:
            return whole
        arguments = [self.code(argument, scope) for argument in given]
        called = self.callee(head.reference) if isinstance(head, Use) else None
        if isinstance(head, Use) and called is not None and 0 < called[1] <= len(arguments):
            now, rest = arguments[: called[1]], arguments[called[1] :]
            choices = self.mode.choices(self.load(head.reference))
            function = choice(now, choices) if choices else call(called[0], now)
        else:
            function, rest = self.code(head, scope), arguments
        for argument in rest:
            function = applied(function, argument)
        return function

    def composition(self, term: Apply, scope: _Scope) -> Code | None:
        """Loaded graphs that feed one another, as one graph; None where there is one at most."""
        places: list[int] = []
        inputs: list[Code] = []

        def gather(term: Term) -> tuple[Argument, Code]:
            found = self.graph_call(term)
            if found is None:
                inputs.append(self.code(term, scope))
                return len(inputs) - 1, inputs[-1]
            place, given = found
            if place not in places:
                places.append(place)
            arguments, codes = zip(*map(gather, given), strict=True)
            return Call(places.index(place), arguments), call(block(place), list(codes))

        if (outer := self.graph_call(term)) is None or not any(map(self.graph_call, outer[1])):
            return None
        whole, nested = gather(term)
        return joined(Fused(cast(Call, whole)), places, inputs, nested)

    def graph_call(self, term: Term) -> tuple[int, tuple[Term, ...]] | None:
        """The place of a loaded graph and all of its arguments, where a term is such a call."""
        head, given = spine(term)
        if not (given and isinstance(head, Use)):
            return None
        if not isinstance(self.load(head.reference), GraphModule):
            return None
        _, arity = cast("tuple[object, int]", self.callee(head.reference))
        place = list(self.blocks).index(head.reference)
        return (place, given) if arity == len(given) else None

    def use(self, reference: Reference) -> Code:
        loaded = self.load(reference)
        called = self.callee(reference)
        if called is None:
            return self.program(reference, cast(Term, loaded))
        function, arity = called
        if arity == 0:
            return constant(function)

        def make(env: Environment, frame: Frame) -> Partial:
            return Partial(lambda *arguments: function(frame, *arguments), arity)

        return make

    def load(self, reference: Reference) -> Loaded:
        if reference not in self.loaded:
            self.loaded[reference] = self.resolve(reference)
        return self.loaded[reference]

    def callee(self, reference: Reference) -> tuple[Callable[..., BatchedValue], int] | None:
        """What takes arguments at once, after the frame, and how many; None for a program."""
        loaded = self.load(reference)
        if isinstance(loaded, Primitive):
            form = self.mode.form(loaded)
            return lambda frame, *arguments: form(*arguments), len(loaded.parameters)
        if isinstance(loaded, nn.Module):
            self.blocks.setdefault(reference, loaded)
            place = list(self.blocks).index(reference)
            return block(place), len(uncurried(self.type_of(reference))[0])
        return None

    def program(self, reference: Reference, term: Term) -> Code:
        if reference not in self.programs:
            self.programs[reference] = None
            self.programs[reference] = self.code(term, _Scope())
        code = self.programs[reference]
        if code is None:
            raise TypeMismatch(f"the program {reference} uses itself")
        return lambda env, frame: code((), frame)


def free_indices(term: Term) -> frozenset[int]:
    """The indices of variables that the term uses and does not bind."""
    if isinstance(term, Bound):
        return frozenset({term.index})
    if isinstance(term, Lambda):
        return frozenset(i - 1 for i in free_indices(term.body) if i > 0)
    if isinstance(term, Let):
        inner = frozenset(i - 1 for i in free_indices(term.body) if i > 0)
        return free_indices(term.value) | inner
    if isinstance(term, Apply):
        return free_indices(term.function) | free_indices(term.argument)
    return frozenset()


def _described(term: Term) -> str:
    return f"the hole of type {term.type}" if isinstance(term, Hole) else repr(term)
