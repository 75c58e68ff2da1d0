"""What a run was done under: the device, the versions of what computed, and what was chosen."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from metaloom_registry import Json, discover, dump_canonical

COMPUTING = ("metaloom", "torch", "numpy", "numba")
"""The distributions whose versions may change what is computed, beside those of plugins."""
GROUPS = ("metaloom.primitives", "metaloom.learners", "metaloom.searches")
"""The plugins whose versions are told."""
MAX_DEPTH = 10
"""So deep settings of settings are told; what is deeper by its name alone."""
MAX_ITEMS = 100
"""So many items of a sequence or a mapping are told."""


def conditions(device: object, **choices: Any) -> dict[str, Json]:
    """The device, the versions, and each choice that is not None as `described` gives it."""
    made = {name: described(choice) for name, choice in choices.items() if choice is not None}
    return {"device": str(device), "versions": versions(), **made}


def versions() -> dict[str, Json]:
    """The version of Python and of every distribution that takes part."""
    plugins = {plugin.distribution for group in GROUPS for plugin in discover(group)}
    found: dict[str, Json] = {"python": platform.python_version()}
    for name in dict.fromkeys((*COMPUTING, *sorted(plugins))):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def described(choice: Any, depth: int = 0) -> Json:
    """A learner, a search or a setting as plain data: what it is, and its settings by name."""
    if choice is None or isinstance(choice, bool | int | str):
        return choice
    if isinstance(choice, float):
        return choice if math.isfinite(choice) else str(choice)
    if depth == MAX_DEPTH:
        return type(choice).__qualname__
    if isinstance(choice, Mapping):
        pairs = list(choice.items())[:MAX_ITEMS]
        return {str(key): described(value, depth + 1) for key, value in pairs}
    if isinstance(choice, Sequence):
        return [described(item, depth + 1) for item in choice[:MAX_ITEMS]]
    if isinstance(choice, partial):
        return {
            "is": _name(choice.func),
            "settings": described({**dict(enumerate(choice.args)), **choice.keywords}, depth + 1),
        }
    if is_dataclass(choice) and not isinstance(choice, type):
        settings = {f.name: getattr(choice, f.name) for f in fields(choice) if f.init and f.repr}
        return {"is": _name(type(choice)), "settings": described(settings, depth + 1)}
    return _name(choice if callable(choice) and hasattr(choice, "__qualname__") else type(choice))


def told(conditions: Mapping[str, Json]) -> dict[str, Json]:
    """Conditions as parameters of MLflow: what a choice is by its name, its settings beside it."""
    found: dict[str, Json] = {}
    for name, value in conditions.items():
        if isinstance(value, Mapping) and set(value) == {"is", "settings"}:
            found[name] = str(value["is"]).rpartition(".")[2]
            settings = value["settings"]
            assert isinstance(settings, Mapping)
            found |= told({f"{name}.{setting}": one for setting, one in settings.items()})
        elif isinstance(value, Mapping | list):
            found[name] = dump_canonical(value).decode()
        else:
            found[name] = value
    return found


def _name(what: Any) -> str:
    return f"{what.__module__}.{what.__qualname__}"
