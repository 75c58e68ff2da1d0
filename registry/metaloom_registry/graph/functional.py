"""A module as a function of its parameters: what `torch.func` can do with a loaded graph.

Each transform is held to what it should give: one pass, or one gradient, after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.utils import _pytree as pytree

from metaloom_registry.graph.agreement import attempt, disagreement, require_agreement
from metaloom_registry.graph.copying import copied
from metaloom_registry.graph.derivatives import weighted
from metaloom_registry.graph.examples import tensors_of
from metaloom_registry.graph.module import GraphModule

Named: TypeAlias = Mapping[str, Tensor]

_WRONG = "a rule of ours is wrong in a transform; report this"


def batches_over_parameters(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...]
) -> bool:
    """Whether `vmap` runs two sets of parameters at once, as the module runs one after the other.

    Raises Refused where it gives something else, or where only the module can.
    """
    original, loaded = copied(original).eval(), copied(loaded).eval()
    stacked = _two_sets(loaded)

    def run(module: nn.Module) -> Callable[[Named], Any]:
        return lambda parameters: functional_call(module, dict(parameters), inputs)

    with torch.no_grad():
        if not stacked:
            both = pytree.tree_map_only(Tensor, lambda x: torch.stack([x, x]), inputs)
            return not isinstance(attempt(lambda: vmap(loaded)(*both)), Exception)
        apart = attempt(lambda: _one_by_one(run(original), stacked))
        ours = attempt(lambda: vmap(run(loaded))(stacked))
        if isinstance(ours, Exception):
            theirs = attempt(lambda: vmap(run(original))(stacked))
            require_agreement(ours, theirs, "vmap over parameters", _WRONG)
            return False
    require_agreement(ours, apart, "vmap over parameters", _WRONG, 10.0)
    return True


def batches_gradients(loaded: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether `vmap` of `grad` gives the gradients at two sets of parameters, in eval mode."""
    loaded = copied(loaded).eval()
    stacked = _two_sets(loaded)
    slopes = grad(_loss(loaded, inputs))
    ours = attempt(lambda: vmap(slopes)(stacked))
    apart = attempt(lambda: _one_by_one(slopes, stacked))
    both = not isinstance(ours, Exception) and not isinstance(apart, Exception)
    return bool(stacked) and both and not disagreement(ours, apart, 30.0, together=True)


def differentiable_in_training(loaded: nn.Module, inputs: tuple[Any, ...]) -> bool:
    """Whether `grad` through `functional_call` in training gives what `backward` gives.

    Dropout keeps everything here: a transform may draw other random numbers.
    """
    module = _without_dropout(loaded) if isinstance(loaded, GraphModule) else loaded
    function, plain = copied(module).train(), copied(module).train()
    parameters = {name: p.detach() for name, p in function.named_parameters() if p.requires_grad}
    if not parameters:
        return False

    def backward() -> list[Any]:
        loss = weighted(plain(*inputs))
        into = [p for p in plain.parameters() if p.requires_grad]
        if loss is None:
            raise ValueError("no output has a gradient")
        slopes = torch.autograd.grad(loss, into, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(into, slopes, strict=True)]

    theirs = attempt(backward)
    ours = attempt(lambda: list(grad(_loss(function, inputs))(parameters).values()))
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        return False
    return not disagreement(ours, theirs, 100.0, together=True)


def _without_dropout(module: GraphModule) -> GraphModule:
    graph = module.graph.value
    nodes = tuple(
        replace(node, arguments={**node.arguments, "p": 0.0}) if "p" in node.arguments else node
        for node in graph.nodes
    )
    tensors = {name: x.detach().clone() for name, x in module.tensors().items()}
    return GraphModule(replace(graph, nodes=nodes), tensors)


def _loss(module: nn.Module, inputs: tuple[Any, ...]) -> Callable[[Named], Tensor]:
    def loss(parameters: Named) -> Tensor:
        found = weighted(functional_call(module, dict(parameters), inputs), every=True)
        if found is None:
            raise ValueError("no output is a float")
        return found

    return loss


def _two_sets(module: nn.Module) -> dict[str, Tensor]:
    owned = {n: p.detach() for n, p in module.named_parameters() if _inexact(p)}
    return {name: torch.stack([p, p * 1.25]) for name, p in owned.items()}


def _inexact(x: Tensor) -> bool:
    return x.is_floating_point() or x.is_complex()


def _one_by_one(run: Callable[[Named], Any], stacked: Named) -> list[Any]:
    each = [tensors_of(run({n: s[k] for n, s in stacked.items()})) for k in range(2)]
    return [torch.stack(values) for values in zip(*each, strict=True)]
