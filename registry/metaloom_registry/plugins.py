"""What other distributions add: plugins, found through entry points and loaded when used.

A distribution declares a plugin in its own pyproject.toml:

    [project.entry-points."metaloom.primitives"]
    lists = "metaloom_lists:PRIMITIVES"

Finding plugins imports none of them.  A plugin that does not load, or a name that two distributions
claim, is an error when it is used, and never before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from metaloom_registry.errors import NotFound, PluginError
from metaloom_registry.names import Reference
from metaloom_registry.primitives import Primitive, PrimitiveTable

GROUPS = {
    "metaloom.primitives": "a sequence of Primitive, or a function of no arguments that gives one",
    "metaloom.learners": "a function from settings to a Learner",
    "metaloom.searches": "a function from settings to an Arm, such as a Strategy",
    "metaloom.tasks": "a function from settings to a TaskSource",
    "metaloom.stores": "a function from a URL to a BlobStore",
    "metaloom.importers": "an Importer: what reads a foreign format into a module",
    "metaloom.demos": "a function that runs a demo; `metaloom demo` runs `first-light`",
}
"""The extension points, and what an entry point of each names."""


@dataclass(frozen=True, order=True)
class Plugin:
    """One entry point: what it is called, which distribution declares it, and where its object is.

    `value` is `package.module:attribute`.
    """

    group: str
    name: str
    distribution: str
    version: str
    value: str

    @classmethod
    def of(cls, declared: EntryPoint) -> Plugin:
        """The plugin that an installed distribution declares."""
        dist = declared.dist
        name, version = (dist.name, dist.version) if dist else ("an unknown distribution", "")
        return cls(declared.group, declared.name, name, version, declared.value)

    def load(self) -> object:
        """Import the object. Raises PluginError, from the plugin's own error, where that fails."""
        try:
            return EntryPoint(self.name, self.value, self.group).load()
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"the plugin {self} does not load from {self.value}: "
                f"{type(error).__name__}: {error}; repair or uninstall {self.distribution}"
            ) from error

    def __str__(self) -> str:
        return f"{self.name!r} of {self.distribution} {self.version}".rstrip()


@dataclass(frozen=True)
class Outcome:
    """What came of loading one plugin: its object, or the error that stopped it."""

    plugin: Plugin
    value: object = None
    error: PluginError | None = None


@dataclass(frozen=True)
class Plugins:
    """The plugins of one group, sorted by name; none of them is loaded before it is asked for."""

    group: str
    found: tuple[Plugin, ...]

    def __iter__(self) -> Iterator[Plugin]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    @property
    def names(self) -> tuple[str, ...]:
        """Each name once, in order."""
        return tuple(dict.fromkeys(plugin.name for plugin in self.found))

    def load(self, name: str) -> object:
        """The object of that name.

        Raises NotFound where no plugin has the name, PluginError where two distributions claim it
        or where it does not load.
        """
        claims = [plugin for plugin in self.found if plugin.name == name]
        if not claims:
            raise NotFound(self._unknown(name))
        if len(claims) > 1:
            raise _contested(f"the plugin {name!r} of {self.group}", claims)
        return claims[0].load()

    def outcomes(self) -> tuple[Outcome, ...]:
        """Load every plugin; one that fails gives its error and stops no other."""
        return tuple(self._outcome(plugin) for plugin in self.found)

    def _outcome(self, plugin: Plugin) -> Outcome:
        try:
            return Outcome(plugin, value=self.load(plugin.name))
        except PluginError as error:
            return Outcome(plugin, error=error)

    def _unknown(self, name: str) -> str:
        near = get_close_matches(name, self.names, n=1)
        known = ", ".join(self.names) or "none"
        hint = f"did you mean {near[0]!r}? " if near else ""
        return (
            f"no installed plugin of {self.group} is called {name[:100]!r}; {hint}"
            f"installed: {known}"
        )


def discover(group: str, declared: Iterable[EntryPoint] | None = None) -> Plugins:
    """The plugins that installed distributions declare in a group, none of them loaded.

    `declared` are the entry points to look through, by default those of this Python's installed
    distributions.  Raises NotFound where Metaloom has no such group.
    """
    if group not in GROUPS:
        raise NotFound(f"{group[:100]!r} is no extension point; there are {', '.join(GROUPS)}")
    points = entry_points(group=group) if declared is None else declared
    found = {Plugin.of(point) for point in points if point.group == group}
    return Plugins(group, tuple(sorted(found)))


def load_primitives(plugins: Plugins) -> tuple[PrimitiveTable, tuple[Outcome, ...]]:
    """All the primitives of the plugins of `metaloom.primitives`, and what came of each plugin.

    A plugin that does not load adds nothing.  A primitive that two plugins declare is left out of
    the table, and both outcomes carry an error that names it and both distributions.
    """
    loaded = [_with_primitives(outcome) for outcome in plugins.outcomes()]
    claims: dict[Reference, list[Plugin]] = {}
    for outcome, primitives in loaded:
        for reference in {primitive.reference for primitive in primitives}:
            claims.setdefault(reference, []).append(outcome.plugin)
    contested = {reference: owners for reference, owners in claims.items() if len(owners) > 1}
    table = PrimitiveTable(
        primitive
        for _, primitives in loaded
        for primitive in primitives
        if primitive.reference not in contested
    )
    return table, tuple(_with_contests(outcome, contested) for outcome, _ in loaded)


def _with_primitives(outcome: Outcome) -> tuple[Outcome, tuple[Primitive, ...]]:
    """The outcome, and the primitives it gives: none where there is an error."""
    if outcome.error is not None:
        return outcome, ()
    plugin, value = outcome.plugin, outcome.value
    try:
        given = value() if callable(value) else value
        if not isinstance(given, Sequence) or not all(isinstance(p, Primitive) for p in given):
            raise PluginError(
                f"the plugin {plugin} gives {type(given).__name__} from {plugin.value}; "
                f"wanted is {GROUPS['metaloom.primitives']}"
            )
        return outcome, PrimitiveTable(given).primitives
    except PluginError as error:
        return Outcome(plugin, value, error), ()
    except (Exception, SystemExit) as error:
        failure = PluginError(
            f"the plugin {plugin} fails to give its primitives: {type(error).__name__}: {error}; "
            f"repair or uninstall {plugin.distribution}"
        )
        failure.__cause__ = error
        return Outcome(plugin, value, failure), ()


def _with_contests(outcome: Outcome, contested: dict[Reference, list[Plugin]]) -> Outcome:
    for reference, owners in contested.items():
        if outcome.plugin in owners:
            return Outcome(
                outcome.plugin, outcome.value, _contested(f"the primitive {reference}", owners)
            )
    return outcome


def _contested(what: str, owners: Sequence[Plugin]) -> PluginError:
    distributions = " and ".join(f"{owner.distribution} ({owner.value})" for owner in owners)
    return PluginError(f"{what} is claimed by {distributions}; uninstall all but one")
