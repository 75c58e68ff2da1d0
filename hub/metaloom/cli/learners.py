"""Learners on the command line: by their plugin's name, with settings; and the list of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from metaloom.cli.options import AsJson
from metaloom.cli.output import show, show_json, table
from metaloom_registry import MetaloomError, ParseError, discover, load_strict

if TYPE_CHECKING:
    from metaloom_metalearn import Arm, Learner


def learner_named(name: str, settings: Sequence[str]) -> Learner:
    """The learner of a plugin with settings such as `steps=5`.

    Raises NotFound for an unknown learner and ParseError for a setting that it does not take.
    """
    return cast("Learner", _made("metaloom.learners", f"the learner {name}", name, settings))


def search_named(name: str, settings: Sequence[str]) -> Arm:
    """The arm of a plugin with settings such as `width=8`; raises as `learner_named` does."""
    return cast("Arm", _made("metaloom.searches", f"the search {name}", name, settings))


def _made(group: str, what: str, name: str, settings: Sequence[str]) -> object:
    """What the plugin's function gives for the settings; `what` it is, for messages."""
    make = cast(Any, discover(group).load(name))
    given = dict(map(_setting, settings))
    known = _plain_settings(make)
    for setting, value in given.items():
        if setting not in known:
            raise ParseError(f"{what} has no setting {setting!r}; it has {', '.join(known)}")
        kinds = _kinds(known[setting])
        if kinds and type(value) not in {one for kind in kinds for one in _PLAIN[kind]}:
            raise ParseError(
                f"{what} takes as {setting} {' or '.join(sorted(kinds))}, not {value!r}"
            )
    needed = [p.name for p in known.values() if p.default is p.empty and p.name not in given]
    if needed:
        raise ParseError(
            f"{what} needs {', '.join(needed)}; "
            f"give --set {' --set '.join(f'{one}=...' for one in needed)}"
        )
    try:
        return make(**given)
    except (TypeError, ValueError) as error:
        raise ParseError(f"{what} does not take these settings: {error}") from None


def learners(as_json: AsJson = False) -> None:
    """List the learners that adapt takes, with their settings.

    [bold]Examples[/bold]

      metaloom learners
      metaloom adapt vision/net digits.npz --learner lora --set rank=2 --set steps=50
    """
    rows: list[dict[str, Any]] = []
    for outcome in discover("metaloom.learners").outcomes():
        if outcome.error is None:
            make = cast(Any, outcome.value)
            about = (inspect.getdoc(make) or "").split("\n\n")[0].replace("\n", " ")
            settings = {
                name: None if parameter.default is parameter.empty else parameter.default
                for name, parameter in _plain_settings(make).items()
            }
            rows.append({"name": outcome.plugin.name, "about": about, "settings": settings})
    if as_json:
        show_json(rows)
        return
    show(
        table(
            ("learner", "what it does", "settings"),
            (
                (
                    row["name"],
                    row["about"],
                    " ".join(
                        f"{n}={'...' if v is None else v}" for n, v in row["settings"].items()
                    ),
                )
                for row in rows
            ),
        )
    )


def _plain_settings(make: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """What the command line can say; the others, such as a loss, are given from Python."""
    parameters = inspect.signature(make).parameters.values()
    return {one.name: one for one in parameters if _kinds(one) <= _PLAIN.keys()}


_PLAIN = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
    "None": (type(None),),
}
"""What the command line can say, by the names that annotations give it."""


def _kinds(parameter: inspect.Parameter) -> set[str]:
    """The names of the types in an annotation; none where there is no annotation."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return set()
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    return {part.strip() for part in text.split("|")}


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ParseError(f"{text!r} is not a setting; write it as steps=5")
    try:
        return name, load_strict(value.encode())
    except MetaloomError:
        raise ParseError(f"{value!r} is no number, truth value or text in quotes") from None
