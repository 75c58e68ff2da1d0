"""Episodes of two examples a class in which each example is asked for the other.

The normalised temperature-scaled cross-entropy of Chen et al. 2020, eq. 1, with two drawings of one
character in place of two views of one image: cosine prototypes in both directions, from one
embedding of each image.  Every other image is one to be told apart, so an episode of 120 classes
asks 240 questions of 239 answers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from metaloom_heads import cosine
from metaloom_metalearn import Episodes, Equipped, MetaGradient, metric

START_SCALE = 10.0
_HEAD = metric(cosine, learned={"scale": START_SCALE})


class Pairs:
    """A learner for `meta_train`, 1-shot with one query a class; train `equip(encoder)`."""

    def equip(self, encoder: nn.Module) -> Equipped:
        """The encoder with the scale of the cosines as a parameter."""
        return _HEAD.equip(encoder)

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The gradient of the mean over all images, support and query alike."""
        del generator
        parameters = {n: p.detach().requires_grad_() for n, p in model.named_parameters()}
        buffers = {n: b.detach().clone() for n, b in model.named_buffers()}
        size = episodes.support_x.shape[1]
        together = torch.cat([episodes.support_x, episodes.query_x], 1)
        scale = scale_of(parameters)
        with torch.enable_grad():
            vectors = functional_call(model, (parameters, buffers), (together.flatten(0, 1),))
            vectors = functional.normalize(vectors).reshape(*together.shape[:2], -1)
            logits = scale.exp() * vectors @ vectors.mT
            logits = logits - 1e9 * torch.eye(2 * size, device=logits.device)
            place = torch.arange(2 * size, device=logits.device).roll(size)
            loss = functional.cross_entropy(
                logits.flatten(0, 1), place.repeat(len(episodes)), reduction="mean"
            )
            gradients = torch.autograd.grad(loss, list(parameters.values()))
        return MetaGradient(
            float(loss.detach()),
            dict(zip(parameters, gradients, strict=True)),
            buffers,
            logits[:, size:, :size].detach(),
        )


def scale_of(parameters: dict[str, Tensor]) -> Tensor:
    """The logarithm of the scale, among the parameters of an equipped encoder."""
    [found] = [value for name, value in parameters.items() if name.endswith("log_scale")]
    return found
