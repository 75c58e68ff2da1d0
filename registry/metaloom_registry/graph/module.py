"""A loaded graph: an ordinary `nn.Module` that interprets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn

from metaloom_registry.errors import Refused, TypeMismatch
from metaloom_registry.graph.checking import Budget, infer, sample_sizes
from metaloom_registry.graph.document import Graph, Leaf, Tree
from metaloom_registry.graph.program import Program
from metaloom_registry.graph.reading import read_graph
from metaloom_registry.graph.transforms import reaches, transforming
from metaloom_registry.graph.weights import read_weights


class Scope(nn.Module):
    """A place in the tree of names: the `encoder` of `encoder.conv.weight`."""

    def forward(self, *_: Any) -> Any:
        raise TypeMismatch("a part of a loaded graph cannot be called; call the whole")


class GraphModule(nn.Module):
    """A module that computes a graph, with the parameters, buffers and names of the original.

    It honours `train()` and `eval()`, and is differentiable twice, batched by `vmap` over its
    parameters, copied, compiled and moved like any module.  Buffers that a forward pass updates
    are written in place, except where a `torch.func` transform forbids it: where inside `vmap` or
    `grad` one of them came from outside the transform, all keep their values.

    `parameter_groups` are its parameters' names by `frozen`, `slow` and `fast`, for learners.
    """

    parameter_groups: Mapping[str, Sequence[str]] = MappingProxyType({})

    def __init__(self, graph: Graph, tensors: Mapping[str, Tensor]) -> None:
        """tensors: each tensor the graph owns, by name; they become the module's own."""
        super().__init__()
        self.graph = _Frozen(graph)
        self._programs: dict[bool, Program] = {}
        self._places: list[tuple[tuple[str, ...], str]] = []
        self._single = len(graph.inputs) == 1 and isinstance(graph.inputs[0], Leaf)
        scopes: dict[tuple[str, ...], nn.Module] = {(): self}
        placed: dict[str, Tensor] = {}
        for state in graph.state:
            *path, last = state.name.split(".")
            owner = _scope(scopes, tuple(path))
            _refuse_taken(owner, last, state.name)
            if state.kind == "shared":
                value = placed[state.shared_with]
            elif state.kind == "parameter":
                value = nn.Parameter(tensors[state.name], state.requires_grad)
            else:
                value = tensors[state.name]
            placed[state.name] = value
            if isinstance(value, nn.Parameter):
                owner.register_parameter(last, value)
            else:
                owner.register_buffer(last, value, persistent=state.persistent)
            self._places.append((tuple(path), last))

    def forward(self, *inputs: Any) -> Any:
        """One forward pass on batched inputs; TypeMismatch where their shapes do not fit."""
        graph = self.graph.value
        program = self._programs.get(self.training) or self._prepare(training=self.training)
        if self._single and len(inputs) == 1:
            values = list(inputs)
        else:
            values = flatten(graph.inputs, inputs)
        values.extend(self.state_values())
        return evaluate(graph, program, values)

    def state_values(self) -> list[Tensor]:
        """The tensors of the state in the order of the graph, as they are now."""
        return [getattr(self._at(path), name) for path, name in self._places]

    def _at(self, path: tuple[str, ...]) -> nn.Module:
        """The place of this very module, which may be a shallow copy of another."""
        place: Any = self
        for name in path:
            place = place._modules[name]
        return cast("nn.Module", place)

    def tensors(self) -> dict[str, Tensor]:
        """Each tensor the graph owns, by name; with the graph, all that the module is."""
        states = zip(self.graph.value.state, self._places, strict=True)
        return {
            state.name: getattr(self._at(path), name)
            for state, (path, name) in states
            if state.kind != "shared"
        }

    def train(self, mode: bool = True) -> GraphModule:
        """Set the mode, and make the steps of that mode ready."""
        super().train(mode)
        if mode not in self._programs:
            self._prepare(training=mode)
        return self

    def _prepare(self, *, training: bool) -> Program:
        graph = self.graph.value
        program = graph.once(("program", training), lambda: Program(graph, training=training))
        self._programs[training] = program
        return program

    def extra_repr(self) -> str:
        graph = self.graph.value
        return f"{len(graph.nodes)} nodes, opset {graph.opset}"


class _Frozen:
    """Holds a value that copies of the holder share."""

    def __init__(self, value: Graph) -> None:
        self.value = value

    def __deepcopy__(self, memo: Mapping[int, Any]) -> _Frozen:
        return self


