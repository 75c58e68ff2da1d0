"""A module's forward pass as a draft of our ops, through torch.export.

The publisher's side only.
"""

from __future__ import annotations

import inspect
import io
import logging
import operator
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from typing import Any, TextIO

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from metaloom_registry.errors import MetaloomError, Refused
from metaloom_registry.graph.aten import Translation, integer_call, translations
from metaloom_registry.graph.document import BATCH, Dimension
from metaloom_registry.graph.draft import Draft, Handle, same_memory, tensor_like

TRACERS = ("torch._subclasses.fake_tensor", "torch.fx.experimental.symbolic_shapes")
"""The loggers in which torch tells at length of what cannot be traced."""


def capture(
    module: nn.Module,
    inputs: tuple[Any, ...],
    shapes: tuple[Any, ...],
    dimensions: Mapping[str, Dimension],
    state: Mapping[str, str],
) -> tuple[Draft, dict[str, torch.Tensor], dict[str, Dimension]]:
    """The module in its present mode, the tensors written in its code, and the open dimensions.

    inputs: example arguments.  shapes: for each the tree of its symbolic shapes.  state: the name
    of each tensor in the module -> its kind.  Raises Refused with the reason.
    """
    program = exported(module, inputs, shapes, dimensions)
    draft, constants = Draft(), dict[str, torch.Tensor]()
    env: dict[Any, Any] = {}
    _place_inputs(program, draft, env, constants, state)
    table = translations(torch.__version__)
    later = _later_uses(program)
    for position, node in enumerate(program.graph.nodes):
        if node.op == "call_function":
            try:
                env[node] = _call(draft, node, env, table, later, position)
            except Refused as error:
                raise Refused(f"{_where(node)}: {error}") from None
        elif node.op == "output":
            flat = [_looked_up(item, env, draft) for item in node.args[0]]
            draft.outputs = _outputs(program, flat)
        elif node.op != "placeholder":
            raise Refused(
                "a part of forward runs under torch.no_grad, autocast or a control-flow operator; "
                "write it without, and stop gradients with detach()"
            )
    return draft, constants, _ranges(program, draft, shapes, dimensions)


def _ranges(
    program: ExportedProgram,
    draft: Draft,
    shapes: tuple[Any, ...],
    dimensions: Mapping[str, Dimension],
) -> dict[str, Dimension]:
    """The dimensions with the bounds torch found. Raises Refused where one is not open at all."""
    found = dict(dimensions)
    for handle, shape in zip(draft.inputs, _shape_leaves(shapes), strict=True):
        for size, name in zip(handle.fake.shape, shape, strict=True):
            if not isinstance(name, str):
                continue
            if isinstance(size, int):
                raise Refused(_one_size(name, f"{name} = {size}"))
            bounds = program.range_constraints.get(size.node.expr)
            before = found[name]
            if bounds is not None and name != BATCH:
                low = max(before.low, int(bounds.lower))
                high = before.high if bounds.upper > before.high else int(bounds.upper)
                found[name] = Dimension(name, low, high, before.multiple)
    return found


def _shape_leaves(shape: Any) -> list[tuple[int | str, ...]]:
    if isinstance(shape, dict):
        return [leaf for key in sorted(shape) for leaf in _shape_leaves(shape[key])]
    if isinstance(shape, tuple) and all(isinstance(item, int | str) for item in shape):
        return [shape]
    return [leaf for item in shape for leaf in _shape_leaves(item)]


