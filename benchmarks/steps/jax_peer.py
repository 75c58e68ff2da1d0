"""The meta-steps in JAX: per task by `grad`, over tasks by `vmap`, compiled by `jit`.

The forms are the fastest found on a CPU: a convolution as a product of its windows with the
weights (XLA's own under `vmap` over weights is slower), channels last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import torch.utils.dlpack
from torch import Tensor, nn

from benchmarks.steps.problems import Problem

CONFIG: Any = jax.config
CONFIG.update("jax_enable_x64", True)  # float32 stays what it is; float64 becomes possible


def meta_step(given: Problem) -> Callable[[], list[Tensor]]:
    """One meta-step of the problem, compiled at its first call."""
    layers = [_layer(module) for module in given.model.modules() if module is not given.model]
    parameters = [jnp.asarray(one.detach().numpy()) for one in given.parameters]
    episodes = given.episodes
    data = [
        jnp.asarray(one.numpy())
        for one in (episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y)
    ]

    def forward(parameters: Any, x: Any) -> Any:
        if x.ndim == 4:
            x = x.transpose(0, 2, 3, 1)
        left = list(parameters)
        for count, layer in layers:
            x = layer(x, *left[:count])
            left = left[count:]
        return x

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        out = forward(parameters, x)
        if jnp.issubdtype(y.dtype, jnp.integer):
            logs = jax.nn.log_softmax(out)
            return -jnp.take_along_axis(logs, y[:, None], 1).mean()
        return ((out - y) ** 2).mean()

    def task(parameters: Any, sx: Any, sy: Any, qx: Any, qy: Any) -> Any:
        state = parameters
        for _ in range(given.steps):
            slopes = jax.grad(loss)(state, sx, sy)
            state = [value - given.lr * slope for value, slope in zip(state, slopes, strict=True)]
        return loss(state, qx, qy)

    def mean(parameters: Any, *data: Any) -> Any:
        slopes = jax.vmap(jax.grad(task), (None, 0, 0, 0, 0))(parameters, *data)
        return [one.mean(0) for one in slopes]

    compiled = jax.jit(mean)

    def step() -> list[Tensor]:
        found = [one.block_until_ready() for one in compiled(parameters, *data)]
        return [torch.utils.dlpack.from_dlpack(one) for one in found]

    return step


def _layer(module: nn.Module) -> tuple[int, Callable[..., Any]]:
    """How many parameters it takes, and what it computes of x [n, h, w, c] or [n, f]."""
    if isinstance(module, nn.Conv2d):
        stride, padding = module.stride[0], int(module.padding[0])

        def convolve(x: Any, weight: Any, bias: Any) -> Any:
            n, height, width, _ = x.shape
            k = weight.shape[2]
            x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
            oh, ow = ((size + 2 * padding - k) // stride + 1 for size in (height, width))
            windows = [
                x[:, i : i + stride * (oh - 1) + 1 : stride, j : j + stride * (ow - 1) + 1 : stride]
                for i in range(k)
                for j in range(k)
            ]
            columns = jnp.concatenate(windows, -1).reshape(n * oh * ow, -1)
            matrix = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
            return (columns @ matrix + bias).reshape(n, oh, ow, -1)

        return 2, convolve
    if isinstance(module, nn.BatchNorm2d):
        eps = module.eps

        def normalise(x: Any, scale: Any, shift: Any) -> Any:
            apart = x - x.mean((0, 1, 2))
            return apart * jax.lax.rsqrt((apart**2).mean((0, 1, 2)) + eps) * scale + shift

        return 2, normalise
    if isinstance(module, nn.Linear):
        return 2, lambda x, weight, bias: x @ weight.T + bias
    if isinstance(module, nn.Flatten):
        return 0, lambda x: x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    assert isinstance(module, nn.ReLU)
    return 0, jax.nn.relu
