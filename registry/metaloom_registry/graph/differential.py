"""The test at publish time: does the loaded graph do all that the module does?

Forward in both modes at three batch sizes, with the buffers it leaves behind; first and second
gradient; transforms of `torch.func`; names, dtypes and shared tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from metaloom_registry.errors import Refused
from metaloom_registry.graph.agreement import (
    Result,
    apart,
    attempt,
    disagreement,
    require_agreement,
)
from metaloom_registry.graph.copying import copied
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
from metaloom_registry.graph.functional import (
    batches_gradients,
    batches_over_parameters,
    differentiable_in_training,
)
from metaloom_registry.graph.precision import moved_to_dtypes

BATCHES = (3, 1, 5)
PAIR = 2
"""The least batch in which items have company, as batch norm wants in training."""

LOST_BACKWARD = (
    "a custom autograd.Function whose backward is not the derivative of its forward is lost in a "
    "graph, as is a gradient stopped by torch.no_grad; write it in differentiable operations and "
    "detach()"
)


def compare(
    original: nn.Module,
    loaded: nn.Module,
    graph: Graph,
    trees: tuple[Tree[InputKind], ...],
    seed: int,
) -> dict[str, bool]:
    """What the module can do, the graph having been found to do the same.

    second_gradient: in eval mode and in training.  vmap, vmap_gradient: over parameters, of a pass
    and of a gradient.  train_mode: a pass in training.  functional_train: a gradient through
    `functional_call` in training.  batch_independent, deterministic: in eval mode.  float16,
    bfloat16, float32, float64, int32: moved to this dtype, where the last stands for int64 inputs.
    Raises Refused where the two differ.
    """
    _compare_state(original, loaded)
    _compare_sharing(original, loaded)
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
    few = example_inputs(trees, _sizes(graph, PAIR), seed + 100)  # for what is slow on a CPU
    second = _compare_second_gradients(original, loaded, few)
    moved = moved_to_dtypes(original, loaded, few)
    return {
        "second_gradient": second,
        "vmap": batches_over_parameters(original, loaded, inputs),
        "vmap_gradient": batches_gradients(loaded, inputs),
        "train_mode": train_mode,
        "functional_train": differentiable_in_training(loaded, inputs),
        "batch_independent": _batch_independent(loaded, inputs),
        "deterministic": _deterministic(loaded, inputs),
        **{name: outcome.held for name, outcome in moved.items()},
    }


def compare_passes(
    original: nn.Module,
    loaded: nn.Module,
    graph: Graph,
    trees: tuple[Tree[InputKind], ...],
    seed: int,
) -> None:
    """The part of `compare` that depends on numbers most: state, and a pass in both modes.

    Both modules are left as they are then.  Raises Refused where the two differ.
    """
    _compare_state(original, loaded)
    inputs = example_inputs(trees, _sizes(graph, PAIR), seed + PAIR)
    for training in (False, True):
        _require_one_pass(original, loaded, inputs, training, f"batch size {PAIR}")


def agrees_on_one(
    original: nn.Module,
    loaded: nn.Module,
    inputs: tuple[Any, ...],
    outputs: Sequence[Any],
    modes: Sequence[bool],
) -> bool:
    """Whether the module gives for the first item alone what the graph gave for it.

    inputs, outputs: of a pass of a graph whose items depend neither on each other nor on the mode
      nor on chance.  The module may not have changed its state by then.
    modes: those in which the module is run, True for training.
    """
    wanted = [y[:1] for y in outputs]
    for training in modes:
        one = pytree.tree_map_only(Tensor, _first_alone, inputs)
        original.train(training)
        with torch.no_grad():
            theirs = attempt(lambda one=one: original(*one))  # type: ignore[misc]
        if disagreement(wanted, theirs):
            return False
    try:
        _compare_state(original, loaded)
    except Refused:
        return False
    return True


def _first_alone(x: Tensor) -> Tensor:
    return x[:1].clone(memory_format=torch.contiguous_format)


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


def _compare_sharing(original: nn.Module, loaded: nn.Module) -> None:
    """Tensors of several names are one tensor still: as loaded, copied, and in another dtype."""
    wanted = _shared(original)
    moved = copied(loaded).double()
    for module, what in ((loaded, "loaded"), (copied(loaded), "copied"), (moved, "moved")):
        if _shared(module) != wanted:
            raise Refused(
                f"tensors of several names {sorted(wanted)} would be {sorted(_shared(module))} "
                f"when the graph is {what}; report this"
            )


def _shared(module: nn.Module) -> set[tuple[str, ...]]:
    """The names of each tensor that has several."""
    names: dict[int, list[str]] = {}
    for name, tensor in (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ):
        names.setdefault(id(tensor), []).append(name)
    return {tuple(found) for found in names.values() if len(found) > 1}


def _compare_forward(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...], training: bool, what: str
) -> Result:
    return _require_one_pass(copied(original), copied(loaded), inputs, training, what)


def _require_one_pass(
    theirs_module: nn.Module,
    ours_module: nn.Module,
    inputs: tuple[Any, ...],
    training: bool,
    what: str,
) -> Result:
    results = []
    for module in (theirs_module.train(training), ours_module.train(training)):
        given = pytree.tree_map_only(Tensor, Tensor.clone, inputs)
        results.append(attempt(lambda module=module, given=given: module(*given)))  # type: ignore[misc]
    mode = "training" if training else "eval mode"
    remedy = (
        "the module must compute the same whatever the batch size, without state outside its "
        "buffers and without Python side effects"
    )
    if isinstance(results[0], Exception) and BATCHES[1] == _batch(inputs):
        return results[0]  # it wants company, as batch norm does; the graph need not
    require_agreement(results[1], results[0], f"forward in {mode} at {what}", remedy)
    if not isinstance(results[0], Exception):
        require_agreement(
            [ours_module.state_dict()[name] for name in theirs_module.state_dict()],
            list(theirs_module.state_dict().values()),
            f"the buffers after a pass in {mode} at {what}",
            remedy,
        )
    return results[0]


def _batch(inputs: tuple[Any, ...]) -> int:
    return next((int(x.shape[0]) for x in tensors_of(inputs)), 0)


def _compare_gradients(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...], training: bool
) -> None:
    theirs_module = copied(original).train(training)
    ours_module = copied(loaded).train(training)
    theirs = attempt(lambda: first_gradients(theirs_module, inputs))
    ours = attempt(lambda: first_gradients(ours_module, inputs))
    mode = "training" if training else "eval mode"
    require_agreement(ours, theirs, f"the gradient in {mode}", LOST_BACKWARD, 10.0)


def _compare_second_gradients(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...]
) -> bool:
    """Whether the graph can be differentiated twice, in eval mode and in training.

    Where the module itself cannot, the graph's second gradient is held to finite differences.
    """
    able = True
    for training in (False, True):
        theirs_module = copied(original).train(training)
        ours_module = copied(loaded).train(training)
        theirs = attempt(lambda module=theirs_module: second_gradients(module, inputs))  # type: ignore[misc]
        ours = attempt(lambda module=ours_module: second_gradients(module, inputs))  # type: ignore[misc]
        if isinstance(theirs, Exception):
            able &= not isinstance(ours, Exception) and agrees_with_differences(ours_module, inputs)
            continue
        require_agreement(ours, theirs, "the second gradient", LOST_BACKWARD, 100.0)
    return able


def _batch_independent(loaded: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether each item's output is the same without the others, in eval mode."""
    module = copied(loaded).eval()
    with torch.no_grad():
        together = attempt(lambda: module(*inputs))
        first = pytree.tree_map_only(Tensor, lambda x: x[:1], inputs)
        alone = attempt(lambda: module(*first))
    if isinstance(together, Exception) or isinstance(alone, Exception):
        return False
    for one, other in zip(together, alone, strict=True):
        if one is None or other is None or one.dim() == 0 or apart(one[:1], other, 10.0):
            return False
    return True


def _deterministic(loaded: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether two passes in eval mode with different random numbers give the same."""
    module = copied(loaded).eval()
    with torch.no_grad():
        one = attempt(lambda: module(*inputs), 1)
        other = attempt(lambda: module(*inputs), 2)
    if isinstance(one, Exception) or isinstance(other, Exception):
        return False
    return all(
        a is not None and b is not None and torch.equal(a, b)
        for a, b in zip(one, other, strict=True)
    )