def exported(
    module: nn.Module,
    inputs: tuple[Any, ...],
    shapes: tuple[Any, ...],
    dimensions: Mapping[str, Dimension],
) -> ExportedProgram:
    """What torch.export makes of the module. Raises Refused with the reason."""
    dims: dict[str, Any] = dict.fromkeys(dimensions, Dim.AUTO)
    batch = dimensions[BATCH]
    dims[BATCH] = Dim(BATCH, min=batch.low, max=batch.high)
    dynamic = tuple(_dynamic(shape, dims) for shape in shapes)
    parameters = inspect.signature(module.forward).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        named = [p for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
        dynamic = (*dynamic[: len(named)], dynamic[len(named) :])
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings(), _unlogged(*TRACERS), _unprinted(), _Symbolic():
            warnings.simplefilter("ignore")
            return torch.export.export(module, inputs, dynamic_shapes=dynamic, strict=False)
    except MetaloomError:
        raise
    except Exception as error:
        raise _export_failure(module, shapes, error) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def _unlogged(*names: str) -> Iterator[None]:
    """Keep loggers of torch silent: what they have to say is in the error that follows."""
    loggers = [logging.getLogger(name) for name in names]

    def nothing(_: logging.LogRecord) -> bool:
        return False

    for logger in loggers:
        logger.addFilter(nothing)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(nothing)


class _WithoutGraphs(io.TextIOBase):
    """Passes on what is printed, but for the half-made graph of an export that failed."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._dropped = False

    def write(self, text: str) -> int:
        graph = text.lstrip().startswith(("def forward(self", "class "))
        ends = self._dropped and text == "\n"
        self._dropped = graph
        return len(text) if graph or ends else self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()


@contextmanager
def _unprinted() -> Iterator[None]:
    """Keep the graph that torch.export prints before it fails off the terminal."""
    with redirect_stderr(_WithoutGraphs(sys.stderr)):
        yield


class _Symbolic(TorchFunctionMode):
    """Calls the few functions whose kernel is chosen by the batch size so that it is not."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.cdist:
            return _distances(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _distances(x1: Any, x2: Any, p: float = 2.0, compute_mode: Any = None) -> Any:
    return torch.cdist(x1, x2, p, "donot_use_mm_for_euclid_dist")


def _dynamic(shape: Any, dims: Mapping[str, Any]) -> Any:
    """torch.export's description of the open dimensions of one input tree."""
    if isinstance(shape, dict):
        return {key: _dynamic(item, dims) for key, item in shape.items()}
    if isinstance(shape, tuple) and all(isinstance(item, int | str) for item in shape):
        return {i: dims[size] for i, size in enumerate(shape) if isinstance(size, str)}
    return tuple(_dynamic(item, dims) for item in shape)


def _export_failure(module: nn.Module, shapes: tuple[Any, ...], error: Exception) -> Refused:
    text = str(error)
    name = type(module).__name__
    if "specialized" in text or "Constraints violated" in text:
        return Refused(_one_size(BATCH, f"torch.export says: {_first(text)}"))
    if "data-dependent" in text or "GuardOnDataDependent" in type(error).__name__:
        return Refused(
            f"{name} branches on the values of tensors, which a graph cannot; use torch.where. "
            f"torch.export says: {_first(text)}"
        )
    given = ", ".join(map(_written, shapes))
    return Refused(
        f"{name} cannot be captured by torch.export ({type(error).__name__}: {_first(text)}); "
        f"its forward must take what the signature says, {given}, and be made of torch "
        "operations on that, on parameters and on buffers"
        + ("; a forward of two tensors has the type A -> B -> C" if _misses(error) else "")
    )


def _misses(error: Exception) -> bool:
    """Whether a forward was called with too few or too many arguments."""
    return isinstance(error, TypeError) and "argument" in str(error)


def _written(shape: Any) -> str:
    """A tree of shapes for people: `[B, 8]`, `([B, 8], [B, 2])`."""
    if isinstance(shape, dict):
        return f"{{{', '.join(f'{key}: {_written(item)}' for key, item in shape.items())}}}"
    if all(isinstance(item, int | str) for item in shape):
        return f"[{', '.join(map(str, shape))}]"
    return f"({', '.join(map(_written, shape))})"


def _one_size(dimension: str, reason: str) -> str:
    what = "batch size" if dimension == BATCH else f"size of {dimension}"
    return (
        f"the module works for one {what} only, because of a loop over it, a fixed size in a "
        f"reshape or a branch on it; use x.shape or -1 and batched operations. ({reason})"
    )


def _first(text: str) -> str:
    text = text.partition("Caused by:")[0].partition("For more info")[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines)[:300]


def _place_inputs(
    program: ExportedProgram,
    draft: Draft,
    env: dict[Any, Any],
    constants: dict[str, torch.Tensor],
    state: Mapping[str, str],
) -> None:
    """Handles for the placeholders: user inputs, parameters, buffers, constants."""
    kinds = {spec.arg.name: spec for spec in program.graph_signature.input_specs}
    for node in program.graph.nodes:
        if node.op != "placeholder":
            continue
        spec = kinds[node.name]
        fake = node.meta.get("val")
        kind = spec.kind.name
        if kind == "USER_INPUT":
            handle = Handle(fake, ("input", len(draft.inputs)))
            draft.inputs.append(handle)
        elif kind in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
            name = str(spec.target)
            if name not in state:
                constants[name] = program.constants[name]
            handle = Handle(fake, ("state", f"{state.get(name, 'constant')}:{name}"))
            draft.state[name] = handle
        else:
            raise Refused(f"an input of kind {kind} ({spec.target}); only tensors can be stored")
        env[node] = handle


def _later_uses(program: ExportedProgram) -> dict[Any, int]:
    """node -> the position of the last node that uses it."""
    last: dict[Any, int] = {}
    for position, node in enumerate(program.graph.nodes):
        for used in node.all_input_nodes:
            last[used] = position
    return last


def _call(
    draft: Draft,
    node: Any,
    env: Mapping[Any, Any],
    table: Mapping[str, Translation],
    later: Mapping[Any, int],
    position: int,
) -> Any:
    target = node.target
    if target is operator.getitem:
        return _looked_up(node.args[0], env, draft)[node.args[1]]
    if not isinstance(target, torch._ops.OpOverload):
        if getattr(target, "__module__", "") in ("_operator", "math"):
            given = tuple(_looked_up(item, env, draft) for item in node.args)
            result = integer_call(draft, target, given)
            return _described(result, node.meta.get("val"))
        raise Refused(_no_such_op(str(getattr(target, "__name__", target))))
    arguments = _named(node, env, draft)
    name = str(target)
    written = [a for a in target._schema.arguments if a.alias_info and a.alias_info.is_write]
    if written:
        return _in_place(draft, node, name, arguments, env, table, later, position)
    translation = table.get(name)
    if translation is None:
        raise Refused(_no_such_op(name))
    result = translation(draft, arguments)
    result = _described(result, node.meta.get("val"))
    viewed = [a for a in target._schema.arguments if a.alias_info]
    if viewed and tensor_like(arguments[viewed[0].name]):
        base = arguments[viewed[0].name]
        for handle in result if isinstance(result, tuple) else (result,):
            if isinstance(handle, Handle) and handle is not base and handle.base is None:
                handle.base = base
    return result


def _in_place(
    draft: Draft,
    node: Any,
    name: str,
    arguments: dict[str, Any],
    env: Mapping[Any, Any],
    table: Mapping[str, Translation],
    later: Mapping[Any, int],
    position: int,
) -> Any:
    """`relu_(x)`: relu, and from here on x stands for its result."""
    changed = arguments[node.target._schema.arguments[0].name]
    for other, value in env.items():
        for handle in value if isinstance(value, tuple) else (value,):
            if (
                isinstance(handle, Handle)
                and draft.current(handle) is not changed
                and same_memory(handle, changed)
                and later.get(other, -1) > position
            ):
                raise Refused(
                    f"{name} changes a tensor in place that is also used through a view; "
                    "compute a new tensor instead"
                )
    if name == "aten.detach_.default":
        return changed if changed.origin[0] == "state" else draft.node("stop_gradient/1", [changed])
    if name == "aten.copy_.default":
        result = _copied(draft, changed, arguments["src"])
    else:
        head, _, overload = name.removeprefix("aten.").partition(".")
        twin = table.get(f"aten.{head.rstrip('_')}.{overload}")
        if twin is None:
            raise Refused(_no_such_op(name))
        result = twin(draft, arguments)
    result = _described(result, node.meta.get("val"))
    if result is not changed:
        draft.change(changed, result, name)
    return result


def _copied(draft: Draft, target: Handle, source: Any) -> Any:
    if not tensor_like(source):
        raise Refused("copy_ of a number; use a tensor")
    if source.fake.dtype != target.fake.dtype:
        source = draft.node("cast/1", [source], dtype=target.dtype)
    if tuple(source.fake.shape if source.fake is not None else ()) != tuple(target.fake.shape):
        raise Refused("copy_ that broadcasts; expand the source first")
    return source


def _named(node: Any, env: Mapping[Any, Any], draft: Draft) -> dict[str, Any]:
    """The arguments of a call by name, defaults filled in."""
    found: dict[str, Any] = {}
    for i, argument in enumerate(node.target._schema.arguments):
        if i < len(node.args):
            value = node.args[i]
        elif argument.name in node.kwargs:
            value = node.kwargs[argument.name]
        else:
            value = argument.default_value
        found[argument.name] = _looked_up(value, env, draft)
    return found


def _looked_up(value: Any, env: Mapping[Any, Any], draft: Draft) -> Any:
    """An argument with each node replaced by what it stands for now."""
    if isinstance(value, torch.fx.Node):
        return _looked_up(env[value], env, draft)
    if isinstance(value, Handle):
        return draft.current(value)
    if isinstance(value, list | tuple):
        return tuple(_looked_up(item, env, draft) for item in value)
    return value


def _described(result: Any, fake: Any) -> Any:
    """Attach torch's fake values to the handles a translation made."""
    if isinstance(result, tuple):
        fakes = fake if isinstance(fake, list | tuple) else [None] * len(result)
        for item, one in zip(result, fakes, strict=False):
            _described(item, one)
    elif isinstance(result, Handle) and result.fake is None:
        result.fake = fake
    return result


def _outputs(program: ExportedProgram, flat: list[Any]) -> Any:
    tree = pytree.tree_unflatten(flat, program.call_spec.out_spec)
    return _output(tree)


def _output(tree: Any) -> Any:
    if isinstance(tree, Handle):
        return tree
    if isinstance(tree, tuple | list):
        return tuple(_output(item) for item in tree)
    if isinstance(tree, dict) and all(isinstance(key, str) for key in tree):
        return {key: _output(item) for key, item in tree.items()}
    raise Refused(
        f"an output is {type(tree).__name__} where a tensor, tuple or dict of tensors is wanted"
    )


def _no_such_op(name: str) -> str:
    if name.startswith(("aten.item.", "aten._local_scalar_dense.")):
        return (
            "a value of a tensor becomes a Python number (item(), int() or float()), which a "
            "graph cannot; keep it a tensor"
        )
    return (
        f"the operation {name} is not in the table of the block format; write this part with "
        "operations that are (docs/block-format.md lists them)"
    )


def _where(node: Any) -> str:
    """The submodule a node comes from, as far as torch knows."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return f"in {paths[-1]}" if paths else "in forward"
