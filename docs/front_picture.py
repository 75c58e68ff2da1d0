"""The picture of the front page: examples and a library in, a program out.

python docs/front_picture.py docs/pictures
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import torch

from metaloom.pictures.program import Label, program_svg
from metaloom_registry import Reference, parse_term
from metaloom_vision import digits

WIDTH, HEIGHT, PIXEL = 760, 440, 4
EXAMPLES = ((3, 5), (7, 0, 4), (1, 8, 2))
LONGER = (9, 1, 6, 0, 2, 7, 3, 5)
LIBRARY = (
    (("digit : image[1,8,8] -> logits[10]", "graph"),),
    (("double-evens : list[int] -> list[int]", "program"),),
    (("map", "primitive"), ("filter", "primitive"), ("fold", "primitive"), ("sum", "primitive")),
    (("argmax", "primitive"), ("value", "primitive"), ("sort", "primitive"), ("...", "primitive")),
)
FILLS = {"graph": ("#fff0d9", "#c77700"), "program": ("#e3f4ea", "#2b8a57")}
PROGRAM = (
    "(lam (lists/sum@1 (lists/map@1 (lam (heads/value@1 (heads/argmax@1 (me/digit@1 $0)))) $0)))"
)


def drawn() -> str:
    """The picture as SVG."""
    marks = [
        _text(28, 40, "a few examples", "head"),
        _text(392, 40, "a library that others filled", "head"),
        *_examples(),
        *_library(),
        _text(28, 226, "the program that the search finds", "head"),
        f'<g transform="translate(16,236)">{_program()}</g>',
        _text(28, 378, "and it goes on adding, on lists longer than any it saw", "head"),
        *_images(LONGER, 28, 390),
        _text(28 + 40 * len(LONGER) + 6, 412, f"→ {sum(LONGER)}", "code"),
    ]
    style = ".head{font:600 15px system-ui,sans-serif}.code{font:14px ui-monospace,monospace}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img"><title>From examples and a library to a program</title>'
        f'<style>{style}text{{fill:#1d2733}}</style><rect width="{WIDTH}" height="{HEIGHT}" '
        f'rx="12" fill="#fbfcfd" stroke="#dfe5ec"/>{"".join(marks)}</svg>\n'
    )


def _examples() -> Iterator[str]:
    for line, numbers in enumerate(EXAMPLES):
        y = 54 + 44 * line
        yield from _images(numbers, 28, y)
        yield _text(28 + 40 * len(numbers) + 6, y + 22, f"→ {sum(numbers)}", "code")


def _library() -> Iterator[str]:
    for line, blocks in enumerate(LIBRARY):
        x = 392.0
        for words, kind in blocks:
            fill, stroke = FILLS.get(kind, ("#eef2f7", "#5b6b7f"))
            width = 8.4 * len(words) + 16
            yield (
                f'<rect x="{x}" y="{54 + 36 * line}" width="{width:.0f}" height="28" rx="6" '
                f'fill="{fill}" stroke="{stroke}"/>'
            )
            yield _text(x + 8, 73 + 36 * line, words, "code")
            x += width + 8


def _program() -> str:
    def label(reference: Reference) -> Label:
        words = str(reference).partition("@")[0].rpartition("/")[2]
        return Label(words, "graph" if words == "digit" else "primitive")

    return program_svg(parse_term(PROGRAM), label, ["images"])


def _images(numbers: Sequence[int], x: int, y: int) -> Iterator[str]:
    """One handwritten digit beside the other; each place shows another hand."""
    arrays = digits()
    for place, number in enumerate(numbers):
        of_class = torch.nonzero(arrays.labels == number).flatten()
        yield f'<g transform="translate({x + 40 * place},{y})">'
        yield '<rect width="34" height="34" rx="4" fill="#fff" stroke="#dfe5ec"/>'
        yield f'<g transform="translate(1,1)">{_pixels(arrays.inputs[of_class[place]][0])}</g></g>'


def _pixels(image: torch.Tensor) -> str:
    """Ink as squares, a path for each of four shades."""
    shades = (image * 4).round().int().tolist()
    paths = []
    for shade in range(1, 5):
        squares = "".join(
            f"M{PIXEL * column} {PIXEL * line}h{PIXEL}v{PIXEL}h-{PIXEL}z"
            for line, row in enumerate(shades)
            for column, value in enumerate(row)
            if value == shade
        )
        paths.append(f'<path d="{squares}" fill="#1d2733" fill-opacity="{shade / 4}"/>')
    return "".join(paths)


def _text(x: float, y: float, words: str, style: str) -> str:
    return f'<text x="{x}" y="{y}" class="{style}">{escape(words)}</text>'


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/pictures")
    picture = re.sub(r"\n+", "", drawn()) + "\n"
    (folder / "front.svg").write_text(picture, encoding="utf-8")
