"""The test at publish time: does the loaded graph do all that the module does?

Forward in both modes at three batch sizes, with the buffers it leaves behind; first and second
gradient; `vmap` over parameters, against a loop; names and dtypes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils import _pytree as pytree

from metaloom_registry.errors import MetaloomError, Refused
from metaloom_registry.graph.derivatives import (
    agrees_with_differences,
    first_gradients,
    second_gradients,
)
from metaloom_registry.graph.document import BATCH, Graph, Tree
from metaloom_registry.graph.examples import (
    DEFAULT_SIZE,
    InputKind,
    example_inputs,
    tensors_of,
)

BATCHES = (3, 1, 5)
LOST_BACKWARD = (
    "a custom autograd.Function whose backward is not the derivative of its forward is lost in a "
    "graph, as is a gradient stopped by torch.no_grad; write it in differentiable operations and "
    "detach()"
)

Result: TypeAlias = "list[Tensor | None] | Exception"
"""What a computation gave, or how it failed."""


def compare(
    original: nn.Module,
    loaded: nn.Module,
    graph: Graph,
    trees: tuple[Tree[InputKind], ...],
    seed: int,
) -> dict[str, bool]:
    """What the module can do, the graph having been found to do the same.

    second_gradient, vmap, train_mode, batch_independent, deterministic.  Raises Refused where the
    two differ.
    """
    _compare_state(original, loaded)
    train_mode = False
    for training in (False, True):
        for batch in BATCHES:
            inputs = example_inputs(trees, _sizes(graph, batch), seed + batch)
            result = _compare_forward(original, loaded, inputs, training, f"batch size {batch}")
            train_mode |= training and not isinstance(result, Exception)
            if not training and batch == BATCHES[0] and isinstance(result, Exception):
                raise Refused(f"the module itself fails on its signature: {result}")
    inputs = example_inputs(trees, _sizes(graph, BATCHES[-1]), seed + 100)
    for training in (False, True):
        _compare_gradients(original, loaded, inputs, training)
    second = _compare_second_gradients(original, loaded, inputs)
    batched = _compare_vmap(original, loaded, inputs)
    return {
        "second_gradient": second,
        "vmap": batched,
        "train_mode": train_mode,
        "batch_independent": _batch_independent(loaded, inputs),
        "deterministic": _deterministic(loaded, inputs),
    }


def _sizes(graph: Graph, batch: int) -> Mapping[str, int]:
    sizes = {}
    for i, d in enumerate(graph.dimensions):
        sizes[d.name] = min(max(DEFAULT_SIZE + 8 * i, d.low), d.high)
    return sizes | {BATCH: batch}


def _compare_state(original: nn.Module, loaded: nn.Module) -> None:
    ours, theirs = loaded.state_dict(), original.state_dict()
    if list(ours) != list(theirs):
        raise Refused(f"the state dictionary would change from {list(theirs)} to {list(ours)}")
    for name, tensor in theirs.items():
        if ours[name].dtype != tensor.dtype or not torch.equal(ours[name], tensor.cpu()):
            raise Refused(f"{name} would change in the state dictionary")
    wanted = {name: p.requires_grad for name, p in original.named_parameters()}
    given = {name: p.requires_grad for name, p in loaded.named_parameters()}
    if wanted != given:
        raise Refused(f"the parameters would change from {wanted} to {given}")


def _attempt(compute: Callable[[], Any], seed: int = 0) -> Result:
    """The tensors a computation gives, with torch's generator at a seed; or its exception."""
    torch.manual_seed(seed)
    try:
        found = compute()
    except MetaloomError as error:
        return error
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        return error
    return tensors_of(found)


def _same(ours: Result, theirs: Result, what: str, remedy: str, looseness: float = 1.0) -> None:
    if isinstance(theirs, Exception) and isinstance(ours, Exception):
        return
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        failed = "the graph" if isinstance(ours, Exception) else "the module"
        error = ours if isinstance(ours, Exception) else theirs
        raise Refused(f"{what}: only {failed} fails ({type(error).__name__}: {error}); {remedy}")
    if len(ours) != len(theirs):
        raise Refused(f"{what}: {len(ours)} tensors instead of {len(theirs)}; {remedy}")
    for one, other in zip(ours, theirs, strict=True):
        difference = _difference(one, other, looseness)
        if difference:
            raise Refused(f"{what}: the graph and the module differ ({difference}); {remedy}")


def _difference(one: Tensor | None, other: Tensor | None, looseness: float) -> str:
    """In which way two tensors differ beyond rounding; empty where they do not."""
    if one is None or other is None:
        present = one if other is None else other
        return "" if present is None or not present.any() else "one has no value"
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype}{list(one.shape)} and {other.dtype}{list(other.shape)}"
    if not one.is_floating_point():
        return "" if torch.equal(one, other) else f"integers of {list(one.shape)}"
    if one.numel() == 0:
        return ""
    tolerance = looseness * 300 * torch.finfo(one.dtype).eps
    one, other = one.detach().double(), other.detach().double()
    if not torch.equal(one.isfinite(), other.isfinite()):
        return "NaN or infinity in one of them"
    one, other = one.nan_to_num(), other.nan_to_num()
    scale = float(other.abs().max())
    gap = float((one - other).abs().max())
    return "" if gap <= tolerance * (scale + 1e-3) else f"by {gap:.3g} where values are {scale:.3g}"


