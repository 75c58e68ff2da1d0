"""Which parameters a learner changes: by name, by pattern, and by the groups their author named.

A module from a registry may say in `parameter_groups` which of its parameters are `frozen`, `slow`
or `fast`: none changes frozen ones, and only training a whole library changes slow ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

from torch import nn

from metaloom_metalearn.learners.learner import Choice, every
from metaloom_registry import InvalidTask


def matching_names(pattern: str) -> Choice:
    """The parameters whose names match; `*`, `?` and `[...]` are those of file names."""
    return lambda name: fnmatchcase(name, pattern)


def group_of(model: nn.Module) -> dict[str, str]:
    """The group of each parameter that the model, or a module in it, put into one."""
    found = {}
    for place, module in model.named_modules():
        groups = getattr(module, "parameter_groups", None)
        if isinstance(groups, Mapping):
            above = f"{place}." if place else ""
            found.update({f"{above}{n}": group for group, names in groups.items() for n in names})
    return found


def adaptable(model: nn.Module, chosen: Choice = every) -> Choice:
    """Of the chosen parameters those that a task may change: neither frozen nor slow."""
    groups = group_of(model)
    return lambda name: groups.get(name, "fast") == "fast" and chosen(name)


def trainable(model: nn.Module) -> Choice:
    """The parameters that training may change: all but the frozen ones."""
    groups = group_of(model)
    return lambda name: groups.get(name) != "frozen"


def require_choice(model: nn.Module, chosen: Choice) -> tuple[str, ...]:
    """The names of the model's parameters that are chosen. Raises InvalidTask where none is."""
    names = [name for name, _ in model.named_parameters()]
    found = tuple(filter(chosen, names))
    if not found:
        groups = group_of(model)
        first = ", ".join(
            f"{name} ({groups[name]})" if name in groups else name for name in names[:3]
        )
        raise InvalidTask(
            f"the learner has no parameter to change; the model's begin with {first or 'none'}, "
            "and at least one has to be chosen and neither frozen nor slow"
        )
    return found
