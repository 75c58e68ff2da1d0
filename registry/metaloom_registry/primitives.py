"""A trusted function that an installed plugin ships, named and versioned: the primitive.

A primitive is declared, not stored: the registry keeps its name, version and type, so that
programs can refer to it; the code comes from the plugin alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from metaloom_registry.errors import NotFound, PluginError
from metaloom_registry.names import BlockName, Reference
from metaloom_registry.types import Type, parse_type, uncurried


@dataclass(frozen=True)
class Primitive:
    """One function of the language.

    `name` is `namespace/name`, `type` its type as text, `parameters` the names of its arguments:
    as many as it takes at once.

    `scalar(*arguments)` computes one value in plain Python: int, bool, float, str, tuples for lists
    and tuples, frozensets, a `FrozenDict` for a dictionary or graph, one-argument callables for
    functions (a function of two arguments returns a function).  It raises EvaluationError where it
    has no value.

    `batched(*arguments)` computes a whole batch with torch: tensors with a leading batch axis,
    `metaloom_metalearn.Ragged` for lists.  `soft` is the same, differentiable in integers and truth
    values, which it takes as distributions.

    `choose(first argument)` is set where the value is one of the arguments, which one the first
    alone decides: the index of that argument.  The hard engine then evaluates no other, as Python's
    `if`, `and` and `or` do.

    `kernel(memory, *arguments)` is the scalar form as a plain Python function that numba can
    compile, over words of memory; `metaloom_metalearn.search.enumeration.kernel.memory` says how.
    It has the same values, and fails on the same arguments.  Where it is deferred it is compiled
    when a search first needs it.

    `source` is a Python expression over the parameters, from which programs are printed, for
    example `[f(x) for x in xs]`; a function of two arguments is called as `f(a)(b)`.  `imports` are
    the import lines it needs.

    `examples` are pairs of a term in short names and the value it has, checked by the test suite.
    `cost` is its description length in nats beyond the grammar's, 0 by default.
    """

    name: str
    version: int
    type: str
    doc: str
    parameters: tuple[str, ...]
    scalar: Callable[..., Any] | None = None
    batched: Callable[..., Any] | None = None
    soft: Callable[..., Any] | None = None
    kernel: Callable[..., Any] | None = None
    choose: Callable[[Any], int] | None = None
    source: str = ""
    imports: tuple[str, ...] = ()
    examples: tuple[tuple[str, Any], ...] = ()
    cost: float = 0.0
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        arity = len(uncurried(self.signature)[0])
        if len(self.parameters) > arity:
            raise PluginError(
                f"the primitive {self.name} declares the parameters {', '.join(self.parameters)}, "
                f"but its type {self.type} takes {arity}"
            )
        if self.scalar is None and self.batched is None:
            raise PluginError(f"the primitive {self.name} has neither a scalar nor a batched form")

    @cached_property
    def signature(self) -> Type:
        return parse_type(self.type)

    @cached_property
    def reference(self) -> Reference:
        return Reference(BlockName.parse(self.name), self.version)

    @property
    def short(self) -> str:
        """The name without its namespace, as people write it in terms."""
        return self.reference.name.name if self.reference.name else self.name


@dataclass(frozen=True)
class PrimitiveTable:
    """The primitives at hand, by reference and by short name.

    A short name that two primitives share (other than two versions of one) names neither: such a
    name has to be written in full.  Of several versions, the short name means the newest.
    """

    primitives: tuple[Primitive, ...]
    _by_reference: Mapping[Reference, Primitive] = field(init=False, repr=False, compare=False)
    short_names: Mapping[str, Reference] = field(init=False, repr=False, compare=False)

    def __init__(self, primitives: Iterable[Primitive]) -> None:
        by_reference: dict[Reference, Primitive] = {}
        owners: dict[str, dict[str, Primitive]] = {}
        for primitive in primitives:
            other = by_reference.get(primitive.reference)
            if other is not None and other is not primitive:
                raise PluginError(
                    f"the primitive {primitive.reference} is declared twice; "
                    "give one of them another name or version"
                )
            by_reference[primitive.reference] = primitive
            newest = owners.setdefault(primitive.short, {})
            if primitive.name not in newest or newest[primitive.name].version < primitive.version:
                newest[primitive.name] = primitive
        object.__setattr__(self, "primitives", tuple(by_reference.values()))
        object.__setattr__(self, "_by_reference", by_reference)
        object.__setattr__(
            self,
            "short_names",
            {
                short: next(iter(named.values())).reference
                for short, named in owners.items()
                if len(named) == 1
            },
        )

    def __iter__(self) -> Iterator[Primitive]:
        return iter(self.primitives)

    @cached_property
    def shared_names(self) -> Mapping[str, tuple[Reference, ...]]:
        """The short names that mean several primitives, with the newest version of each."""
        newest: dict[str, dict[str, Primitive]] = {}
        for primitive in sorted(self.primitives, key=lambda one: (one.name, one.version)):
            if primitive.short not in self.short_names:
                newest.setdefault(primitive.short, {})[primitive.name] = primitive
        return {
            short: tuple(one.reference for one in named.values()) for short, named in newest.items()
        }

    def __len__(self) -> int:
        return len(self.primitives)

    def __contains__(self, reference: Reference) -> bool:
        return reference in self._by_reference

    def __getitem__(self, reference: Reference) -> Primitive:
        """Raises NotFound, with the remedy, where no plugin ships the primitive."""
        try:
            return self._by_reference[reference]
        except KeyError:
            raise NotFound(
                f"no installed plugin ships the primitive {reference}; "
                "`metaloom plugins` lists what is installed"
            ) from None
