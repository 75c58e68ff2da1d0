"""ANIL and BOIL: MAML whose inner steps change the head alone, or all but the head.

Raghu, Raghu, Bengio and Vinyals 2020 (ANIL, "almost no inner loop"): the features are reused, so
only the head is adapted.  Oh, Yoo, Kim and Yun 2021 (BOIL, "body only inner loop"): the features
change, and the head stays.  Both are MAML with a choice of inner parameters; all are meta-trained.
"""

from __future__ import annotations

from metaloom_metalearn.learners.choices import matching_names
from metaloom_metalearn.learners.descent import Order, second_order
from metaloom_metalearn.learners.learner import Loss, natural_loss
from metaloom_metalearn.learners.maml import MAML


def anil(
    steps: int,
    lr: float,
    head: str = "*head.*",
    order: Order = second_order,
    loss: Loss = natural_loss,
    chunk: int | None = None,
) -> MAML:
    """MAML that changes the parameters whose names match `head`, such as `4.*` or `*head.*`."""
    return MAML(steps, lr, order, loss, matching_names(head), chunk)


def boil(
    steps: int,
    lr: float,
    head: str = "*head.*",
    order: Order = second_order,
    loss: Loss = natural_loss,
    chunk: int | None = None,
) -> MAML:
    """MAML that changes all parameters but those whose names match `head`."""
    is_head = matching_names(head)
    return MAML(steps, lr, order, loss, lambda name: not is_head(name), chunk)
