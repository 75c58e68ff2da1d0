"""Checking a stranger's graph and weights without loading them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metaloom_registry.errors import TypeMismatch
from metaloom_registry.graph.checking import (
    Budget,
    Cost,
    check_graph,
    output_specs,
    sample_sizes,
)
from metaloom_registry.graph.document import BATCH, Graph, Leaf
from metaloom_registry.graph.reading import read_graph
from metaloom_registry.graph.values import Spec
from metaloom_registry.graph.weights import check_weights
from metaloom_registry.types import (
    Constructed,
    DimensionVariable,
    Tensor,
    Type,
    uncurried,
)


def validate_graph(
    graph: bytes, weights: bytes, signature: Type | None = None, budget: Budget | None = None
) -> Cost:
    """What a pass at batch 1 costs, everything about graph and weights having been checked.

    All but the numbers themselves: NaN is looked for when they are loaded.  With a signature the
    graph must take and give what it says (TypeMismatch).  Raises Refused, naming the part that
    breaks a rule.
    """
    document = read_graph(graph)
    cost = check_graph(document, budget)
    check_weights(document, weights)
    if signature is not None:
        check_signature(document, signature)
    return cost


def check_signature(graph: Graph, signature: Type) -> None:
    """Raise TypeMismatch unless the graph takes and gives what a function type says.

    Float tensors may be of any float dtype; a dimension variable of the type must be open in the
    graph.  Graphs that take dictionaries fit no type and are not checked against one.
    """
    if any(isinstance(tree, dict) for tree in graph.inputs) or isinstance(graph.outputs, dict):
        return
    arguments, result = uncurried(signature)
    given = _tensors(arguments)
    if len(given) != len(graph.leaves):
        raise TypeMismatch(
            f"{signature} takes {_count(given)}; the graph takes {_count(graph.leaves)}"
        )
    for wanted, leaf in zip(given, graph.leaves, strict=True):
        shape = (BATCH,) if wanted.kind == "label" else (BATCH, *_sizes(wanted))
        if leaf.shape != shape or not _dtype_fits(wanted, leaf.dtype):
            raise TypeMismatch(f"{signature} takes {wanted}; the graph takes {_text(leaf)}")
    sizes = sample_sizes(graph)[1]
    specs = output_specs(graph, sizes)
    wanted_outputs = _tensors((result,))
    if len(wanted_outputs) != len(specs) or isinstance(graph.outputs, tuple) != _is_tuple(result):
        raise TypeMismatch(
            f"{signature} gives {_count(wanted_outputs)}; the graph gives {_count(specs)}"
            + ("; two are written (A, B)" if len(specs) > 1 else "")
        )
    bound: dict[str, int] = dict(sizes)
    for wanted, spec in zip(wanted_outputs, specs, strict=True):
        _check_output(signature, wanted, spec, bound)


def _count(tensors: Sequence[object]) -> str:
    return "1 tensor" if len(tensors) == 1 else f"{len(tensors)} tensors"


def _check_output(signature: Type, wanted: Tensor, spec: Spec, bound: dict[str, int]) -> None:
    """Compare one output; a dimension variable that no input binds is bound here."""
    dimensions = () if wanted.kind == "label" else _sizes(wanted)
    fits = len(dimensions) == spec.rank - 1 and _dtype_fits(wanted, spec.dtype)
    if fits:
        for size, given in zip((BATCH, *dimensions), spec.shape, strict=True):
            fits &= (size if isinstance(size, int) else bound.setdefault(size, given)) == given
    if not fits:
        raise TypeMismatch(
            f"{signature} gives {wanted}; the graph gives {spec} at batch {bound[BATCH]}"
        )


def _tensors(types: tuple[Type, ...]) -> list[Tensor]:
    found: list[Tensor] = []
    for type_ in types:
        if isinstance(type_, Tensor):
            found.append(type_)
        elif _is_tuple(type_):
            found += _tensors(type_.arguments)  # type: ignore[union-attr]
        else:
            raise TypeMismatch(f"{type_} is not a tensor; graphs take and give tensors and tuples")
    return found


def _is_tuple(type_: Any) -> bool:
    return isinstance(type_, Constructed) and type_.name == "tuple"


def _sizes(type_: Tensor) -> tuple[int | str, ...]:
    return tuple(d.name if isinstance(d, DimensionVariable) else d for d in type_.dimensions)


def _dtype_fits(wanted: Tensor, dtype: str) -> bool:
    if wanted.dtype == "float32":
        return "float" in dtype
    return dtype == wanted.dtype


def _text(leaf: Leaf) -> str:
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
