"""The meta-gradient of gradient descent, for whole meta-batches on an explicit task axis.

With theta_0 the model's parameters and theta_{k+1} = theta_k - r g_k, where g_k is the gradient of
the support's loss at theta_k, the gradient lambda_k of the query's loss in theta_k is
lambda_{k+1} - H_k (r lambda_{k+1}): one product with the Hessian of the support's loss a step
(Finn et al. 2017, eq. 1, worked out backwards).  Nothing is recorded by autograd; layers know their
own derivatives, and the result is exact.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.arena import Arenas
from metaloom_metalearn.learners.batched.chain import Chain
from metaloom_metalearn.learners.batched.gradient_steps import (
    BatchedGradient,
    GradientSteps,
    State,
)
from metaloom_metalearn.learners.batched.job import Job
from metaloom_metalearn.learners.batched.kernels import Kernels, kernels_for
from metaloom_metalearn.learners.batched.lowering import Shape, lowered
from metaloom_metalearn.learners.batched.perceptron import (
    PerceptronJob,
    PerceptronShape,
    fits,
    perceptron_shape,
)
from metaloom_metalearn.learners.batched.plain import PlainJob, mean_of
from metaloom_metalearn.learners.batched.reading import Link, links_of
from metaloom_metalearn.learners.batched.workers import Workers
from metaloom_metalearn.learners.descent import first_order, second_order
from metaloom_metalearn.learners.learner import buffers_of, natural_loss, parameters_of
from metaloom_metalearn.learners.unrolled import maps_over_tasks, watched

NEAR = 7 << 18
"""How many numbers a thread of the CPU works on at once: about what the cache holds."""

SMALL = 1 << 18
"""Meta-batches of so few numbers are computed at once: sharing them costs more than it saves."""

AT_ONCE = 1 << 30
"""How many numbers are kept at once on another device than the CPU."""

FEW = 4
"""Fewer tasks than these take longer together by `vmap` than one after the other."""

LARGE_TASK, LARGE_IMAGES, LARGE_MODEL = 1 << 14, 1 << 12, 1 << 19
"""So do tasks with more numbers in their inputs, or in images that several threads share; and tasks
on models with more parameters."""

WORTH_COMPILING = 1 << 20
"""From how many numbers on a meta-batch is worth the seconds that numba takes, once."""


class Engine:
    """Computes meta-gradients; keeps what it has read of models, and its threads' memory.

    compiled: whether small loops on the CPU are numba's; None decides by size and by what is
    installed.
    threads: None for as many as torch uses.
    """

    def __init__(self, *, compiled: bool | None = None, threads: int | None = None) -> None:
        self.compiled, self.threads = compiled, threads
        self._read: WeakKeyDictionary[nn.Module, _Read] = WeakKeyDictionary()
        self._workers, self._arenas = Workers(), Arenas()

    def __deepcopy__(self, memo: dict[int, Any]) -> Engine:
        return Engine(compiled=self.compiled, threads=self.threads)

    def __reduce__(self) -> tuple[Any, ...]:
        return _engine, (self.compiled, self.threads)

    def meta_gradient(
        self,
        model: nn.Module,
        episodes: Episodes,
        descent: GradientSteps,
        chunk: int | None = None,
    ) -> BatchedGradient | None:
        """The mean over the tasks; None where the general way, `vmap` over tasks, is faster.

        That is for models that are no chain of layers known here: on other devices than the CPU,
        and on the CPU for many small tasks.  chunk: how many tasks at once at most; None chooses by
        the size of the activations.
        """
        parameters = parameters_of(model)
        if descent.order not in (first_order, second_order) or not parameters:
            return None
        on_cpu = episodes.support_x.device.type == "cpu"
        threads = (self.threads or torch.get_num_threads()) if on_cpu else 1
        chain = self._chain(model, episodes, parameters)
        if chain is not None:
            layered = Job(chain, parameters, buffers_of(model), episodes, descent, self._arenas)
            if not descent.steps or layered.lowest < len(chain.layers):
                return self._by_layers(layered, threads, chunk)
        alone = threads_for_autograd(parameters, episodes, threads) if on_cpu else 0
        if not alone and maps_over_tasks(model):
            return None
        return self._by_autograd(PlainJob(model, episodes, descent), alone or 1)

    def _by_layers(self, job: Job, threads: int, chunk: int | None) -> BatchedGradient:
        shape = self._perceptron(job)
        if shape is None:
            size, part, way = chunk_size(job, threads, chunk), job.part, "layers"
        else:
            size, part = -(-len(job.episodes) // threads), PerceptronJob(job, shape).part
            way = "loop"
        return job.averaged(self._workers.each(part, _parts(job.episodes, size), threads), way)

    def _by_autograd(self, job: PlainJob, threads: int) -> BatchedGradient:
        """Threads share the tasks, unless the model draws random numbers, which have an order."""
        parts = _parts(job.episodes, 1)
        before = torch.get_rng_state()
        first = list(self._workers.each(job.part, parts[:1], 1))
        if not torch.equal(before, torch.get_rng_state()):
            threads = 1
        if threads > 1:
            job.share(threads)
        rest = self._workers.each(job.part, parts[1:], threads)
        return mean_of(itertools.chain(first, rest), len(parts))

    def _perceptron(self, job: Job) -> PerceptronShape | None:
        """The shape of a perceptron whose meta-gradient is one compiled loop."""
        like, loss = job.like, job.descent.loss
        compiled = self.compiled
        if compiled is None:
            compiled = like.dtype == torch.float32 and find_spec("numba") is not None
        if not compiled or like.device.type != "cpu" or loss is not natural_loss:
            return None
        shape = perceptron_shape(job.chain, job.start)
        return shape if shape is not None and fits(shape, job.episodes) else None

    def _chain(self, model: nn.Module, episodes: Episodes, parameters: State) -> Chain | None:
        x = episodes.support_x
        like = next(iter(parameters.values()), x)
        usual = like.dtype in (torch.float32, torch.float64) and all(
            value.dtype == like.dtype and value.device == like.device
            for value in (*parameters.values(), x, episodes.query_x)
        )
        if not usual or not parameters or x.shape[2:] != episodes.query_x.shape[2:]:
            return None
        form = _form(model)
        read = self._read.get(model)
        if read is None or read.form != form:
            read = _Read(form, links_of(model))
            self._read[model] = read
        item = tuple(x.shape[2:])
        chain = read.lowered(item, parameters, kernels_for(compiled=False))
        compiled = self.compiled
        if chain is not None and compiled is None:
            worth = chain.size * x.shape[0] * x.shape[1] >= WORTH_COMPILING
            compiled = worth and find_spec("numba") is not None
        if compiled and like.device.type == "cpu":
            chain = read.lowered(item, parameters, kernels_for(compiled=True))
        return chain


def _form(model: nn.Module) -> tuple[Any, ...]:
    """What has to be as it was for a model to be the same chain still."""
    return (
        *((type(module), module.training, watched(module)) for module in model.modules()),
        *((name, value.shape) for name, value in model.named_parameters()),
    )


def _parts(episodes: Episodes, size: int) -> list[slice]:
    return [slice(at, at + size) for at in range(0, len(episodes), size)]


@dataclass
class _Read:
    """A model as a chain of operations, and the layers made of it for each shape of an item."""

    form: tuple[Any, ...]
    links: list[Link] | None
    chains: dict[Any, Chain | None] = field(default_factory=dict)

    def lowered(self, item: Shape, parameters: State, kernels: Kernels) -> Chain | None:
        """The layers for items of a shape."""
        key = item, kernels
        if key not in self.chains:
            links = self.links
            self.chains[key] = None if links is None else lowered(links, item, parameters, kernels)
        return self.chains[key]


def chunk_size(job: Job, threads: int, most: int | None) -> int:
    """How many tasks are computed at once, by one thread: at most `most` by all of them."""
    tasks = len(job.episodes)
    examples = max(job.episodes.support_x.shape[1], job.episodes.query_x.shape[1])
    of_task = job.chain.size * examples
    if job.like.device.type != "cpu":
        kept = 4 * of_task * (job.descent.steps + 1)
        return max(1, min(most or tasks, AT_ONCE // kept))
    if most is not None:
        return max(1, min(most // threads, -(-tasks // threads)))
    if of_task * tasks <= SMALL:
        return tasks
    at_once = 3 * NEAR // (of_task * (2 + job.descent.steps))
    return max(1, min(at_once, -(-tasks // threads)))


def threads_for_autograd(parameters: State, episodes: Episodes, threads: int) -> int:
    """How many threads compute tasks one after the other by autograd; 0 where `vmap` is faster."""
    convolves = any(value.dim() > 2 for value in parameters.values())
    of_task = max(one[0].numel() for one in (episodes.support_x, episodes.query_x))
    large = LARGE_IMAGES if convolves and threads > 1 else LARGE_TASK
    if of_task > large or sum(value.numel() for value in parameters.values()) > LARGE_MODEL:
        return threads
    if len(episodes) < FEW:
        return threads if convolves else 1
    return 0


def _engine(compiled: bool | None, threads: int | None) -> Engine:
    return Engine(compiled=compiled, threads=threads)
