"""Facts measured again: does a manifest say of a graph what the graph's own files give?

A stranger's manifest may claim anything.  What can be measured again is: counts, cost, groups, the
fingerprint and, where that is asked for, capabilities.  What was seen in training, the statistics
of the inputs and whatever else a publisher says are claims, and stay claims.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from metaloom_registry.canonical import Json
from metaloom_registry.errors import MetaloomError, Refused, WrongFact
from metaloom_registry.graph.checking import Budget, infer
from metaloom_registry.graph.copying import copied
from metaloom_registry.graph.differential import compare
from metaloom_registry.graph.document import Graph, Leaf, Tree
from metaloom_registry.graph.examples import InputKind, input_trees
from metaloom_registry.graph.facts import (
    FINGERPRINT_LENGTH,
    PROBE,
    PROBES,
    cost_at,
    counts,
    fingerprint,
    probe_sizes,
    probed,
)
from metaloom_registry.graph.module import GraphModule, load_graph
from metaloom_registry.graph.reading import read_graph
from metaloom_registry.groups import GROUPS
from metaloom_registry.types import Type

PROBES_APART = 2
"""How many of the 16 probes may differ: an argmax may fall otherwise by rounding elsewhere."""

COST_WITHIN = {"flops": 2, "peak_bytes": 4, "activation_bytes": 4}
"""By what factor a claimed cost may differ: what an operation counts for gets more exact."""

COST_WANTED = "an object with flops and bytes `at` sizes that the open dimensions can have"

NEAR = 0.03
"""How far numbers of a fingerprint may be apart, of the larger of them and of their spread."""


def check_counts(facts: Mapping[str, Json], graph: Graph, weights: bytes) -> tuple[str, ...]:
    """The facts that hold of those that need no computing: counts, cost and groups.

    Raises WrongFact, naming the fact, where one does not hold.
    """
    found = []
    for name, value in counts(graph, weights).items():
        if name in facts:
            _require(name, facts[name], value)
            found.append(name)
    if "cost" in facts:
        _check_cost(facts["cost"], graph)
        found.append("cost")
    if "groups" in facts:
        _check_groups(facts["groups"], graph)
        found.append("groups")
    return tuple(found)


def check_facts(
    facts: Mapping[str, Json],
    graph: bytes,
    weights: bytes,
    signature: Type,
    *,
    capabilities: bool = False,
    budget: Budget | None = None,
    fingerprint: Json = None,
) -> tuple[str, ...]:
    """The names of the facts that were measured again and hold.

    capabilities: whether to try those too that are claimed, which takes seconds.  A fingerprint
    whose 16 probes cost more than the budget is left out.  fingerprint: the one that was measured
    of these very files before; where that is claimed, they are not loaded again.  Raises WrongFact,
    naming the fact, what is claimed and what was found.
    """
    document = read_graph(graph)
    found = list(check_counts(facts, document, weights))
    if not capabilities and fingerprint is not None and facts.get("fingerprint") == fingerprint:
        return (*found, "fingerprint")
    module = load_graph(graph, weights)
    if "fingerprint" in facts and _affordable(document, budget or Budget()):
        _check_fingerprint(facts["fingerprint"], module, document, signature)
        found.append("fingerprint")
    if capabilities and "capabilities" in facts:
        _check_capabilities(facts["capabilities"], module, document, facts, signature)
        found.append("capabilities")
    return tuple(found)


def _require(name: str, claimed: Any, measured: Any) -> None:
    if claimed != measured:
        raise WrongFact(
            f"the fact {name!r} says {_said(claimed)}, but the block's files give "
            f"{_said(measured)}; do not trust this manifest: publish the block again"
        )


def _said(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _malformed(name: str, wanted: str) -> WrongFact:
    return WrongFact(f"the fact {name!r} is not {wanted}; publish the block again")


def _sizes(claimed: Any, graph: Graph) -> dict[str, int]:
    """The sizes a cost is claimed at, each within its dimension's bounds."""
    sizes = claimed.get("at") if isinstance(claimed, Mapping) else None
    wanted = COST_WANTED
    if not isinstance(sizes, Mapping) or set(sizes) != {d.name for d in graph.dimensions}:
        raise _malformed("cost", wanted)
    for dimension in graph.dimensions:
        size = sizes[dimension.name]
        if isinstance(size, bool) or not isinstance(size, int):
            raise _malformed("cost", wanted)
        if not dimension.low <= size <= dimension.high or size % dimension.multiple:
            raise _malformed("cost", wanted)
    return dict(sizes)


def _check_cost(claimed: Any, graph: Graph) -> None:
    counted = cost_at(graph, _sizes(claimed, graph))
    for name, times in COST_WITHIN.items():
        one, other = claimed.get(name), counted[name]
        if isinstance(one, bool) or not isinstance(one, int) or not isinstance(other, int):
            raise _malformed("cost", COST_WANTED)
        if not (one <= times * other and other <= times * one):
            _require("cost", claimed, counted)


