"""What a name in a program means here: the primitives of the plugins, and the library's blocks.

People write `map`, `lists/map` or `vision/conv4@champion`; what is stored says `lists/map@1` and
`@sha256:...`, so that a program means the same for ever.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import cached_property
from itertools import islice, product
from typing import TYPE_CHECKING

from metaloom.arguments import as_reference
from metaloom_registry import (
    Apply,
    BlockName,
    Digest,
    Entry,
    InvalidName,
    Lambda,
    Let,
    Loaded,
    NotFound,
    Outcome,
    ParseError,
    Primitive,
    PrimitiveTable,
    Reference,
    Term,
    Type,
    TypeMismatch,
    Use,
    Variable,
    catalogue,
    discover,
    fits,
    infer,
    load_primitives,
    parse_term,
    primitive_entry,
    references,
    uncurried,
)

if TYPE_CHECKING:
    from metaloom_registry.catalogue import Registry, Version


READINGS = 64
"""So many readings of shared short names are tried."""


class Vocabulary:
    """The names in scope; plugins are found and loaded when a primitive is first asked for."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    @cached_property
    def _loaded(self) -> tuple[PrimitiveTable, tuple[Outcome, ...]]:
        return load_primitives(discover("metaloom.primitives"))

    @property
    def primitives(self) -> PrimitiveTable:
        """The primitives of all plugins that load."""
        return self._loaded[0]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What came of loading each plugin of primitives."""
        return self._loaded[1]

    @cached_property
    def _newest(self) -> dict[BlockName, Reference]:
        newest: dict[BlockName, Primitive] = {}
        for primitive in self.primitives:
            name = primitive.reference.name
            assert name is not None
            if name not in newest or newest[name].version < primitive.version:
                newest[name] = primitive
        return {name: primitive.reference for name, primitive in newest.items()}

    def primitive(self, reference: Reference) -> Primitive | None:
        """The primitive a reference means, the newest version where it names none; or None."""
        if reference.selector is None and reference.name is not None:
            reference = self._newest.get(reference.name, reference)
        known = reference in self.primitives
        return self.primitives[reference] if known else None

    def versions(self, name: BlockName) -> list[Primitive]:
        """Every version of a primitive, the newest first; none where it is no primitive's name."""
        found = [primitive for primitive in self.primitives if primitive.reference.name == name]
        return sorted(found, key=lambda primitive: primitive.version, reverse=True)

    def pinned(self, reference: Reference) -> Reference:
        """A primitive's `namespace/name@version`, any other block's `@sha256:...`.

        Raises NotFound where neither a plugin nor the library has it.
        """
        primitive = self.primitive(reference)
        return self.resolve(reference).exactly if primitive is None else primitive.reference

    def resolve(self, reference: Reference) -> Version:
        """The version that a reference means. Raises NotFound, naming what it may have meant."""
        try:
            return self.registry.resolve(reference)
        except NotFound as error:
            raise self.unknown(reference, error) from None

    def published(self, name: BlockName) -> Sequence[Version]:
        """Every version of a block, the newest first. Raises NotFound as `resolve` does."""
        try:
            return self.registry.versions(name)
        except NotFound as error:
            raise self.unknown(Reference(name), error) from None

    def unknown(self, reference: Reference, error: NotFound) -> NotFound:
        """The error, with the versions of a primitive, or with primitives of similar names."""
        name = reference.name
        if name is None:
            return error
        if versions := self.versions(name):
            there = ", ".join(str(primitive.version) for primitive in reversed(versions))
            return NotFound(
                f"the primitive {name} has no version {reference.selector}; it has {there}"
            )
        if self._is_listed(name):
            return error
        near = get_close_matches(str(name).lower(), map(str, self._newest), n=2, cutoff=0.7)
        said = str(error).removesuffix("?")
        joined = " or " if said != str(error) else "; did you mean "
        return NotFound(f"{said}{joined}{' or '.join(near)}?") if near else error

    def _is_listed(self, name: BlockName) -> bool:
        """Whether the library has a block of this name."""
        try:
            return bool(self.registry.versions(name))
        except NotFound:
            return False

    def type_of(self, reference: Reference) -> Type:
        """The type of what a reference means. Raises NotFound."""
        primitive = self.primitive(reference)
        return self.registry.resolve(reference).type if primitive is None else primitive.signature

    def read(self, text: str) -> Term:
        """The program a text means, its references pinned and its types checked.

        A short name that several primitives share means the one that gives the program a type.
        Raises ParseError, NotFound or TypeMismatch.
        """
        shared = self.primitives.shared_names
        used = [name for name in sorted(shared) if _stands_in(name, text)]
        found: list[Term] = []
        misfit: TypeMismatch | None = None
        for meant in islice(product(*(shared[name] for name in used)), READINGS):
            names = {**self.primitives.short_names, **dict(zip(used, meant, strict=True))}
            term = self.pin(parse_term(text, names))
            try:
                infer(term, self.type_of)
            except TypeMismatch as error:
                misfit = misfit or error
            else:
                found.append(term)
        if len(found) > 1:
            raise ParseError("; ".join(map(self._ambiguous, used)))
        if misfit is not None and not found:
            raise misfit
        return found[0]

    def reference(self, text: str) -> Reference:
        """What a text names: a primitive by its short name, else what `as_reference` reads.

        Raises InvalidName, with names that it may have meant, or NotFound.
        """
        try:
            return self.short(text) or as_reference(text, self.registry.expand)
        except InvalidName as error:
            raise self._unnamed(text, error) from None

    def _unnamed(self, text: str, error: InvalidName) -> InvalidName:
        """The error that a text names no block, with the names that end so or are much like it."""
        if not re.fullmatch(r"[\w.-]+", text):
            return error
        near = self.registry.called(text)
        short = get_close_matches(text.lower(), self.primitives.short_names, n=2, cutoff=0.7)
        near += [str(self.primitives.short_names[name].name) for name in short]
        if near:
            return InvalidName(f"{text!r} is not a block's name; did you mean {' or '.join(near)}?")
        if self.registry.names(f"{text}/", limit=1).items:
            return InvalidName(
                f"{text!r} is a namespace, not a block; `metaloom list {text}` shows what is in it"
            )
        return error

    def near_words(self, words: Iterable[str]) -> list[str]:
        """Words of names and tags that are much like these, none of which finds anything."""
        known = self.registry.words_in_use()
        for primitive in self.primitives:
            known.update(re.findall(r"[^\W_]+", f"{primitive.name} {' '.join(primitive.tags)}"))
        sought = [word for word in words if word not in known]
        near = [get_close_matches(word, known, n=1, cutoff=0.75) for word in sought]
        return [word for found in near for word in found]

    def short(self, name: str) -> Reference | None:
        """The primitive that a short name means; None where it is the short name of none.

        Raises NotFound, with the full names, where several primitives share it.
        """
        if name in self.primitives.shared_names:
            raise NotFound(self._ambiguous(name))
        return self.primitives.short_names.get(name)

    def _ambiguous(self, name: str) -> str:
        meant = " and ".join(map(str, self.primitives.shared_names[name]))
        return f"{name!r} is short for {meant}; write one of them in full"

    def pin(self, term: Term) -> Term:
        """The term with each reference pinned. Raises NotFound."""
        return renamed(term, self.pinned)

    def named(self, term: Term) -> Term:
        """The term with blocks by their names where they have one, to be shown to people."""
        return renamed(term, self.label)

    def label(self, reference: Reference) -> Reference:
        """What people call the block: its name and version, if it has a name."""
        if reference.name is not None:
            return reference
        try:
            return self.registry.resolve(reference).reference
        except NotFound:
            return reference

    def used(self, term: Term, load: Callable[[Reference], Loaded]) -> tuple[Reference, ...]:
        """Every block and primitive of a program, itself or through the programs it uses."""
        found: dict[Reference, None] = {}
        waiting = [term]
        while waiting:
            for reference in references(waiting.pop()):
                if reference in found:
                    continue
                found[reference] = None
                if isinstance(reference.selector, Digest) and self.kind(reference) == "program":
                    loaded = load(reference)
                    assert isinstance(loaded, Term)
                    waiting.append(loaded)
        return tuple(found)

    def kind(self, reference: Reference) -> str:
        """The kind of a pinned reference. Raises NotFound."""
        known = reference in self.primitives
        return "primitive" if known else self.registry.resolve(reference).kind

    def labels(self, term: Term, load: Callable[[Reference], Loaded]) -> dict[Reference, str]:
        """What people call each named block of a program."""
        named = {r: self.label(r) for r in self.used(term, load) if r.name is None}
        return {r: str(label) for r, label in named.items() if label.name is not None}

    def entries(self, term: Term, load: Callable[[Reference], Loaded]) -> tuple[Entry, ...]:
        """The blocks and primitives of a program as a search sees them."""
        return tuple(self.entry(reference) for reference in self.used(term, load))

    def entry(self, reference: Reference) -> Entry:
        """One block or primitive as a search sees it. Raises NotFound."""
        primitive = self.primitive(reference)
        if primitive is not None:
            return primitive_entry(primitive)
        version = self.registry.resolve(reference)
        return Entry(
            reference=version.exactly,
            digest=version.digest,
            kind=version.kind,
            type=version.type,
            name=str(version.name or version.exactly),
            uses=version.uses,
        )


