"""Invented characters: random strokes, drawn again and again by an unsteady hand.

A character is one to four strokes, each a smooth curve or a straight line through random points;
a drawing moves its points a little, warps the plane they lie in, bends it by a small affine map,
chooses a pen and scales the ink to fill the picture.  Pictures are made as those of the UCI digits
were: a black and white bitmap, of which each pixel of the picture counts the ink in one square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_metalearn import LabelledArrays

_POINTS = 64
_WAVES = 4
_CHUNK = 1024
_PENS = 24


@dataclass(frozen=True)
class Style:
    """How characters are made and drawn; lengths are shares of the picture's side.

    strokes: the chance of one, two, ... strokes.  joined: the chance that a stroke begins on the
    one before.  straight, arc: the chance that a stroke is a straight line, or an arc of an
    ellipse; else it is a curve through random points.  width: the widest a character is, for a
    height of 1.  The rest is what differs between drawings, as standard deviations: jitter, of each
    point; warp, of a smooth displacement of the plane, which changes proportions; turn, of the
    angle in radians; lean, of the shear; stretch, of the logarithm of width by height.  ink: mean
    and deviation of the share of the picture that is black; the pen is chosen for it, between the
    thinnest and the thickest of `pen`.  The UCI digits have nearly equal ink, 0.305 and 0.034: what
    is short is written thick.
    """

    strokes: tuple[float, ...] = (0.3, 0.4, 0.2, 0.1)
    controls: int = 6
    joined: float = 0.6
    straight: float = 0.3
    arc: float = 0.4
    width: float = 0.75
    jitter: float = 0.04
    warp: float = 0.0
    turn: float = 0.12
    lean: float = 0.15
    stretch: float = 0.15
    ink: tuple[float, float] = (0.305, 0.034)
    pen: tuple[float, float] = (0.06, 0.4)


@dataclass(frozen=True)
class Characters:
    """Characters as the points their strokes run through.

    points: [n, strokes, controls, 2], x to the right and y down; present: bool [n, strokes].
    """

    points: Tensor
    present: Tensor

    def __len__(self) -> int:
        return len(self.points)


def invent(count: int, generator: torch.Generator, style: Style | None = None) -> Characters:
    """Invent `count` characters; equal generators invent equal ones."""
    style = style or Style()
    most, controls = len(style.strokes), style.controls

    def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    steps = torch.linspace(0, 1, controls)[:, None]
    curve = uniform(count, most, controls, 2) * torch.tensor([style.width, 1.0])
    line = curve[:, :, :1] + (curve[:, :, -1:] - curve[:, :, :1]) * steps
    sweep = uniform(count, most, 1, 1, low=-2.1 * math.pi, high=2.1 * math.pi)
    angle = uniform(count, most, 1, 1, high=2 * math.pi) + sweep * steps
    radius = uniform(count, most, 1, 2, low=0.12, high=0.5) * torch.tensor([style.width, 1.0])
    arc = curve[:, :, :1] + radius * torch.cat([angle.cos(), angle.sin()], -1)
    kind = uniform(count, most, 1, 1)
    points = torch.where(kind < style.straight + style.arc, arc, curve)
    points = torch.where(kind < style.straight, line, points)
    start = (uniform(count, most, 1, 1) * controls).long().expand(-1, -1, 1, 2)
    joined = uniform(count, most, 1, 1) < style.joined
    for stroke in range(1, most):
        hold = points[:, stroke - 1].gather(1, start[:, stroke])
        moved = points[:, stroke] + hold - points[:, stroke, :1]
        points[:, stroke] = torch.where(joined[:, stroke], moved, points[:, stroke])
    number = torch.multinomial(torch.tensor(style.strokes), count, True, generator=generator)
    return Characters(points, torch.arange(most) <= number[:, None])


def draw(
    characters: Characters,
    drawings: int,
    size: int,
    generator: torch.Generator,
    style: Style | None = None,
) -> Tensor:
    """Draw every character `drawings` times: float32 [n, drawings, 1, size, size] in [0, 1]."""
    style = style or Style()
    points = characters.points.repeat_interleave(drawings, 0)
    present = characters.present.repeat_interleave(drawings, 0)
    images = [
        _draw(points[i : i + _CHUNK], present[i : i + _CHUNK], size, generator, style)
        for i in range(0, len(points), _CHUNK)
    ]
    return torch.cat(images).reshape(len(characters), drawings, 1, size, size)


def _draw(
    points: Tensor, present: Tensor, size: int, generator: torch.Generator, style: Style
) -> Tensor:
    """One drawing of each: [n, strokes, controls, 2] -> [n, 1, size, size]."""
    count = len(points)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    points = points + style.jitter * normal(*points.shape)
    angle, lean = style.turn * normal(count), style.lean * normal(count)
    wide = (0.5 * style.stretch * normal(count)).exp()
    cos, sin = angle.cos(), angle.sin()
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    bend = torch.stack([torch.stack([wide, lean], 1), torch.stack([wide * 0, 1 / wide], 1)], 1)
    curves = torch.einsum("pc,nscx->nspx", _spline(points.shape[2]), points)
    curves = curves + style.warp * _waves(curves, generator)
    ink = torch.einsum("nxy,nspy->nspx", turn @ bend, curves)
    wanted = style.ink[0] + style.ink[1] * normal(count)
    cell = max(1, round(32 / size))
    pen = torch.full((count,), sum(style.pen) / 3)
    for _ in range(2):  # the pen decides how far the ink reaches, and that which pen is needed
        distance = _distance(_fitted(ink, present, pen, style.width), present, size * cell, style)
        pen = _pen(distance, wanted, style)
    black = distance <= (pen * size * cell / 2)[:, None, None]
    return functional.avg_pool2d(black.float()[:, None], cell)


def _waves(places: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth random field at [n, ..., 2], one for each n, of deviation about 1 on each axis.

    A sum of `_WAVES` plane waves, about as long as a character is high.
    """
    count = len(places)
    directions = 3.0 * torch.randn(count, 2, _WAVES, generator=generator)
    phases = 2 * math.pi * torch.rand(count, 1, _WAVES, generator=generator)
    heights = torch.randn(count, _WAVES, 2, generator=generator) * (2 / _WAVES) ** 0.5
    flat = places.flatten(1, -2)
    field: Tensor = (flat @ directions + phases).sin() @ heights
    return field.reshape(places.shape)


