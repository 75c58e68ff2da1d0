"""The demo's report: one HTML page that holds its own pictures."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import metaloom
from metaloom.pictures.program import Label, program_svg
from metaloom_demo.figures import Figures
from metaloom_registry import Reference, Term

_TITLES = {"5w1s": "5-way 1-shot", "5w5s": "5-way 5-shot"}


def write_report(figures: Figures, path: Path) -> None:
    """Write the page; everything from outside is escaped by the template engine."""
    pages = Environment(
        loader=PackageLoader("metaloom_demo"), autoescape=True, undefined=StrictUndefined
    )

    def picture(term: Term, *inputs: str) -> Markup:
        return Markup(program_svg(term, lambda ref: _label(figures, ref), inputs))

    pictures = {row.setting: picture(row.term, "support", "image") for row in figures.few_shot}
    pictures["sum"] = picture(figures.sum.term, "images")
    pictures["list"] = picture(figures.list.term, "xs")
    pictures["reuse"] = picture(figures.reuse.term, "xs")
    text = pages.get_template("report.html").render(
        figures=figures, pictures=pictures, titles=_TITLES, version=metaloom.__version__
    )
    path.write_text(text, encoding="utf-8")


def _label(figures: Figures, reference: Reference) -> Label:
    text, kind = figures.labels.get(reference, (str(reference), "primitive"))
    return Label(text, kind)
