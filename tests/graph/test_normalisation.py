"""Second derivatives of normalisation inside transforms, where fused kernels are silently wrong."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from metaloom_registry.graph import export_module, load_graph

NORMS = {
    "batch": lambda: nn.BatchNorm2d(4, track_running_stats=False),
    "running": lambda: nn.BatchNorm2d(4),
    "instance": lambda: nn.InstanceNorm2d(4, affine=True),
    "group": lambda: nn.GroupNorm(2, 4),
    "layer": lambda: nn.LayerNorm([4, 4, 4]),
}


def loaded_net(name: str) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), NORMS[name](), nn.Tanh(), nn.Flatten(), nn.Linear(64, 1)
    )
    block = export_module(net, "image[1,6,6] -> vec[1]")
    return load_graph(block.graph, block.weights).double().train()


@pytest.mark.parametrize("name", list(NORMS))
def test_the_meta_gradient_over_a_batch_of_tasks_is_the_one_finite_differences_give(name):
    net = loaded_net(name)
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(3, 5, 1, 6, 6, generator=generator, dtype=torch.float64)
    parameters = {n: p.detach().clone() for n, p in net.named_parameters()}
    buffers = {n: b.detach().clone() for n, b in net.named_buffers()}

    def loss(p: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        own = {n: b.clone() for n, b in buffers.items()}
        return (functional_call(net, (p, own), (images,)) ** 2).mean()

    def task(p: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
        step = grad(loss)(p, images)
        return loss({n: p[n] - 0.5 * step[n] for n in p}, images)

    def meta(p: dict[str, torch.Tensor]) -> torch.Tensor:
        return vmap(task, in_dims=(None, 0))(p, x).mean()

    ours = grad(meta)(parameters)
    for key in ("1.weight", "1.bias", "0.weight"):
        direction = torch.rand(parameters[key].shape, generator=generator, dtype=torch.float64)
        slope = (ours[key] * direction).sum()
        h = 1e-6
        ahead = meta({**parameters, key: parameters[key] + h * direction})
        behind = meta({**parameters, key: parameters[key] - h * direction})
        assert torch.allclose(slope, (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-9), key
