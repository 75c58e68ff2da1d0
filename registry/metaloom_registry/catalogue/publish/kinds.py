"""What a block is by its kind: what its files have to be, and what they are once loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from metaloom_registry.canonical import Json, dump_canonical, load_strict
from metaloom_registry.digest import Digest
from metaloom_registry.errors import Refused
from metaloom_registry.manifest import GRAPH_FILE, TERM_FILE, WEIGHTS_FILE, Manifest
from metaloom_registry.sexpr import term_from_json, term_to_json
from metaloom_registry.terms import Bound, Lambda, Let, Term, children, references

if TYPE_CHECKING:
    from torch import nn

Validator: TypeAlias = Callable[[Manifest, Mapping[str, bytes]], None]
"""Raises Refused where the files, given by path, are not what the manifest says."""


def validate_block(
    manifest: Manifest, files: Mapping[str, bytes], fingerprint: Json = None
) -> None:
    """Check the files of a block by its kind, and the facts that can be measured again.

    `fingerprint` is the one that this process measured of these very files, if it did.
    Raises Refused, ParseError, TypeMismatch or WrongFact.
    """
    if manifest.kind == "graph":
        # Graphs need torch, which listing and publishing programs does not load.
        from metaloom_registry.graph import check_facts, validate_graph  # noqa: PLC0415

        graph, weights = required_file(files, GRAPH_FILE), required_file(files, WEIGHTS_FILE)
        validate_graph(graph, weights, manifest.signature)
        if manifest.facts:
            check_facts(manifest.facts, graph, weights, manifest.signature, fingerprint=fingerprint)
    elif manifest.kind == "program":
        term_of(manifest, files)


def module_of(
    files: Mapping[str, bytes],
    facts: Mapping[str, Json] | None = None,
    *,
    checked: bool = False,
) -> nn.Module:
    """The module of a graph block, with the groups of parameters that its facts tell of.

    `checked` where it was accepted before.  Raises Refused.
    """
    from metaloom_registry.graph import load_graph  # noqa: PLC0415 - as above

    graph, weights = required_file(files, GRAPH_FILE), required_file(files, WEIGHTS_FILE)
    module = load_graph(graph, weights, checked=checked)
    groups = (facts or {}).get("groups")
    if isinstance(groups, Mapping):
        module.parameter_groups = cast("Mapping[str, Sequence[str]]", groups)
    return module


def term_of(manifest: Manifest, files: Mapping[str, bytes]) -> Term:
    """The term of a program block.

    Raises Refused where it is not in canonical form, has a free variable, or uses what the
    manifest does not list.
    """
    data = required_file(files, TERM_FILE)
    term = term_from_json(load_strict(data, TERM_FILE))
    if dump_canonical(term_to_json(term)) != data:
        raise Refused(f"{TERM_FILE} is not in canonical form; write it with term_to_json")
    if free := _free(term):
        raise Refused(f"{TERM_FILE} has the free variable ${free - 1}; a program is closed")
    parents = {parent.digest for parent in manifest.parents}
    for reference in references(term):
        if reference.name is None:
            listed = reference.selector in parents
        elif isinstance(reference.selector, Digest) or not isinstance(reference.selector, int):
            raise Refused(
                f"{TERM_FILE} uses {reference}, which may mean another block tomorrow; "
                "write a block as @sha256:... and a primitive as namespace/name@version"
            )
        else:
            listed = reference in manifest.requires
        if not listed:
            field = "parents" if reference.name is None else "requires"
            raise Refused(
                f"{TERM_FILE} uses {reference}, which the manifest's {field!r} do not list"
            )
    return term


def required_file(files: Mapping[str, bytes], path: str) -> bytes:
    """The bytes of a file of a block. Raises Refused where it has none such."""
    try:
        return files[path]
    except KeyError:
        raise Refused(
            f"the block has no file {path}; it has {', '.join(files) or 'no files'}"
        ) from None


def _free(term: Term) -> int:
    """How many variables would have to be bound outside the term."""
    most = 0
    waiting: list[tuple[Term, int]] = [(term, 0)]
    while waiting:
        part, bound = waiting.pop()
        if isinstance(part, Bound):
            most = max(most, part.index + 1 - bound)
        elif isinstance(part, Lambda):
            waiting.append((part.body, bound + 1))
        elif isinstance(part, Let):
            waiting += [(part.value, bound), (part.body, bound + 1)]
        else:
            waiting += [(child, bound) for child in children(part)]
    return most