def evaluate(graph: Graph, program: Program, values: list[Any]) -> Any:
    """One pass of a graph: `values` are its inputs and its state, which it may update in place."""
    first = len(graph.leaves)
    for leaf, value in zip(graph.leaves, values, strict=False):
        _check_input(leaf, value)
    before = [values[first + position] for position, _ in program.updates]
    given = values[:first]
    try:
        program.run(values)
    except RuntimeError as error:
        for leaf, value in zip(graph.leaves, given, strict=True):
            dtype = str(value.dtype).removeprefix("torch.")
            if dtype != leaf.dtype:
                raise TypeMismatch(
                    f"an input of {dtype} where {leaf.dtype} is wanted ({error}); convert it with "
                    f".to(torch.{leaf.dtype}), or the module before it is published with .float(): "
                    "tasks and programs hold float32"
                ) from error
        raise
    _write_back(before, [values[slot] for _, slot in program.updates])
    return _unflatten(graph.outputs, values)


def load_graph(
    graph: bytes, weights: bytes, budget: Budget | None = None, *, checked: bool = False
) -> GraphModule:
    """An ordinary module from a graph document and its safetensors weights, in eval mode.

    checked: these very bytes were accepted before, so costs and numbers are not looked at again.
    Runs no code of the publisher.  Raises Refused, naming the part, on anything outside the
    format: see `read_graph`, `infer` and `read_weights`.  `validate_graph` looks at more sizes.
    """
    document = read_graph(graph)
    if not checked:
        infer(document, sample_sizes(document)[0], budget or Budget())
    return GraphModule(document, read_weights(document, weights, checked=checked)).eval()


def _scope(scopes: dict[tuple[str, ...], nn.Module], path: tuple[str, ...]) -> nn.Module:
    """The module at a path, made with those above it where there is none yet."""
    found = scopes.get(path)
    if found is None:
        above = _scope(scopes, path[:-1])
        _refuse_taken(above, path[-1], ".".join(path))
        found = Scope()
        above.add_module(path[-1], found)
        scopes[path] = found
    return found


def _refuse_taken(owner: nn.Module, name: str, full: str) -> None:
    if hasattr(owner, name):
        raise Refused(f"state: {full!r} would hide {name!r} of the module itself; rename it")


def flatten(
    trees: Sequence[Tree[Leaf]], given: Sequence[Any], what: str = "the inputs"
) -> list[Any]:
    """The tensors of arguments in the order of the leaves; TypeMismatch where they misfit."""
    if not isinstance(given, tuple | list) or len(given) != len(trees):
        count = len(given) if isinstance(given, tuple | list) else type(given).__name__
        raise TypeMismatch(f"{what}: {len(trees)} are wanted, {count} given")
    found: list[Any] = []
    for tree, value in zip(trees, given, strict=True):
        if isinstance(tree, tuple):
            found += flatten(tree, value, f"{what}, a tuple")
        elif isinstance(tree, dict):
            if not isinstance(value, Mapping) or set(value) != set(tree):
                keys = sorted(value) if isinstance(value, Mapping) else type(value).__name__
                raise TypeMismatch(f"{what}: the keys {sorted(tree)} are wanted, {keys} given")
            order = sorted(tree)
            found += flatten([tree[k] for k in order], [value[k] for k in order], what)
        else:
            found.append(value)
    return found


def _check_input(leaf: Leaf, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise TypeMismatch(f"an input is a {type(value).__name__} where a tensor is wanted")
    shape = value.shape
    if len(shape) == len(leaf.shape):
        for size, wanted in zip(shape, leaf.shape, strict=True):
            if size != wanted and isinstance(wanted, int):
                break
        else:
            return
    raise TypeMismatch(
        f"an input of shape {list(shape)} where [{', '.join(map(str, leaf.shape))}] is wanted"
    )


def _write_back(buffers: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Give buffers their new values, unless one lives in a transform its buffer is outside of."""
    if not buffers or (transforming() and not all(map(reaches, values, buffers))):
        return
    with torch.no_grad():
        for buffer, value in zip(buffers, values, strict=True):
            buffer.copy_(value)


def _unflatten(tree: Tree[int], values: Sequence[Any]) -> Any:
    if isinstance(tree, int):
        return values[tree]
    if isinstance(tree, tuple):
        return tuple(_unflatten(item, values) for item in tree)
    return {key: _unflatten(item, values) for key, item in tree.items()}
