"""Curves on fine knots for given structures: a joint l1 trend filter.

    min  1/2 sum_t w_t |y_t - Phi_t (f_i + f_j)|^2 + lambda sum_k |D2 f_k|_1 / step

D2 being second differences: the curves are straight except where the data say otherwise, jumps
included (Kim, Koh, Boyd and Gorinevsky 2009, "l1 trend filtering").  It is solved by iteratively
reweighted least squares; each step is one block tridiagonal system, because no point and no second
difference reaches beyond two knots.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metaloom_metalearn.modular.curves import Moments
from metaloom_metalearn.modular.discover import counts_of

BLOCK = 8
"""Knots in one block of the system."""

SMALL = 1e-4
"""Second differences below this count as none, in units of the outputs' spread."""


@dataclass(frozen=True)
class Bands:
    """The normal equations of curves [knots, K] over bands: A[d, d + o] for o = 0 and 1.

    own, beside [knots, K, K]; wanted [knots, K].
    """

    own: Tensor
    beside: Tensor
    wanted: Tensor

    @classmethod
    def of(cls, moments: Moments, structures: Tensor, count: int) -> Bands:
        counts = counts_of(structures, count)
        both = (counts[:, :, None] * counts[:, None]).flatten(1)
        shape = (-1, count, count)
        return cls(
            (moments.own.T @ both).reshape(shape),
            (moments.next.T @ both).reshape(shape),
            moments.cross.T @ counts,
        )

    def solved(self, bends: Tensor, steps: float) -> Tensor:
        """The curves [knots, K] under weights bends [knots - 2, K] on squared second differences.

        `steps` weighs the squared first differences, a little of which keeps the system definite.
        """
        knots, count = self.wanted.shape
        padded = knots + -knots % BLOCK
        own = self.wanted.new_full((padded, count), 1e-9)
        own[knots:] = 1.0
        beside, beyond = torch.zeros_like(own), torch.zeros_like(own)
        own[: knots - 1] += steps
        own[1:knots] += steps
        beside[: knots - 1] -= steps
        for shift, factor in enumerate((1.0, 4.0, 1.0)):
            own[shift : knots - 2 + shift] += factor * bends
        beside[: knots - 2] -= 2 * bends
        beside[1 : knots - 1] -= 2 * bends
        beyond[: knots - 2] += bends
        bands = [torch.diag_embed(band) for band in (own, beside, beyond)]
        bands[0][:knots] += self.own
        bands[1][:knots] += self.beside
        wanted = self.wanted.new_zeros(padded, count)
        wanted[:knots] = self.wanted
        diagonal, above = _blocks(bands)
        solution = block_tridiagonal(diagonal, above, wanted.reshape(len(diagonal), -1))
        return solution.reshape(padded, count)[:knots]


def trend_filtered(
    moments: Moments, structures: Tensor, count: int, strength: float, rounds: int = 12
) -> Tensor:
    """Values [count, knots] of the curves of least penalised error.

    `strength` is lambda times the length of the knots, in units of the moments' weights.
    """
    bands, knots = Bands.of(moments, structures, count), moments.knots
    scale = strength / (knots.step / (knots.high - knots.low))
    bends = bands.wanted.new_full((knots.count - 2, count), scale)
    steps = 1e-3 * float(moments.own.mean())
    for _ in range(rounds):
        curves = bands.solved(bends, steps)
        bends = scale / (curves.diff(dim=0).diff(dim=0).abs() + SMALL)
    return curves.T.contiguous()


def block_tridiagonal(diagonal: Tensor, above: Tensor, wanted: Tensor) -> Tensor:
    """Solve a symmetric positive definite system by block Cholesky factors.

    diagonal [B, m, m], above [B - 1, m, m] (block b to b + 1), wanted [B, m] -> [B, m].
    """
    factors: list[Tensor] = []
    links: list[Tensor] = []
    halves: list[Tensor] = []
    block, right = diagonal[0], wanted[0][:, None]
    for place in range(len(diagonal)):
        factor = torch.linalg.cholesky(block)
        factors.append(factor)
        halves.append(torch.linalg.solve_triangular(factor, right, upper=False))
        if place + 1 < len(diagonal):
            link = torch.linalg.solve_triangular(factor, above[place], upper=False)
            links.append(link)
            block = diagonal[place + 1] - link.T @ link
            right = wanted[place + 1][:, None] - link.T @ halves[-1]
    solved: list[Tensor] = []
    for place in reversed(range(len(diagonal))):
        right = halves[place]
        if solved:
            right = right - links[place] @ solved[-1]
        solved.append(torch.linalg.solve_triangular(factors[place].T, right, upper=True))
    return torch.stack(solved[::-1])[:, :, 0]


def _blocks(bands: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Bands A[d, d + o] [knots, K, K], o = 0, 1, 2, as blocks of `BLOCK` knots."""
    padded, count, _ = bands[0].shape
    blocks = padded // BLOCK
    diagonal = bands[0].new_zeros(blocks, BLOCK, count, BLOCK, count)
    above = torch.zeros_like(diagonal)
    for offset, band in enumerate(bands):
        split = band.reshape(blocks, BLOCK, count, count)
        for knot in range(BLOCK):
            part, to = split[:, knot], knot + offset
            if to >= BLOCK:
                above[:, knot, :, to - BLOCK] = part
                continue
            diagonal[:, knot, :, to] = part
            if offset:
                diagonal[:, to, :, knot] = part.transpose(1, 2)
    size = BLOCK * count
    return diagonal.reshape(blocks, size, size), above.reshape(blocks, size, size)[:-1]