def function_name(name: str) -> str:
    """The name of a block as that of a Python function: `me/even-numbers@3` is `even_numbers`."""
    text = re.sub(r"\W", "_", name.rpartition("/")[2].partition("@")[0], flags=re.ASCII)
    return text if text.isidentifier() and not keyword.iskeyword(text) else f"block_{text}"


def _stands_in(name: str, text: str) -> bool:
    """Whether a term's text has this short name."""
    return re.search(rf"(?<![^\s()]){re.escape(name)}(?![^\s()])", text) is not None


def renamed(term: Term, rename: Callable[[Reference], Reference]) -> Term:
    """The term with each reference replaced by what `rename` gives for it."""
    if isinstance(term, Use):
        return Use(rename(term.reference))
    if isinstance(term, Lambda):
        return Lambda(renamed(term.body, rename))
    if isinstance(term, Apply):
        return Apply(renamed(term.function, rename), renamed(term.argument, rename))
    if isinstance(term, Let):
        return Let(renamed(term.value, rename), renamed(term.body, rename))
    return term


def matching(
    primitives: Iterable[Primitive],
    words: str | None,
    tags: Sequence[str],
    takes: Type | None = None,
    gives: Type | None = None,
    type: Type | None = None,  # noqa: A002 - as in Registry.search
    after: Type | None = None,
    before: Type | None = None,
) -> Iterator[tuple[Primitive, tuple[str, ...]]]:
    """The primitives that match all that is given, and why.

    `after` and `before` are the types of functions that `>>` is to put beside them.
    """
    for primitive in primitives:
        arguments, result = uncurried(primitive.signature)
        said = f"{primitive.name} {primitive.doc} {' '.join(primitive.tags)}".lower()
        why: list[str] = []
        if words is not None:
            if not all(word in said for word in words.lower().split()):
                continue
            why.append(f"says {words}")
        if not set(tags) <= set(primitive.tags):
            continue
        why += (f"is tagged {tag}" for tag in tags)
        if after is not None or before is not None:
            ends = catalogue.Wanted(
                after=None if after is None else catalogue.given_by(after),
                before=None if before is None else catalogue.taken_by(before),
            )
            beside = catalogue.explained(primitive.signature, ends)
            if beside is None:
                continue
            why += beside
        if takes is not None:
            place = next((i for i, a in enumerate(arguments) if _accepts(a, takes)), None)
            if place is None:
                continue
            why.append(f"takes {arguments[place]} as argument {place + 1}")
        if gives is not None:
            if not fits(result, gives):
                continue
            why.append(f"gives {result}")
        if type is not None:
            if not fits(primitive.signature, type):
                continue
            why.append(f"is {primitive.signature}")
        yield primitive, tuple(why)


def takes_anything(primitive: Primitive) -> bool:
    """Whether its first argument is of any type at all, so that fitting it says little."""
    arguments = uncurried(primitive.signature)[0]
    return bool(arguments) and isinstance(arguments[0], Variable)


def _accepts(argument: Type, given: Type) -> bool:
    """Whether a value fits as an argument; anything at all would fit a bare variable."""
    return not isinstance(argument, Variable) and fits(given, argument)