def _check_groups(claimed: Any, graph: Graph) -> None:
    wanted = f"an object of sorted names of parameters, by {', '.join(GROUPS)}, none twice"
    if not isinstance(claimed, Mapping) or not set(claimed) <= set(GROUPS):
        raise _malformed("groups", wanted)
    parameters = {state.name for state in graph.state if state.kind == "parameter"}
    named: list[str] = []
    for names in claimed.values():
        if not isinstance(names, Sequence) or isinstance(names, str):
            raise _malformed("groups", wanted)
        if not all(isinstance(name, str) for name in names) or list(names) != sorted(names):
            raise _malformed("groups", wanted)
        named += names
    if len(set(named)) < len(named):
        raise _malformed("groups", wanted)
    if unknown := sorted(set(named) - parameters):
        raise WrongFact(
            f"the fact 'groups' names {unknown[0][:80]!r}, which is no parameter of the block; "
            "publish the block again"
        )


def _affordable(graph: Graph, budget: Budget) -> bool:
    try:
        infer(graph, probe_sizes(graph), budget)
    except Refused:
        return False
    return True


def _check_fingerprint(claimed: Any, module: GraphModule, graph: Graph, signature: Type) -> None:
    wanted = f"an object with the probe {PROBE!r} and {FINGERPRINT_LENGTH} numbers, or null"
    if not isinstance(claimed, Mapping) or claimed.get("probe") != PROBE:
        raise _malformed("fingerprint", wanted)
    values = claimed.get("values")
    if values is not None and (
        not isinstance(values, Sequence)
        or len(values) != FINGERPRINT_LENGTH
        or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values)
    ):
        raise _malformed("fingerprint", wanted)
    trees = _trees(claimed.get("inputs"), graph, signature)
    measured = []
    with torch.random.fork_rng(devices=[]):
        for seed in (0, 1):
            torch.manual_seed(seed)
            try:
                measured.append(fingerprint(probed(copied(module), graph, trees)))
            except MetaloomError:
                raise
            except (RuntimeError, IndexError, ValueError, TypeError) as error:
                raise WrongFact(
                    "the fact 'fingerprint' says what the block does with probe inputs, but it "
                    f"fails on them ({type(error).__name__}: {str(error)[:200]}); publish the "
                    "block again"
                ) from None
    if (values is None) != (measured[0] is None):
        raise WrongFact(
            f"the fact 'fingerprint' {'has no numbers' if values is None else 'has numbers'}, and "
            f"the block's outputs {'are' if measured[0] is not None else 'are not'} finite; "
            "publish the block again"
        )
    if values is None or measured[0] is None or measured[1] is None:
        return
    if not _near(measured[0], measured[1]):
        return  # the block draws random numbers, so it has no fingerprint to be held to
    if not _near([float(v) for v in values], measured[0]):
        raise WrongFact(
            "the fact 'fingerprint' is that of a block that behaves otherwise: measured again, "
            f"it differs by {_distance([float(v) for v in values], measured[0]):.3g} where its "
            f"numbers are {_distance(measured[0], [0.0] * FINGERPRINT_LENGTH):.3g}; do not trust "
            "this manifest: publish the block again"
        )


def _near(claimed: Sequence[float], measured: Sequence[float]) -> bool:
    one = torch.tensor(claimed, dtype=torch.float64).view(PROBES, -1)
    other = torch.tensor(measured, dtype=torch.float64).view(PROBES, -1)
    spread = float(other.pow(2).mean().sqrt())
    apart = (one - other).abs() > NEAR * (torch.maximum(one.abs(), other.abs()) + spread) + 1e-6
    return int(apart.any(1).sum()) <= PROBES_APART


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    a, b = torch.tensor(one, dtype=torch.float64), torch.tensor(other, dtype=torch.float64)
    return float((a - b).norm())


def _trees(described: Any, graph: Graph, signature: Type) -> tuple[Tree[InputKind], ...]:
    """The inputs of the graph with what their numbers are like, as the fact says or the type."""
    if described is None:
        floating = next((s.dtype for s in graph.state if s.kind == "parameter"), "float32")
        return input_trees(signature, floating)
    wanted = "with a kind and a count of classes for each input"
    if not isinstance(described, Sequence) or len(described) != len(graph.leaves):
        raise _malformed("fingerprint", wanted)
    for item in described:
        if not isinstance(item, Mapping) or set(item) != {"kind", "classes"}:
            raise _malformed("fingerprint", wanted)
        classes = item["classes"]
        if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
            raise _malformed("fingerprint", wanted)
        if not isinstance(item["kind"], str):
            raise _malformed("fingerprint", wanted)
    items = iter(described)
    return tuple(_tree(tree, items) for tree in graph.inputs)


def _tree(tree: Tree[Leaf], described: Iterator[Mapping[str, Any]]) -> Any:
    if isinstance(tree, tuple):
        return tuple(_tree(item, described) for item in tree)
    if isinstance(tree, dict):
        return {key: _tree(tree[key], described) for key in sorted(tree)}
    item = next(described)
    return InputKind(tree, item["kind"], item["classes"])


def _check_capabilities(
    claimed: Any, module: nn.Module, graph: Graph, facts: Mapping[str, Json], signature: Type
) -> None:
    """Try what is claimed; what is not claimed may be there all the same."""
    if not isinstance(claimed, Mapping) or not all(isinstance(v, bool) for v in claimed.values()):
        raise _malformed("capabilities", "an object of truth values")
    told = facts.get("fingerprint")
    described = told.get("inputs") if isinstance(told, Mapping) else None
    trees = _trees(described, graph, signature)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        found = compare(module, copied(module), graph, trees, 0)
    for name, holds in claimed.items():
        if holds and not found.get(name, False):
            raise WrongFact(
                f"the fact 'capabilities' claims {name[:40]!r}, which the block does not have; "
                "publish the block again"
            )
