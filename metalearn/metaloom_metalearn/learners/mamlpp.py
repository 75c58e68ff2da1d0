"""MAML++: MAML made stable by learned rates, a loss after every step and gradual second order.

Antoniou, Edwards and Storkey 2019 ("How to train your MAML"), section 4: one learned rate for each
parameter tensor and each inner step (LSLR); the outer loss sum_i v_i L_query(theta_i) over the
parameters after each step, its weights v going from equal to the last step alone (MSL, eq. 4); and
first-order gradients before second-order ones (DA).  Their batch norm weights for each step are not
here: batch norm uses the statistics of the batch, as in MAML.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.engine import Engine
from metaloom_metalearn.learners.batched.gradient_steps import GradientSteps
from metaloom_metalearn.learners.choices import adaptable, require_choice
from metaloom_metalearn.learners.descent import (
    Descent,
    Order,
    descend,
    finished,
    first_order,
    second_order,
)
from metaloom_metalearn.learners.equipped import (
    MODEL,
    Equipped,
    adaptable_of,
    name_of_learned,
    require_equipped,
)
from metaloom_metalearn.learners.learned_rates import gradient_with_rates
from metaloom_metalearn.learners.learner import (
    Adapted,
    Loss,
    MetaGradient,
    as_targets,
    buffers_of,
    every,
    judged,
    natural_loss,
    parameters_of,
    require_settings,
)
from metaloom_metalearn.learners.per_task import OfTask, State, mean_over_tasks
from metaloom_metalearn.tasks import Examples
from metaloom_registry import InvalidTask, ParseError


@dataclass(frozen=True)
class MAMLPP:
    """Gradient steps at a learned rate for each tensor and step; see `maml_pp`."""

    steps: int
    lr: float
    multi_step: int = 0
    first_order: int = 0
    loss: Loss = natural_loss
    chunk: int | None = None
    engine: Engine = field(default_factory=Engine, compare=False, repr=False)

    def __post_init__(self) -> None:
        require_settings(self.steps, self.lr)
        if self.steps < 1 or self.multi_step < 0 or self.first_order < 0:
            raise ParseError(
                f"maml_pp was given steps={self.steps}, multi_step={self.multi_step}, "
                f"first_order={self.first_order}; it takes at least 1 step, and counts from 0 on"
            )

    def equip(self, model: nn.Module) -> Equipped:
        """The model with one rate for each parameter tensor and each step."""
        return Equipped(
            model,
            {
                f"rate.{name}": value.new_full((self.steps,), self.lr)
                for name, value in parameters_of(model).items()
            },
        )

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """Adapt a copy of the model: at its learned rates, or all at `lr` where it has none."""
        del generator
        parameters = parameters_of(model)
        changed = require_choice(model, adaptable_of(model, every))
        self._require_rates(parameters)
        wanted = as_targets(support.outputs, parameters[changed[0]])
        down = Descent(parameters, buffers_of(model), ())
        for step in range(self.steps):
            after = self._step(model, parameters, step, down, support.inputs, wanted, first_order)
            down = after._replace(losses=down.losses + after.losses)
        return finished(model, changed, down)

    def weights(self, outer_steps: int) -> tuple[float, ...]:
        """The weight of the query loss after each inner step, which add to 1 (section 4, MSL).

        Equal at first; after `multi_step` meta-gradients the last step alone.
        """
        done = min(1.0, outer_steps / self.multi_step) if self.multi_step else 1.0
        early = (1.0 - done) / self.steps
        return (*[early] * (self.steps - 1), early + done)

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The gradient of the weighted query losses after each step: of the model and its rates.

        The loss given back is the weighted one; the outputs are those after the last step.  Raises
        InvalidTask where the model has no rates: train `learner.equip(model)`.
        """
        del generator
        equipped = require_equipped(model, "maml_pp")
        counted = int(equipped.outer_steps)
        self._require_rates(parameters_of(model))
        weights = self.weights(counted)
        order = first_order if counted < self.first_order else second_order
        steps = GradientSteps(
            self.steps, self.lr, order, self.loss, adaptable(equipped.model), weights
        )
        found = gradient_with_rates(
            self.engine, equipped, episodes, steps, self.chunk, of_each_step=True
        )
        if found is None:
            found = self._by_vmap(model, episodes, weights, order)
        counter = found.buffers["outer_steps"] + 1
        return replace(found, buffers={**found.buffers, "outer_steps": counter})

    def _by_vmap(
        self, model: nn.Module, episodes: Episodes, weights: tuple[float, ...], order: Order
    ) -> MetaGradient:
        """The gradient for any model."""

        def query_loss(
            parameters: State,
            buffers: State,
            model: nn.Module,
            sx: Tensor,
            sy: Tensor,
            qx: Tensor,
            qy: Tensor,
        ) -> tuple[Tensor, tuple[Tensor, State]]:
            down = Descent(parameters, buffers, ())
            total = torch.zeros((), dtype=qx.dtype, device=qx.device)
            for step, weight in enumerate(weights):
                down = self._step(model, parameters, step, down, (sx,), sy, order)
                if weight or step + 1 == self.steps:
                    after = {name: value.clone() for name, value in down.buffers.items()}
                    output = functional_call(model, (dict(down.parameters), after), (qx,))
                    total = total + weight * judged(self.loss, output, qy)
            return total, (output, after)

        def task(model: nn.Module, parameters: State, buffers: State, *columns: Tensor) -> OfTask:
            gradients, (loss, (output, buffers)) = grad_and_value(query_loss, has_aux=True)(
                parameters, buffers, model, *columns
            )
            return OfTask(gradients, loss, output, buffers)

        return mean_over_tasks(model, episodes, task, self.chunk)

    def _step(
        self,
        model: nn.Module,
        start: State,
        step: int,
        before: Descent,
        x: tuple[Any, ...],
        y: Tensor,
        order: Order,
    ) -> Descent:
        """One step; the rates are those of `start`, whatever the order."""

        def update(_: int, name: str, value: Tensor, gradient: Tensor) -> Tensor:
            rates = start.get(name_of_learned(f"rate.{name.removeprefix(MODEL)}"))
            return value - (self.lr if rates is None else rates[step]) * gradient

        return descend(
            model,
            before.parameters,
            before.buffers,
            x,
            y,
            steps=1,
            update=update,
            loss=self.loss,
            chosen=adaptable_of(model, every),
            order=order,
        )

    def _require_rates(self, parameters: State) -> None:
        for name, value in parameters.items():
            if name.startswith(name_of_learned("rate.")) and value.shape != (self.steps,):
                raise InvalidTask(
                    f"the model has rates {list(value.shape)} for {self.steps} steps; take as many "
                    "steps as it was equipped for"
                )


def maml_pp(
    steps: int = 5,
    lr: float = 0.1,
    multi_step: int = 0,
    first_order: int = 0,
    loss: Loss = natural_loss,
    chunk: int | None = None,
) -> MAMLPP:
    """MAML++ with `steps` inner steps whose rates begin at `lr`.

    Train `learner.equip(model)`, which holds the rates and counts the meta-gradients.  For the
    first `multi_step` of them the losses after earlier steps count too, less and less; the first
    `first_order` of them are of first order.  Neither is done at 0.  The paper anneals the weights
    over 15 of its 100 epochs and takes first order for 50.
    """
    return MAMLPP(steps, lr, multi_step, first_order, loss, chunk)
