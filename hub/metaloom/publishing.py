"""What a thing becomes when it is published: a manifest and files.

a Term, its text, a composition      a program block; its parents are the blocks it uses
an nn.Module                         a graph block, exported on this side
a Solution                           a program block with the support it was solved with, and a
                                     graph block beside it for each module adapted for it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from metaloom.vocabulary import Vocabulary
from metaloom_registry import (
    Digest,
    Json,
    Manifest,
    Parent,
    Reference,
    Seal,
    SecretKey,
    Term,
    Type,
    catalogue,
    check,
    dump_canonical,
    graph,
    infer,
    inherited_licence,
    parameter_groups,
    references,
    term_to_json,
)
from metaloom_registry.manifest import GRAPH_FILE, TERM_FILE, WEIGHTS_FILE

if TYPE_CHECKING:
    from torch import nn

    from metaloom_registry.catalogue import Draft
    from metaloom_registry.graph import Conversions


@dataclass(frozen=True)
class Details:
    """What a publisher says about a block beside what it is.

    `parents` are blocks it came from in ways that its term does not show, with their roles.
    `files` are kept beside a graph, by their paths.  `sample` are some of the inputs that a module
    was trained on, `groups` patterns of its parameters by group.
    """

    license: str | None = None
    card: str = ""
    tags: tuple[str, ...] = ()
    seen: frozenset[Digest] = frozenset()
    parents: tuple[Parent, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    sample: Any = None
    groups: Mapping[str, Iterable[str] | str] = field(default_factory=dict)

    def fields(self, facts: Mapping[str, Json], parents: Sequence[Parent]) -> dict[str, Any]:
        """The fields of a manifest, with what was found besides."""
        return {
            "licence": self.license,
            "card": self.card,
            "tags": self.tags,
            "seen": self.seen,
            "parents": (*self.parents, *parents),
            "facts": {**facts, **self.facts},
        }


@dataclass(frozen=True)
class StoredGraph:
    """The two files of a graph block that was exported elsewhere: its JSON and its safetensors."""

    graph: bytes
    weights: bytes


def program_draft(
    term: Term,
    signature: Type | None,
    vocabulary: Vocabulary,
    details: Details,
    files: Mapping[str, bytes] | None = None,
    beside: Mapping[Digest, Manifest] | None = None,
) -> Draft:
    """A program block.

    `beside` are the blocks published together with it.  Raises NotFound for an unknown block,
    TypeMismatch where the term has no type, or not the one of the signature.
    """
    beside = beside or {}

    def type_of(reference: Reference) -> Type:
        if isinstance(reference.selector, Digest) and reference.selector in beside:
            return beside[reference.selector].signature
        return vocabulary.type_of(reference)

    if signature is None:
        signature = infer(term, type_of)
    else:
        check(term, signature, type_of)
    used, required = [], []
    for reference in references(term):
        if isinstance(reference.selector, Digest):
            used.append(Parent(reference.selector, "uses"))
        else:
            required.append(reference)
    details = licensed(details, (*details.parents, *used), vocabulary, beside)
    contents = {TERM_FILE: dump_canonical(term_to_json(term)), **(files or {})}
    manifest = Manifest.of(
        "program", signature, contents, requires=tuple(required), **details.fields({}, used)
    )
    return catalogue.Draft(manifest, contents)


def licensed(
    details: Details,
    parents: Iterable[Parent],
    vocabulary: Vocabulary,
    beside: Mapping[Digest, Manifest],
) -> Details:
    """The details with the licence that follows from the parents', where none is given.

    Raises LicenceConflict, naming the blocks, where the parents' do not go together or do not
    allow the one given.
    """
    parts: dict[str, str | None] = {}
    for parent in dict.fromkeys(parents):
        known = beside.get(parent.digest)
        if known is not None:
            parts[f"the part {parent.digest.short}"] = known.licence
        else:
            reference = Reference(None, parent.digest)
            licence = vocabulary.registry.resolve(reference).licence
            parts[str(vocabulary.label(reference))] = licence
    return replace(details, license=inherited_licence(details.license, parts))


def graph_draft(
    module: nn.Module, signature: Type, details: Details, conversions: Conversions
) -> Draft:
    """A graph block: the module exported, with what was measured of it. Raises Refused.

    `conversions` are those this process made before, which this one is added to.
    """
    exported = graph.export_module(module, signature, conversions=conversions)
    contents = {**details.files, GRAPH_FILE: exported.graph, WEIGHTS_FILE: exported.weights}
    facts = {**exported.facts, **described(exported.graph, details)}
    manifest = Manifest.of("graph", signature, contents, **details.fields(facts, ()))
    conversions.measured(manifest.files, exported.facts["fingerprint"])
    return catalogue.Draft(manifest, contents, exported=True)


def stored_graph_draft(stored: StoredGraph, signature: Type, details: Details) -> Draft:
    """A graph block from its two files, which publishing tries in a process of its own."""
    contents = {GRAPH_FILE: stored.graph, WEIGHTS_FILE: stored.weights}
    facts = described(stored.graph, details)
    manifest = Manifest.of("graph", signature, contents, **details.fields(facts, ()))
    return catalogue.Draft(manifest, contents)


def described(written: bytes, details: Details) -> dict[str, Json]:
    """The facts that only a publisher knows: what the inputs are like, groups of parameters."""
    facts: dict[str, Json] = {}
    if details.sample is None and not details.groups:
        return facts
    document = graph.read_graph(written)
    if details.sample is not None:
        facts["input_statistics"] = graph.input_statistics(document, details.sample)
    if details.groups:
        names = [state.name for state in document.state if state.kind == "parameter"]
        facts["groups"] = parameter_groups(names, details.groups)
    return facts


def sampled(data: Any) -> tuple[Any, Iterable[Digest]]:
    """Inputs, and the classes they show: of tensors, Examples, a Task or labelled arrays."""
    classes: Iterable[Digest] = getattr(data, "classes", ())
    inputs = getattr(getattr(data, "support", data), "inputs", data)
    return inputs, classes


def signed(draft: Draft, key: SecretKey, now: float) -> Draft:
    """A draft with a key's signature of its manifest."""
    seal = Seal.make(draft.manifest.to_bytes(), key, int(now))
    return replace(draft, seals=(*draft.seals, seal))