def _compare_forward(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...], training: bool, what: str
) -> Result:
    theirs_module, ours_module = copy.deepcopy(original), copy.deepcopy(loaded)
    results = []
    for module in (theirs_module.train(training), ours_module.train(training)):
        given = pytree.tree_map_only(Tensor, Tensor.clone, inputs)
        results.append(_attempt(lambda module=module, given=given: module(*given)))  # type: ignore[misc]
    mode = "training" if training else "eval mode"
    remedy = (
        "the module must compute the same whatever the batch size, without state outside its "
        "buffers and without Python side effects"
    )
    _same(results[1], results[0], f"forward in {mode} at {what}", remedy)
    if not isinstance(results[0], Exception):
        _same(
            [ours_module.state_dict()[name] for name in theirs_module.state_dict()],
            list(theirs_module.state_dict().values()),
            f"the buffers after a pass in {mode} at {what}",
            remedy,
        )
    return results[0]


def _compare_gradients(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...], training: bool
) -> None:
    theirs_module = copy.deepcopy(original).train(training)
    ours_module = copy.deepcopy(loaded).train(training)
    theirs = _attempt(lambda: first_gradients(theirs_module, inputs))
    ours = _attempt(lambda: first_gradients(ours_module, inputs))
    mode = "training" if training else "eval mode"
    _same(ours, theirs, f"the gradient in {mode}", LOST_BACKWARD, 10.0)


def _compare_second_gradients(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...]
) -> bool:
    """Whether the graph can be differentiated twice, in eval mode and in training.

    Where the module itself cannot, the graph's second gradient is held to finite differences.
    """
    able = True
    for training in (False, True):
        theirs_module = copy.deepcopy(original).train(training)
        ours_module = copy.deepcopy(loaded).train(training)
        theirs = _attempt(lambda module=theirs_module: second_gradients(module, inputs))  # type: ignore[misc]
        ours = _attempt(lambda module=ours_module: second_gradients(module, inputs))  # type: ignore[misc]
        if isinstance(theirs, Exception):
            able &= not isinstance(ours, Exception) and agrees_with_differences(ours_module, inputs)
            continue
        _same(ours, theirs, "the second gradient", LOST_BACKWARD, 100.0)
    return able


def _compare_vmap(original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether two sets of parameters can be run at once; checked against running each."""
    original, loaded = copy.deepcopy(original).eval(), copy.deepcopy(loaded).eval()
    names = [n for n, p in loaded.named_parameters() if p.is_floating_point()]
    owned = dict(loaded.named_parameters())
    stacked = {
        name: torch.stack([owned[name].detach(), owned[name].detach() * 1.25]) for name in names
    }

    def run(module: nn.Module) -> Callable[[dict[str, Tensor]], Any]:
        return lambda parameters: functional_call(module, parameters, inputs)

    with torch.no_grad():
        apart = _attempt(
            lambda: [
                torch.stack(values)
                for values in zip(
                    *(
                        tensors_of(run(original)({n: s[k] for n, s in stacked.items()}))
                        for k in range(2)
                    ),
                    strict=True,
                )
            ]
        )
        if not names:
            return not isinstance(_attempt(lambda: vmap(loaded)(*_twice(inputs))), Exception)
        ours = _attempt(lambda: vmap(run(loaded))(stacked))
        if isinstance(ours, Exception):
            theirs = _attempt(lambda: vmap(run(original))(stacked))
            _same(ours, theirs, "vmap over parameters", "report this: a rule of ours lacks vmap")
            return False
    _same(ours, apart, "vmap over parameters", "a rule of ours is wrong under vmap", 10.0)
    return True


def _twice(inputs: tuple[Any, ...]) -> Any:
    return pytree.tree_map_only(Tensor, lambda x: torch.stack([x, x]), inputs)


def _batch_independent(loaded: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether each item's output is the same without the others, in eval mode."""
    module = copy.deepcopy(loaded).eval()
    with torch.no_grad():
        together = _attempt(lambda: module(*inputs))
        first = pytree.tree_map_only(Tensor, lambda x: x[:1], inputs)
        alone = _attempt(lambda: module(*first))
    if isinstance(together, Exception) or isinstance(alone, Exception):
        return False
    for one, other in zip(together, alone, strict=True):
        if one is None or other is None or one.dim() == 0 or _difference(one[:1], other, 10.0):
            return False
    return True


def _deterministic(loaded: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether two passes in eval mode with different random numbers give the same."""
    module = copy.deepcopy(loaded).eval()
    with torch.no_grad():
        one = _attempt(lambda: module(*inputs), 1)
        other = _attempt(lambda: module(*inputs), 2)
    if isinstance(one, Exception) or isinstance(other, Exception):
        return False
    return all(
        a is not None and b is not None and torch.equal(a, b)
        for a, b in zip(one, other, strict=True)
    )
