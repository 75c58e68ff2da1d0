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
_CHUNK = 4096


@dataclass(frozen=True)
class Style:
    """How characters are made and drawn; lengths are shares of the picture's side.

    strokes: the chance of one, two, ... strokes.  joined: the chance that a stroke begins on the
    one before.  straight, arc: the chance that a stroke is a straight line, or an arc of an
    ellipse; else it is a curve through random points.  width: the widest a character is, for a
    height of 1.  The rest is what differs between drawings, as standard deviations: jitter, of each
    point; warp, of a smooth displacement of the plane, which changes proportions; turn, of the
    angle in radians; lean, of the shear; stretch, of the logarithm of width by height.  pen: the
    thinnest and the thickest stroke.
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
    pen: tuple[float, float] = (0.09, 0.22)
    margin: float = 0.02


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
    low, high = style.pen
    pen = low + (high - low) * torch.rand(count, generator=generator)
    return _rendered(_fitted(ink, present, pen + style.margin, style.width), present, pen, size)


def _waves(places: Tensor, generator: torch.Generator) -> Tensor:
    """A smooth random field at [n, ..., 2], one for each n, of deviation about 1 on each axis.

    A sum of `_WAVES` plane waves, about as long as a character is high.
    """
    count = len(places)
    directions = 3.0 * torch.randn(count, 2, _WAVES, generator=generator)
    phases = 2 * math.pi * torch.rand(count, 1, _WAVES, generator=generator)
    heights = torch.randn(count, _WAVES, 2, generator=generator) * (2 / _WAVES) ** 0.5
    flat = places.flatten(1, -2)
    return ((flat @ directions + phases).sin() @ heights).reshape(places.shape)


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


def _fitted(ink: Tensor, present: Tensor, room: Tensor, width: float) -> Tensor:
    """The ink moved and scaled to fill [0, 1] in height, and at most `width` across.

    `room` is left free at the edges; height is stretched at most twice as much as width.
    """
    away = ~present[:, :, None, None]
    low = ink.masked_fill(away, math.inf).amin((1, 2))
    high = ink.masked_fill(away, -math.inf).amax((1, 2))
    across, down = (high - low).clamp(min=1e-3).unbind(1)
    tall = (1 - room) / down
    wide = torch.minimum(tall, (width - room) / across)
    scale = torch.stack([wide, torch.minimum(tall, 2 * wide)], 1)
    return 0.5 + (ink - ((low + high) / 2)[:, None, None]) * scale[:, None, None]


def _rendered(ink: Tensor, present: Tensor, pen: Tensor, size: int) -> Tensor:
    """Ink [n, strokes, points, 2] in [0, 1] as pictures [n, 1, size, size]: the share of black."""
    count, cell = len(ink), max(1, round(32 / size))
    side = size * cell
    spots = (ink * side).long().clamp(0, side - 1)
    flat = torch.where(present[:, :, None], spots[..., 1] * side + spots[..., 0], side * side)
    bitmap = torch.zeros(count, side * side + 1).scatter_(1, flat.reshape(count, -1), 1.0)
    bitmap = bitmap[:, :-1].reshape(count, 1, side, side)
    reach = max(1, math.ceil(float(pen.max()) * side / 2))
    across = torch.arange(-reach, reach + 1)
    distance = (across[:, None] ** 2 + across[None, :] ** 2).sqrt()
    radii = torch.arange(0.5, reach + 0.5, 0.5)
    discs = (distance <= radii[:, None, None]).float()[:, None]
    pens = (radii - (pen * side / 2)[:, None]).abs().argmin(1)
    black = torch.zeros_like(bitmap)
    for index in range(len(radii)):
        rows = pens == index
        black[rows] = (functional.conv2d(bitmap[rows], discs[index, None], padding=reach) > 0).to(
            black.dtype
        )
    return functional.avg_pool2d(black, cell)


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
