"""A learner from the command line: its plugin's name and its settings."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from metaloom_registry import MetaloomError, ParseError, discover, load_strict

if TYPE_CHECKING:
    from metaloom_metalearn import Learner


def learner_named(name: str, settings: Sequence[str]) -> Learner:
    """The learner of a plugin with settings such as `steps=5`.

    Raises NotFound for an unknown learner and ParseError for a setting that it does not take.
    """
    make = cast(Any, discover("metaloom.learners").load(name))
    given = dict(map(_setting, settings))
    known = {
        parameter.name: parameter
        for parameter in inspect.signature(make).parameters.values()
        if _kinds(parameter) <= _PLAIN.keys()  # the others, such as a loss, are given from Python
    }
    for setting, value in given.items():
        if setting not in known:
            raise ParseError(
                f"the learner {name} has no setting {setting!r}; it has {', '.join(known)}"
            )
        kinds = _kinds(known[setting])
        if kinds and type(value) not in {one for kind in kinds for one in _PLAIN[kind]}:
            raise ParseError(
                f"the learner {name} takes as {setting} {' or '.join(sorted(kinds))}, not {value!r}"
            )
    needed = [p.name for p in known.values() if p.default is p.empty and p.name not in given]
    if needed:
        raise ParseError(
            f"the learner {name} needs {', '.join(needed)}; "
            f"give --set {' --set '.join(f'{one}=...' for one in needed)}"
        )
    try:
        return cast("Learner", make(**given))
    except (TypeError, ValueError) as error:
        raise ParseError(f"the learner {name} does not take these settings: {error}") from None


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