def _spline(controls: int) -> Tensor:
    """The Catmull-Rom curve through evenly spaced points, as a matrix [points, controls].

    Catmull and Rom 1974; the tangents at the ends are those of the first and last chord.
    """
    place = torch.linspace(0, controls - 1, _POINTS)
    left = place.long().clamp(max=controls - 2)
    t = (place - left)[:, None]
    tangents = torch.zeros(controls, controls)
    for i in range(controls):
        before, after = max(i - 1, 0), min(i + 1, controls - 1)
        tangents[i, after] += 1 / (after - before)
        tangents[i, before] -= 1 / (after - before)
    values = torch.eye(controls)
    return (
        (2 * t**3 - 3 * t**2 + 1) * values[left]
        + (t**3 - 2 * t**2 + t) * tangents[left]
        + (3 * t**2 - 2 * t**3) * values[left + 1]
        + (t**3 - t**2) * tangents[left + 1]
    )


def _fitted(ink: Tensor, present: Tensor, pen: Tensor, width: float) -> Tensor:
    """The ink moved and scaled to fill [0, 1] in height, and at most `width` across.

    The edge cuts off a fifth of the pen's width.  Height is stretched at most twice as much as
    width.
    """
    room = 0.6 * pen
    away = ~present[:, :, None, None]
    low = ink.masked_fill(away, math.inf).amin((1, 2))
    high = ink.masked_fill(away, -math.inf).amax((1, 2))
    across, down = (high - low).clamp(min=1e-3).unbind(1)
    tall = (1 - room) / down
    wide = torch.minimum(tall, (width - room) / across)
    scale = torch.stack([wide, torch.minimum(tall, 2 * wide)], 1)
    return 0.5 + (ink - ((low + high) / 2)[:, None, None]) * scale[:, None, None]


def _distance(ink: Tensor, present: Tensor, side: int, style: Style) -> Tensor:
    """How far each pixel of [n, side, side] is from the ink [n, strokes, points, 2] in [0, 1].

    In pixels, and exact up to the thickest pen's radius: beyond, it is larger.
    """
    count, reach = len(ink), math.ceil(style.pen[1] * side / 2)
    spots = (ink * side).long().clamp(0, side - 1)
    flat = torch.where(present[:, :, None], spots[..., 1] * side + spots[..., 0], side * side)
    squares = torch.full((count, side * side + 1), float(2 * side * side))
    squares.scatter_(1, flat.reshape(count, -1), 0.0)
    squares = squares[:, :-1].reshape(count, side, side)
    for axis in (1, 2):  # the least square along one axis, then along the other
        start = squares
        for step in range(1, reach + 1):
            near, far = start.narrow(axis, 0, side - step), start.narrow(axis, step, side - step)
            squares = squares.clone() if step == 1 else squares
            low = squares.narrow(axis, 0, side - step)
            high = squares.narrow(axis, step, side - step)
            torch.minimum(low, far + step * step, out=low)
            torch.minimum(high, near + step * step, out=high)
    return squares.sqrt()


def _pen(distance: Tensor, wanted: Tensor, style: Style) -> Tensor:
    """The width of the pen that comes nearest to the share of black that is wanted: [n]."""
    thin, thick = style.pen
    if thin == thick:
        return torch.full((len(distance),), thin)
    needed = (2 / distance.shape[-1] * distance.flatten(1) - thin) / (thick - thin)
    places = (needed * (_PENS - 1)).ceil().clamp(0, _PENS).long()
    counts = torch.zeros(len(distance), _PENS + 1)
    counts.scatter_add_(1, places, torch.ones(1, 1).expand(places.shape))
    shares = counts.cumsum(1)[:, :_PENS] / places.shape[1]
    pens = torch.linspace(thin, thick, _PENS)
    return pens[(shares - wanted[:, None]).abs().argmin(1)]


def invented_characters(
    count: int,
    drawings: int,
    generator: torch.Generator,
    size: int = 8,
    style: Style | None = None,
) -> LabelledArrays:
    """A data set of invented characters, `drawings` of each.

    The names of the classes hold the generator's seed, so that classes of other seeds are others.
    """
    characters = invent(count, generator, style)
    images = draw(characters, drawings, size, generator, style).reshape(-1, 1, size, size)
    return LabelledArrays(
        inputs=images,
        labels=torch.arange(count).repeat_interleave(drawings),
        names=tuple(f"{generator.initial_seed()}/{i}" for i in range(count)),
        dataset="metaloom/strokes",
    )
