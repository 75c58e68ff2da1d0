"""Deep ensembles: networks trained alike from different beginnings, their outputs averaged.

What one network errs in depends on its beginning and on the order of what it saw; the mean of a few
errs less, and says how sure it is more truly (Lakshminarayanan et al. 2017).  An ensemble is made
place by place of the parts of its members, so that it stands in the same term, and its encoder is a
block for other tasks: first parts read the same input, those after them each the share of the
vector that is its own member's, and the last ones' outputs are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from metaloom_metalearn.search.candidate import Part
from metaloom_registry import Arrow, Tensor, Type


class Ensemble(nn.Module):
    """Members side by side on one input, or each on its share of a vector [rows, members n].

    What they make, [rows, n] each, is averaged, or laid side by side, [rows, members n].
    """

    def __init__(self, members: Sequence[nn.Module], shares: bool, averages: bool) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.shares = shares
        self.averages = averages

    def forward(self, x: Any) -> torch.Tensor:
        count = len(self.members)
        inputs = x.chunk(count, dim=1) if self.shares else [x] * count
        made = [member(one) for member, one in zip(self.members, inputs, strict=True)]
        return torch.stack(made).mean(0) if self.averages else torch.cat(made, 1)


def joined(members: Sequence[Sequence[Part]]) -> tuple[Part, ...]:
    """The parts of an ensemble, one for each place, out of the parts of each of its members.

    A part goes on from the one before it where it takes what that makes.  The first member alone
    where there is no other, or where a type does not tell how long a vector between parts is.
    """
    first = tuple(members[0])
    after = [False, *(_goes_on(one, two) for one, two in pairwise(first))]
    before = [*after[1:], False]
    between = [part.type for part, goes_on in zip(first, before, strict=True) if goes_on]
    if len(members) == 1 or not all(_length(type_) for type_ in between):
        return first
    found = []
    for place, part in enumerate(first):
        shares, averages = after[place], not before[place]
        module = Ensemble([parts[place].module for parts in members], shares, averages)
        assert isinstance(part.type, Arrow)
        given, made = part.type.argument, part.type.result
        given = _longer(given, len(members)) if shares else given
        made = made if averages else _longer(made, len(members))
        found.append(Part(module, Arrow(given, made), part.parents))
    return tuple(found)


def _goes_on(before: Part, part: Part) -> bool:
    one, two = before.type, part.type
    return isinstance(one, Arrow) and isinstance(two, Arrow) and one.result == two.argument


def _length(function: Type) -> int | None:
    """The first dimension of the tensor that a function makes, where its type has the number."""
    made = function.result if isinstance(function, Arrow) else None
    size = made.dimensions[0] if isinstance(made, Tensor) and made.dimensions else None
    return size if isinstance(size, int) else None


def _longer(type_: Type, times: int) -> Type:
    """The tensor with its first dimension so many times as long."""
    assert isinstance(type_, Tensor)
    size, *others = type_.dimensions
    assert isinstance(size, int)
    return Tensor(type_.kind, (times * size, *others))
