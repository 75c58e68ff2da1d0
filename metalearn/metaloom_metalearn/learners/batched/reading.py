"""A model read as a chain of operations, from a block's graph or from a traced `nn.Module`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from torch import fx, nn
from torch.nn import functional

from metaloom_metalearn.learners.unrolled import watched
from metaloom_registry.graph import Graph, GraphModule


@dataclass(frozen=True)
class Link:
    """One operation on the value of the one before it.

    op: as a block's graph names it, less its version.  names: its parameters.  buffers: those that
    it updates: mean, variance, count.
    """

    op: str
    names: tuple[str, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    buffers: tuple[str, ...] = ()


def links_of(model: nn.Module) -> list[Link] | None:
    """The model as a chain of operations that take one tensor; None where it is another thing.

    Hooks, parametrisations and branches make it another thing.  Tracing runs the model's `forward`
    once, on a copy and without numbers.
    """
    if any(map(watched, model.modules())):
        return None
    found = _of_graph(model) if isinstance(model, GraphModule) else _of_module(model)
    if found is None:
        return None
    used = [name for link in found for name in link.names]
    owned = dict(model.named_parameters())
    if len(used) != len(set(used)) or not set(used) <= set(owned):
        return None  # tied parameters
    return found


def _of_graph(model: GraphModule) -> list[Link] | None:
    graph: Graph = model.graph.value
    if len(graph.leaves) != 1 or not isinstance(graph.outputs, int):
        return None
    names = {1 + i: state.name for i, state in enumerate(graph.state)}
    kinds = {1 + i: state.kind for i, state in enumerate(graph.state)}
    counted = {update.state + 1 for update in graph.updates if update.only_in_training}
    found: list[Link] = []
    value, start = 0, 1 + len(graph.state)
    for node in graph.nodes:
        first, start = start, start + (3 if node.op == "batch_norm/1" else 1)
        if node.op == "add_scalar/1" and node.inputs[0] in counted and node.only_in_training:
            continue  # the count of batches
        others = [index for index in node.inputs[1:] if index is not None]
        if node.inputs[0] != value or node.sizes or not all(i in names for i in others):
            return None
        parameters = tuple(names[i] for i in others if kinds[i] == "parameter")
        buffers = tuple(names[i] for i in others if kinds[i] == "buffer")
        if len(parameters) + len(buffers) != len(others):
            return None
        arguments = dict(node.arguments)
        op = node.op.removesuffix("/1")
        if op == "batch_norm":
            train = arguments.pop("train")
            if not (model.training if train == "mode" else train):
                return None
            counter = buffers[0].rpartition(".")[0] + ".num_batches_tracked" if buffers else ""
            buffers = (*buffers, counter if counter in names.values() else "")
        if op == "batch_norm_alone":
            op = "batch_norm"
        if op == "flatten" and (arguments["start"], arguments["end"]) != (1, -1):
            return None
        if op == "dropout":
            return None
        found.append(Link(op, parameters, arguments, buffers))
        value = first
    return found if graph.outputs == value else None


def _of_module(model: nn.Module) -> list[Link] | None:
    parameters = {id(value): value for value in model.parameters()}
    try:
        # Its `forward` may count in a buffer, or keep what it is given: tracing runs a copy.
        traced = fx.symbolic_trace(deepcopy(model, parameters))
    except Exception:  # whatever a module does with what is no tensor
        return None
    modules = dict(model.named_modules())
    found: list[Link] = []
    value: fx.Node | None = None
    values: set[fx.Node] = set()
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            if value is not None:
                return None
            value = node
            values.add(node)
        elif node.op == "output":
            return found if node.args[0] is value else None
        elif _is_batch_size(node, values):
            continue
        else:
            link = _link(node, modules)
            if link is None or not node.args or node.args[0] is not value:
                return None
            found.append(link)
            value = node
            values.add(node)
    return None


def _is_batch_size(node: fx.Node, values: set[fx.Node]) -> bool:
    """`x.size(0)`, `x.shape[0]` and what they are made of, for any value of the chain."""
    name = getattr(node.target, "__name__", node.target)
    if name == "getitem":
        shape, index = node.args
        return bool(index == 0) and isinstance(shape, fx.Node) and _is_batch_size(shape, values)
    return (
        len(node.args) > 0
        and isinstance(node.args[0], fx.Node)
        and node.args[0] in values
        and (
            (name == "size" and node.args[1:] in ((0,), ()))
            or (name == "getattr" and node.args[1] == "shape")
        )
    )


CALLED = ("relu", "relu_", "tanh", "sigmoid", "sin", "silu", "gelu")
"""Functions of one number, as `torch`, `functional` and methods of tensors name them."""


def _link(node: fx.Node, modules: Mapping[str, nn.Module]) -> Link | None:
    if node.op == "call_module":
        module = modules[str(node.target)]
        read = MODULES.get(type(module))
        return read(str(node.target), module) if read is not None and len(node.args) == 1 else None
    if node.op in ("call_function", "call_method"):
        name = getattr(node.target, "__name__", str(node.target))
        rest, named = node.args[1:], dict(node.kwargs)
        named.pop("inplace", None)
        if name in CALLED and not rest and not named:
            return Link(name.removesuffix("_"))
        if name == "flatten" and (rest, named) in (((1,), {}), ((), {"start_dim": 1})):
            return Link("flatten")
        if name in ("view", "reshape") and not named and _keeps_batch(rest):
            return Link("view", arguments={"sizes": rest[1:]})
        if name == "mean" and _over_image(rest, named):
            return Link("image_mean")
        if name == "max_pool2d" or node.target is functional.max_pool2d:
            return _pool_call(rest, named)
    return None


def _keeps_batch(sizes: tuple[Any, ...]) -> bool:
    """Whether a view keeps the batch: `(-1, sizes)` or `(x.size(0), -1)`."""
    if len(sizes) < 2 or any(not isinstance(size, int) for size in sizes[1:]):
        return False
    return (sizes[0] == -1 and -1 not in sizes[1:]) or (
        isinstance(sizes[0], fx.Node) and sizes[1:] == (-1,)
    )


def _over_image(rest: tuple[Any, ...], named: Mapping[str, Any]) -> bool:
    given = {**({"dim": rest[0]} if rest else {}), **named}
    dim = given.pop("dim", None)
    return (
        len(rest) < 2
        and not given
        and isinstance(dim, (list, tuple))
        and tuple(dim)
        in (
            (2, 3),
            (-2, -1),
        )
    )


def _pool_call(rest: tuple[Any, ...], named: Mapping[str, Any]) -> Link | None:
    order = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = {**dict(zip(order, rest, strict=False)), **named}
    if given.pop("return_indices", False) or "kernel_size" not in given:
        return None
    return _pool(**given)


def _pool(
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Link:
    return Link(
        "max_pool2d",
        arguments={
            "kernel_size": _pair(kernel_size),
            "stride": _pair(stride or kernel_size),
            "padding": _pair(padding),
            "dilation": _pair(dilation),
            "ceil_mode": ceil_mode,
        },
    )


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _named(path: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{path}.{name}" if path else name for name in names)


def _convolution(path: str, module: nn.Module) -> Link | None:
    assert isinstance(module, nn.Conv2d)
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        return None
    return Link(
        "conv2d",
        _named(path, "weight", *(() if module.bias is None else ("bias",))),
        {
            "stride": module.stride,
            "padding": module.padding,
            "dilation": module.dilation,
            "groups": module.groups,
        },
    )


def _linear(path: str, module: nn.Module) -> Link:
    assert isinstance(module, nn.Linear)
    return Link("linear", _named(path, "weight", *(() if module.bias is None else ("bias",))))


def _batch_norm(path: str, module: nn.Module) -> Link | None:
    assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    if not (module.training or module.running_mean is None):
        return None
    names = _named(path, "weight", "bias") if module.affine else ()
    arguments: dict[str, Any] = {"eps": module.eps}
    if module.running_mean is None:
        return Link("batch_norm", names, arguments)
    if module.momentum is None:
        return None
    arguments["momentum"] = module.momentum
    buffers = _named(path, "running_mean", "running_var", "num_batches_tracked")
    return Link("batch_norm", names, arguments, buffers)


def _layer_norm(path: str, module: nn.Module) -> Link:
    assert isinstance(module, nn.LayerNorm)
    names = [n for n in ("weight", "bias") if getattr(module, n) is not None]
    arguments = {"shape": module.normalized_shape, "eps": module.eps}
    return Link("layer_norm", _named(path, *names), arguments)


def _gelu(path: str, module: nn.Module) -> Link:
    assert isinstance(module, nn.GELU)
    return Link("gelu", arguments={"approximate": module.approximate})


def _max_pool(path: str, module: nn.Module) -> Link | None:
    assert isinstance(module, nn.MaxPool2d)
    if module.return_indices:
        return None
    return _pool(
        module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
    )


def _flatten(path: str, module: nn.Module) -> Link | None:
    assert isinstance(module, nn.Flatten)
    return Link("flatten") if (module.start_dim, module.end_dim) == (1, -1) else None


def _plain(op: str) -> Callable[[str, nn.Module], Link]:
    return lambda path, module: Link(op)


MODULES: Mapping[type[nn.Module], Callable[[str, nn.Module], Link | None]] = {
    nn.Conv2d: _convolution,
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.LayerNorm: _layer_norm,
    nn.MaxPool2d: _max_pool,
    nn.Flatten: _flatten,
    nn.Identity: _plain("identity"),
    nn.ReLU: _plain("relu"),
    nn.Tanh: _plain("tanh"),
    nn.Sigmoid: _plain("sigmoid"),
    nn.SiLU: _plain("silu"),
    nn.GELU: _gelu,
}
"""Exactly these types: a subclass may compute anything."""
