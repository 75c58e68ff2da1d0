"""A loaded graph as torch alone has it: an exported program, and a module without our classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.utils import _pytree as pytree

from metaloom_registry.errors import Refused
from metaloom_registry.graph.copying import copied
from metaloom_registry.graph.document import Dimension, Graph, Leaf, Tree
from metaloom_registry.graph.examples import InputKind, example_inputs
from metaloom_registry.graph.module import GraphModule

TRACED_SIZE = 3
"""How many multiples of what it has to be a multiple of an open dimension has while tracing."""


def exported_program(module: GraphModule, *, training: bool = False) -> ExportedProgram:
    """The graph as `torch.export` has it, every open dimension left open.

    It computes in one mode: with `training`, dropout drops and batch norm updates its statistics.
    The module itself is not changed.  Raises Refused where torch cannot trace it for all sizes.
    """
    graph = module.graph.value
    traced = copied(module).to("cpu").train(training)
    inputs = traced_inputs(graph, TRACED_SIZE)
    try:
        with torch.random.fork_rng(devices=[]):
            program = torch.export.export(traced, inputs, dynamic_shapes=(_open_shapes(graph),))
            if any(training or not update.only_in_training for update in graph.updates):
                program = program.run_decompositions({})  # as it is, torch could not load it again
    except Exception as error:
        raise Refused(
            f"torch.export cannot trace this graph for all of its sizes: "
            f"{type(error).__name__}: {str(error)[:300]}; export it as a portable folder instead"
        ) from error
    _forget_where(program)
    return program


def plain_module(module: GraphModule, *, training: bool = False) -> nn.Module:
    """A module of torch's own operations, with the same state names; it needs torch alone.

    It is a `torch.fx.GraphModule`: it prints as Python (`.code`), is copied, trained and edited
    like any, and computes in the mode it was made for, whatever `train()` says.  The tensors are
    its own.  `torch.save` takes it whole, except in training mode, where torch would load another
    module than was saved: save its state dictionary.  Raises Refused as `exported_program`.
    """
    plain = unlocked(exported_program(module, training=training))
    if training:
        type(plain).__reduce_ex__ = _refuse_saving  # type: ignore[assignment]
    return plain


def _refuse_saving(module: nn.Module, protocol: object) -> tuple[Any, ...]:
    """torch.fx saves code and traces it anew on loading, which folds buffers into constants."""
    raise Refused(
        "torch cannot save a traced module that updates its buffers; save its state_dict(), or the "
        "block itself with `metaloom export`"
    )


def unlocked(program: ExportedProgram) -> nn.Module:
    """The program as a plain graph module, whose `train()` and `eval()` may be called.

    torch's own form of it holds functions that keep it from being saved, and refuses `train()`.
    """
    stateful = program.module(check_guards=False)
    stateful.graph._tracer_cls = None  # a tracer of torch's that a saved module cannot be read with
    plain = torch.fx.GraphModule(stateful, stateful.graph)
    for path, owner in stateful.named_modules(remove_duplicate=False):
        held = {**owner._parameters, **owner._buffers}
        if any(tensor is not None for tensor in held.values()):
            _take_state(owner, _place(plain, path))
    return plain


def _take_state(owner: nn.Module, place: nn.Module) -> None:
    """Give a module the parameters and buffers of another, used by its graph or not."""
    for name, parameter in owner._parameters.items():
        place._parameters[name] = parameter
    for name, buffer in owner._buffers.items():
        place._buffers[name] = buffer
    place._non_persistent_buffers_set |= owner._non_persistent_buffers_set


def _place(root: nn.Module, path: str) -> nn.Module:
    """The module under a dotted path, made where there is none."""
    for name in path.split(".") if path else ():
        if name not in root._modules:
            root.add_module(name, nn.Module())
        below = root._modules[name]
        assert below is not None
        root = below
    return root


def _forget_where(program: ExportedProgram) -> None:
    """Take out of a program the paths of the files that were running when it was traced."""
    for part in program.graph_module.modules():
        if isinstance(part, torch.fx.GraphModule):
            for node in part.graph.nodes:
                node.meta.pop("stack_trace", None)


def traced_inputs(graph: Graph, multiples: int) -> tuple[Any, ...]:
    """Inputs for a graph whose open dimensions have so many multiples, or the least they may."""
    sizes = {d.name: max(d.low, min(d.high, d.multiple * multiples)) for d in graph.dimensions}
    return example_inputs(_kinds(graph.inputs), sizes, seed=0)


def _kinds(inputs: tuple[Tree[Leaf], ...]) -> Any:
    return pytree.tree_map_only(Leaf, lambda leaf: InputKind(leaf, "vec"), inputs)


def _open_shapes(graph: Graph) -> Any:
    """Which axis of which input is which open dimension, as `torch.export` wants it told."""
    dimensions = {d.name: _dimension(d) for d in graph.dimensions}

    def of(leaf: Leaf) -> dict[int, Any]:
        return {i: dimensions[s] for i, s in enumerate(leaf.shape) if isinstance(s, str)}

    return pytree.tree_map_only(Leaf, of, graph.inputs)


def _dimension(dimension: Dimension) -> Any:
    if dimension.multiple == 1:
        return Dim(dimension.name, min=dimension.low, max=dimension.high)
    times = dimension.multiple
    return times * Dim(dimension.name, min=-(-dimension.low // times), max=dimension.high // times)
