"""Groups of parameters: which of a module's a learner should move fast, slowly, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from metaloom_registry.errors import Refused

GROUPS = ("frozen", "slow", "fast")
"""frozen: left as it is.  slow: moved when a whole library is trained.  fast: moved for a task."""


def parameter_groups(
    parameters: Sequence[str], patterns: Mapping[str, Iterable[str] | str]
) -> dict[str, list[str]]:
    """The fact `groups`: the parameters of each group, sorted, found by patterns such as `head.*`.

    A pattern is a name, where `*`, `?` and `[...]` stand for characters as in file names.  What no
    pattern names is in no group.  Raises Refused for a group that is none of `GROUPS`, a pattern
    that names nothing, and a parameter that two groups claim.
    """
    found: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for group, given in patterns.items():
        if group not in GROUPS:
            raise Refused(
                f"{str(group)[:40]!r} is no group of parameters; they are {', '.join(GROUPS)}"
            )
        members: set[str] = set()
        for pattern in (given,) if isinstance(given, str) else given:
            named = {name for name in parameters if fnmatchcase(name, pattern)}
            if not named:
                raise Refused(_nothing(pattern, group, parameters))
            members |= named
        for name in sorted(members):
            if owner.setdefault(name, group) != group:
                raise Refused(
                    f"the parameter {name} is both {owner[name]} and {group}; name it in one"
                )
        found[group] = sorted(members)
    return found


def _nothing(pattern: str, group: str, parameters: Sequence[str]) -> str:
    near = get_close_matches(pattern, parameters, n=3, cutoff=0.3) or list(parameters[:3])
    hint = f"there are {', '.join(near)}" if near else "the module has no parameters"
    return f"the pattern {pattern[:80]!r} of the group {group} names no parameter; {hint}"
