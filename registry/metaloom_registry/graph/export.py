"""Making a block's graph from a live module. The publisher's side only."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from metaloom_registry.canonical import Json
from metaloom_registry.errors import Refused
from metaloom_registry.graph.agreement import Result, attempt
from metaloom_registry.graph.architecture import architecture
from metaloom_registry.graph.capture import capture
from metaloom_registry.graph.conversions import Conversion, Conversions
from metaloom_registry.graph.copying import copied
from metaloom_registry.graph.differential import agrees_on_one, compare, compare_passes
from metaloom_registry.graph.document import (
    BATCH,
    Dimension,
    Graph,
    Leaf,
    State,
    Tree,
    leaves,
    write_graph,
)
from metaloom_registry.graph.draft import dtype_name
from metaloom_registry.graph.examples import DEFAULT_SIZE, InputKind, example_inputs, input_trees
from metaloom_registry.graph.facts import PROBE_SEED, PROBES, measure, probe_inputs, probed
from metaloom_registry.graph.merging import merge
from metaloom_registry.graph.module import GraphModule, Scope, load_graph
from metaloom_registry.graph.values import STORED
from metaloom_registry.graph.weights import read_weights, write_weights
from metaloom_registry.types import Type, parse_type

CAPTURE_BATCH = 3
MAX_BATCH = 1 << 20


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """A module as data.

    graph: canonical JSON.  weights: safetensors.  facts: what was measured (see `measure`).
    """

    graph: bytes
    weights: bytes
    facts: Mapping[str, Json]


def export_module(
    module: nn.Module,
    signature: Type | str,
    *,
    seed: int = 0,
    example: tuple[Any, ...] | None = None,
    conversions: Conversions | None = None,
) -> ExportedGraph:
    """A module as graph, weights and measured facts, tested against the module itself.

    signature: the module's type; `A -> B -> C` is called with two tensors, `(A, B) -> C` with one
      tuple of two.  Each tensor has a batch axis in front of what the type says.
    seed: of the inputs the module is tested on.
    example: arguments to use in place of those made from the signature, for modules that take
      dictionaries or other dtypes; axis 0 of each tensor is the batch, all others are fixed.
    conversions: what was converted before.  A module that differs from one of them in the values of
      its tensors alone is neither traced nor tried again, except that graph and module have to
      agree, in both modes where code outside torch may branch on numbers; what the graph can do is
      what was found then.  What comes of it is, byte by byte, what would come of it without.

    The module itself is not touched.  Raises Refused, with reason and remedy, where the module
    uses an operation outside the table, branches on values, works for one batch size only, or
    where the graph does not do all that the module does.
    """
    type_ = parse_type(signature) if isinstance(signature, str) else signature
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(seed)
        original = _copied(module)
        trees = _trees(original, type_, example)
        if conversions is None:
            conversion, weights, outputs = _converted(original, trees, seed)
        else:
            conversion, weights, outputs = _by_key(module, original, trees, seed, conversions)
        facts = measure(conversion.graph, weights, trees, conversion.capabilities, outputs)
    return ExportedGraph(conversion.written, weights, facts)


_Converted: TypeAlias = tuple[Conversion, bytes, Sequence[Tensor | None]]
"""The conversion of a module, its weights, and what the graph gives for the probe inputs."""


def _copied(module: nn.Module) -> nn.Module:
    """A copy on the CPU, to be run and changed."""
    if isinstance(module, torch.jit.ScriptModule):
        raise Refused(
            "a scripted module cannot be followed by torch.export; publish the nn.Module that "
            "it was made of"
        )
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if nn.parameter.is_lazy(tensor):
            raise Refused(
                f"{name} of {type(module).__name__} has no shape yet; call the module once on an "
                "input, which tells lazy layers their sizes"
            )
    try:
        return copied(module).to("cpu")
    except Exception as error:
        raise Refused(
            f"{type(module).__name__} cannot be copied ({type(error).__name__}: {error}); the "
            "export works on a copy: let the module hold no tensors computed with gradients"
        ) from error


def _converted(original: nn.Module, trees: tuple[Tree[InputKind], ...], seed: int) -> _Converted:
    """A module traced and tried."""
    graph, tensors = to_graph(original, trees, seed)
    written, weights = write_graph(graph), write_weights(tensors)
    loaded = load_graph(written, weights)
    capabilities = compare(original, loaded, graph, trees, seed)
    outputs = _probed(loaded, trees)
    if isinstance(outputs, Exception):
        raise Refused(f"the module fails on {PROBES} items: {outputs}") from outputs
    return Conversion(graph, written, capabilities), weights, outputs


def _by_key(
    module: nn.Module,
    original: nn.Module,
    trees: tuple[Tree[InputKind], ...],
    seed: int,
    conversions: Conversions,
) -> _Converted:
    """The same, by what was converted before where that can be; and remembered where it cannot.

    original: a copy of the module.
    """
    key = _key(original, trees)
    known = None if key is None else conversions.find(key)
    if known is not None:
        found = _converted_again(module, original, known, trees, seed)
        if found is not None:
            return found
        original = _copied(module)
    found = _converted(original, trees, seed)
    if key is not None and _told_by_key(original, found[0]):
        conversions.keep(key, found[0])
    return found


def _converted_again(
    module: nn.Module,
    original: nn.Module,
    known: Conversion,
    trees: tuple[Tree[InputKind], ...],
    seed: int,
) -> _Converted | None:
    """The same by the graph of another module of its architecture; None where they disagree.

    original: a copy of the module, which is run and changed.
    """
    tensors = original.tensors() if isinstance(original, GraphModule) else _owned(original)[1]
    weights = write_weights(tensors)
    graph = known.graph
    loaded = GraphModule(graph, read_weights(graph, weights)).eval()
    try:
        if not known.items_alone:
            compare_passes(original, copied(loaded), graph, trees, seed)
        outputs = _probed(loaded, trees)
        if isinstance(outputs, Exception):
            return None
        modes = (False,) if _is_of_torch(module) else (False, True)
        if known.items_alone and not agrees_on_one(
            original, loaded, probe_inputs(graph, trees), outputs, modes
        ):  # perhaps by rounding alone, which is the same where as many items are computed
            compare_passes(_copied(module), loaded, graph, trees, seed)
    except Refused:
        return None
    return known, weights, outputs


def _is_of_torch(module: nn.Module) -> bool:
    """Whether all code of a module is that of torch's layers or of graphs: none asks for numbers.

    Which mode matters to such a module is known from its architecture.
    """
    kinds = {type(part) for part in module.modules()}
    others = kinds - {GraphModule, Scope}
    return all(kind.__module__.startswith("torch.nn.modules.") for kind in others)


def _probed(loaded: GraphModule, trees: tuple[Tree[InputKind], ...]) -> Result:
    """What a graph gives for the probe inputs, where it draws from a generator of its own."""
    graph = loaded.graph.value
    return attempt(lambda: probed(loaded, graph, trees), PROBE_SEED)


def _key(module: nn.Module, trees: tuple[Tree[InputKind], ...]) -> Hashable | None:
    """The architecture of a module that takes such inputs; None where that cannot be told."""
    known = architecture(module)
    return None if known is None else (known, tuple(_owned(module)[0]), repr(trees))


def _told_by_key(module: nn.Module, conversion: Conversion) -> bool:
    """Whether a graph holds no tensor that was written in the code of the module."""
    constants = any(state.kind == "constant" for state in conversion.graph.state)
    return isinstance(module, GraphModule) or not constants


def to_graph(
    module: nn.Module, trees: tuple[Tree[InputKind], ...], seed: int
) -> tuple[Graph, dict[str, Tensor]]:
    """The graph of a module and the tensors it owns; the module's mode is left changed.

    A loaded graph, adapted or not, is its own graph.
    """
    if isinstance(module, GraphModule):
        return module.graph.value, module.tensors()
    kinds_of_input: list[InputKind] = [kind for tree in trees for kind in leaves(tree)]
    named = {size for kind in kinds_of_input for size in kind.leaf.shape if isinstance(size, str)}
    dimensions = {
        name: Dimension(name, 1, MAX_BATCH) for name in sorted(named | {BATCH}, key=_batch_first)
    }
    sizes = {name: DEFAULT_SIZE + 8 * i for i, name in enumerate(dimensions)} | {
        BATCH: CAPTURE_BATCH
    }
    inputs = example_inputs(trees, sizes, seed)
    shapes = pytree.tree_map_only(InputKind, lambda kind: kind.leaf.shape, trees)
    state, owned = _owned(module)
    tensors = {name: tensor.clone() for name, tensor in owned.items()}
    kinds = {entry.name: _kind_of(entry, state) for entry in state}
    drafts, constants = [], {}
    for training in (True, False):
        draft, found, dimensions = capture(
            module.train(training), inputs, shapes, dimensions, kinds
        )
        drafts.append(draft)
        constants.update(found)
    state += [
        State(name, "constant", dtype_name(value.dtype), tuple(value.shape), persistent=False)
        for name, value in constants.items()
    ]
    tensors.update(constants)
    leaf_trees = pytree.tree_map_only(InputKind, lambda kind: kind.leaf, trees)
    graph = merge(drafts[0], drafts[1], tuple(dimensions.values()), leaf_trees, state)
    return graph, tensors


def _batch_first(name: str) -> tuple[bool, str]:
    return name != BATCH, name


def _trees(
    module: nn.Module, signature: Type, example: tuple[Any, ...] | None
) -> tuple[Tree[InputKind], ...]:
    if example is None:
        floating = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
        return input_trees(signature, dtype_name(floating or torch.float32))
    return tuple(_example_tree(item) for item in example)


def _example_tree(item: Any) -> Any:
    if isinstance(item, Tensor):
        if item.dim() == 0:
            raise Refused("an example input has no dimension; axis 0 of each is the batch")
        high = int(item.max()) + 1 if item.numel() and not item.is_floating_point() else 2
        leaf = Leaf(dtype_name(item.dtype), (BATCH, *item.shape[1:]))
        return InputKind(leaf, "vec", max(high, 1))
    if isinstance(item, tuple | list):
        return tuple(_example_tree(part) for part in item)
    if isinstance(item, dict):
        return {key: _example_tree(item[key]) for key in sorted(item)}
    raise Refused(f"an example input is {type(item).__name__}; tensors, tuples and dicts are taken")


def _owned(module: nn.Module) -> tuple[list[State], dict[str, Tensor]]:
    """The parameters and buffers in the order of the state dictionary, and their tensors."""
    state: list[State] = []
    tensors: dict[str, Tensor] = {}
    first: dict[int, str] = {}
    for prefix, owner in module.named_modules(remove_duplicate=False):
        here = f"{prefix}." if prefix else ""
        hidden = owner._non_persistent_buffers_set
        entries = [("parameter", *item) for item in owner._parameters.items()]
        entries += [("buffer", *item) for item in owner._buffers.items()]
        for kind, key, value in entries:
            if value is None:
                continue
            name = f"{here}{key}"
            if id(value) in first:
                state.append(State(name, "shared", shared_with=first[id(value)]))
                continue
            first[id(value)] = name
            dtype = dtype_name(value.dtype)
            if dtype not in STORED:
                raise Refused(f"{name} has the dtype {dtype}; these can be stored: {list(STORED)}")
            shape = tuple(value.shape)
            if kind == "parameter":
                state.append(State(name, kind, dtype, shape, requires_grad=value.requires_grad))
            else:
                state.append(State(name, kind, dtype, shape, persistent=key not in hidden))
            tensors[name] = value.detach()
    return state, tensors


def _kind_of(entry: State, state: Sequence[State]) -> str:
    if entry.kind != "shared":
        return entry.kind
    return next(other.kind for other in state if other.name == entry.shared_with)
