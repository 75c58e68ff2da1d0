"""Implicit MAML: the meta-gradient from where a regularised descent ends, not from its path.

Rajeswaran, Finn, Kakade and Levine 2019: phi minimises L_support(phi) + lambda / 2 |phi - theta|^2
(eq. 3), and the gradient of L_query(phi) in theta is (I + H / lambda)^-1 grad L_query(phi), H being
the Hessian of L_support at phi (eq. 6), solved by conjugate gradients (algorithm 2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, grad_and_value, vjp

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.choices import adaptable, require_choice
from metaloom_metalearn.learners.descent import (
    Descent,
    descend,
    finished,
    first_order,
)
from metaloom_metalearn.learners.learner import (
    Adapted,
    Loss,
    MetaGradient,
    as_targets,
    buffers_of,
    judged,
    natural_loss,
    parameters_of,
    require_settings,
)
from metaloom_metalearn.learners.per_task import OfTask, State, mean_over_tasks
from metaloom_metalearn.tasks import Examples
from metaloom_registry import ParseError

_LEAST_CURVATURE = 0.01
"""Below it conjugate gradients stop; at a minimum of the support's loss it is 1 or more."""


@dataclass(frozen=True)
class ImplicitMAML:
    """Descent that is held near the model, and the implicit gradient; see `imaml`."""

    steps: int
    lr: float
    strength: float
    solver_steps: int = 10
    loss: Loss = natural_loss
    chunk: int | None = None

    def __post_init__(self) -> None:
        require_settings(self.steps, self.lr)
        if not self.strength > 0 or self.solver_steps < 0:
            raise ParseError(
                f"imaml was given strength={self.strength} and solver_steps={self.solver_steps}; "
                "give a strength above 0 and 0 or more steps of conjugate gradients"
            )

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """Adapt a copy of the model to the support, held near where it began."""
        del generator
        parameters = parameters_of(model)
        changed = require_choice(model, adaptable(model))
        wanted = as_targets(support.outputs, parameters[changed[0]])
        down = self._descent(model, parameters, buffers_of(model), support.inputs, wanted)
        return finished(model, changed, down)

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The implicit gradient of the mean query loss.

        It is exact where the descent ends at its minimum and `solver_steps` reach the number of
        parameters; its memory does not grow with `steps`.
        """
        del generator
        return mean_over_tasks(model, episodes, self._of_task, self.chunk)

    def _of_task(
        self,
        model: nn.Module,
        start: State,
        buffers: State,
        sx: Tensor,
        sy: Tensor,
        qx: Tensor,
        qy: Tensor,
    ) -> OfTask:
        down = self._descent(model, start, buffers, (sx,), sy)

        def of(parameters: State, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, State]]:
            after = {name: value.clone() for name, value in down.buffers.items()}
            output = functional_call(model, (dict(parameters), after), (x,))
            return judged(self.loss, output, y), (output, after)

        slope, (loss, (output, after)) = grad_and_value(of, has_aux=True)(
            dict(down.parameters), qx, qy
        )

        def support_loss(parameters: State) -> Tensor:
            return of(parameters, sx, sy)[0]

        hessian: Callable[[State], tuple[State]] = vjp(grad(support_loss), dict(down.parameters))[1]
        inner = set(filter(adaptable(model), slope))

        def curved(direction: State) -> State:
            """H / lambda times a direction in which the parameters outside the inner loop rest."""
            whole = {n: direction.get(n, torch.zeros_like(value)) for n, value in slope.items()}
            (image,) = hessian(whole)
            return {name: value / self.strength for name, value in image.items()}

        def damped(direction: State) -> State:
            image = curved(direction)
            return {name: value + image[name] for name, value in direction.items()}

        right = {name: slope[name] for name in slope if name in inner}
        solved = conjugate_gradients(damped, right, self.solver_steps)
        image = curved(solved) if len(inner) < len(slope) else {}
        gradients = {n: solved[n] if n in inner else slope[n] - image[n] for n in slope}
        return OfTask(gradients, loss, output, after)

    def _descent(
        self, model: nn.Module, start: State, buffers: State, x: tuple[Any, ...], y: Tensor
    ) -> Descent:
        def update(step: int, name: str, value: Tensor, gradient: Tensor) -> Tensor:
            return value - self.lr * (gradient + self.strength * (value - start[name]))

        return descend(
            model,
            start,
            buffers,
            x,
            y,
            steps=self.steps,
            update=update,
            loss=self.loss,
            chosen=adaptable(model),
            order=first_order,
        )


def conjugate_gradients(
    product: Callable[[State], State], right: State, steps: int
) -> dict[str, Tensor]:
    """What `product` takes to `right`, for a symmetric positive definite one.

    Hestenes and Stiefel 1952; exact after as many steps as there are numbers, but for rounding.
    It begins at `right` and stands still once the residual is 0, or where `product` turns out to
    curve down: a Hessian away from a minimum is not positive.
    """
    found = dict(right)
    image = product(found)
    residual = {name: value - image[name] for name, value in right.items()}
    direction = residual
    square = _inner(residual, residual)
    going = square > 0
    for _ in range(steps):
        image = product(direction)
        curvature = _inner(direction, image)
        going = going & (curvature > _LEAST_CURVATURE * _inner(direction, direction))
        length = torch.where(going, square / torch.where(going, curvature, 1), 0)
        found = {name: value + length * direction[name] for name, value in found.items()}
        residual = {name: value - length * image[name] for name, value in residual.items()}
        before, square = square, _inner(residual, residual)
        going = going & (square > 0)
        keep = torch.where(going, square / torch.where(going, before, 1), 0)
        direction = {name: value + keep * direction[name] for name, value in residual.items()}
    return found


def _inner(one: State, other: State) -> Tensor:
    return torch.stack([(value * other[name]).sum() for name, value in one.items()]).sum()


def imaml(
    steps: int = 16,
    lr: float = 0.1,
    strength: float = 2.0,
    solver_steps: int = 5,
    loss: Loss = natural_loss,
    chunk: int | None = None,
) -> ImplicitMAML:
    """Implicit MAML: `steps` inner steps of rate `lr`, held back by `strength` (lambda).

    `solver_steps` are those of conjugate gradients; the paper takes 16 inner steps, lambda 2 and 5
    of these on Omniglot.
    """
    return ImplicitMAML(steps, lr, strength, solver_steps, loss, chunk)
