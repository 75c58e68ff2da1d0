"""A program as a picture: values flow from left to right, a function that is passed has a frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from metaloom_registry import (
    Apply,
    Bound,
    Hole,
    Lambda,
    Let,
    Literal,
    Reference,
    Term,
    Use,
    print_term,
    spine,
)

_CHARACTER = 7.4  # width of a character of the 12.5 px monospace face, in pixels
_HEIGHT = 30.0
_GAP_X = 34.0
_GAP_Y = 12.0
_PAD = 14.0

_COLOURS = {
    "primitive": ("#eef2f7", "#5b6b7f"),
    "graph": ("#fff0d9", "#c77700"),
    "program": ("#e3f4ea", "#2b8a57"),
    "variable": ("#ffffff", "#8a94a3"),
    "literal": ("#ffffff", "#b9c0ca"),
    "hole": ("#fde8e8", "#c23b3b"),
}


@dataclass(frozen=True)
class Label:
    """How a block appears in a picture: its name, and its kind, which gives the colour."""

    text: str
    kind: str


@dataclass(frozen=True)
class _Drawing:
    """Marks at the origin; `outlet` is the height at which the value leaves on the right."""

    width: float
    height: float
    outlet: float
    marks: str


def program_svg(
    term: Term, label: Callable[[Reference], Label], inputs: Sequence[str] = ("x",)
) -> str:
    """Draw a term as an SVG element.

    `label` says how each block appears; `inputs` name the arguments of the outermost lambdas, and
    count how many of them are the program's own inputs.
    """
    scope: tuple[str, ...] = ()
    for name in inputs:
        if not isinstance(term, Lambda):
            break
        scope, term = (name, *scope), term.body
    drawn = _draw(term, scope, label)
    width, height = drawn.width + 2 * _PAD + 26, drawn.height + 2 * _PAD
    y = drawn.outlet + _PAD
    end = drawn.width + _PAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="program" role="img" '
        f'aria-label="the program as a graph" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="ui-monospace, Menlo, Consolas, '
        f'monospace" font-size="12.5"><g transform="translate({_PAD},{_PAD})">{drawn.marks}</g>'
        f'<path d="M{end:.1f} {y:.1f}h18" stroke="#5b6b7f" fill="none" stroke-width="1.6"/>'
        f'<path d="M{end + 17:.1f} {y - 4:.1f}l7 4l-7 4z" fill="#5b6b7f"/></svg>'
    )


def _draw(term: Term, scope: tuple[str, ...], label: Callable[[Reference], Label]) -> _Drawing:
    if isinstance(term, Apply):
        head, arguments = spine(term)
        return _flow(_name(head, scope, label), [_draw(a, scope, label) for a in arguments])
    if isinstance(term, Lambda):
        return _frame(term, scope, label)
    if isinstance(term, Let):
        value = _draw(term.value, scope, label)
        body = _draw(term.body, (f"v{len(scope)}", *scope), label)
        return _flow(Label(f"let v{len(scope)}", "primitive"), [value, body])
    return _box(_name(term, scope, label))


def _name(term: Term, scope: tuple[str, ...], label: Callable[[Reference], Label]) -> Label:
    if isinstance(term, Use):
        return label(term.reference)
    if isinstance(term, Bound):
        known = term.index < len(scope)
        return Label(scope[term.index] if known else f"${term.index}", "variable")
    if isinstance(term, Literal):
        return Label(print_term(term), "literal")
    if isinstance(term, Hole):
        return Label(f"? : {term.type}", "hole")
    return Label("apply", "primitive")


def _box(label: Label) -> _Drawing:
    fill, stroke = _COLOURS[label.kind]
    width = max(30.0, len(label.text) * _CHARACTER + 20)
    radius = 15 if label.kind in ("variable", "literal") else 6
    marks = (
        f'<rect x="0.8" y="0.8" width="{width - 1.6:.1f}" height="{_HEIGHT - 1.6}" rx="{radius}" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="1.4"/>'
        f'<text x="{width / 2:.1f}" y="{_HEIGHT / 2 + 4.3:.1f}" text-anchor="middle" '
        f'fill="#1d2733">{escape(label.text)}</text>'
    )
    return _Drawing(width, _HEIGHT, _HEIGHT / 2, marks)


def _flow(label: Label, inputs: Sequence[_Drawing]) -> _Drawing:
    """The inputs one below the other on the left, the block that takes them on the right."""
    box = _box(label)
    left = max(drawing.width for drawing in inputs)
    height = sum(drawing.height for drawing in inputs) + _GAP_Y * (len(inputs) - 1)
    height = max(height, box.height)
    top = height / 2 - box.height / 2
    box_x = left + _GAP_X
    marks = []
    y = 0.0
    for i, drawing in enumerate(inputs):
        marks.append(f'<g transform="translate({left - drawing.width:.1f},{y:.1f})">')
        marks.append(f"{drawing.marks}</g>")
        start = y + drawing.outlet
        stop = top + box.height * (i + 1) / (len(inputs) + 1)
        marks.append(
            f'<path d="M{left:.1f} {start:.1f}C{left + _GAP_X / 2:.1f} {start:.1f} '
            f'{left + _GAP_X / 2:.1f} {stop:.1f} {box_x:.1f} {stop:.1f}" stroke="#8a94a3" '
            f'fill="none" stroke-width="1.5"/>'
        )
        y += drawing.height + _GAP_Y
    marks.append(f'<g transform="translate({box_x:.1f},{top:.1f})">{box.marks}</g>')
    return _Drawing(box_x + box.width, height, top + box.height / 2, "".join(marks))


def _frame(term: Term, scope: tuple[str, ...], label: Callable[[Reference], Label]) -> _Drawing:
    """A function that is passed on: its body in a dashed frame under its parameters' names."""
    names: list[str] = []
    while isinstance(term, Lambda):
        names.append("xyzuvw"[len(scope) % 6] if len(scope) < 6 else f"x{len(scope)}")
        scope, term = (names[-1], *scope), term.body
    body = _draw(term, scope, label)
    title = f"{', '.join(names)} ↦"
    width = max(body.width + 20, len(title) * _CHARACTER + 20)
    height = body.height + 34
    marks = (
        f'<rect x="0.8" y="0.8" width="{width - 1.6:.1f}" height="{height - 1.6:.1f}" rx="9" '
        f'fill="#f8fafc" stroke="#8a94a3" stroke-width="1.2" stroke-dasharray="5 4"/>'
        f'<text x="10" y="17" fill="#5b6b7f">{escape(title)}</text>'
        f'<g transform="translate(10,24)">{body.marks}</g>'
    )
    return _Drawing(width, height, body.outlet + 24, marks)
