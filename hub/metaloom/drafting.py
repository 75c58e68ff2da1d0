"""From whatever is to be published to the blocks that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import metaloom_metalearn
from metaloom import solving
from metaloom.blocks import Block, Composition
from metaloom.publishing import (
    Details,
    StoredGraph,
    graph_draft,
    licensed,
    program_draft,
    stored_graph_draft,
)
from metaloom.training_facts import ROLE, training_facts
from metaloom_registry import Parent, Term, Type, TypeMismatch

if TYPE_CHECKING:
    from torch import nn

    from metaloom.hub import Hub
    from metaloom.solving import Origin
    from metaloom_metalearn import Trained
    from metaloom_registry.catalogue import Draft


def drafts_of(
    hub: Hub, what: Any, signature: Type | None, details: Details, origin: Origin
) -> Sequence[Draft]:
    """What is to be published: the parts it needs, then the block itself.

    Raises TypeMismatch where it is nothing that can be published, or lacks its signature.
    """
    if isinstance(what, str):
        what = hub.read(what)
    if isinstance(what, metaloom_metalearn.Trained):
        what, details = _meta_trained(what, details)
    is_module = hasattr(what, "state_dict") and not isinstance(what, type)
    trained = is_module or isinstance(what, StoredGraph)
    if not trained and (details.sample is not None or details.groups):
        raise TypeMismatch(
            "a sample of training data and groups of parameters are of trained modules; "
            "leave out trained_on and groups"
        )
    if isinstance(what, Term | Block | Composition):
        return [program_draft(hub.term(what), signature, hub.vocabulary, details)]
    if isinstance(what, metaloom_metalearn.Solution):
        if signature is not None:
            raise TypeMismatch("a solution has a type of its own; leave the signature out")
        return solving.solution_drafts(what, hub.vocabulary, details, origin)
    if not trained:
        raise TypeMismatch(
            f"{what!r:.80} cannot be published; give a trained nn.Module with its signature, a "
            "program or its text, a composition, or a solution"
        )
    if signature is None:
        raise TypeMismatch(
            f"the module {type(what).__name__} needs a signature to be published, for example "
            '"image[1,28,28] -> vec[64]"'
        )
    details = licensed(details, details.parents, hub.vocabulary, {})
    if isinstance(what, StoredGraph):
        return [stored_graph_draft(what, signature, details)]
    return [graph_draft(what, signature, details, hub.registry.admission.conversions)]


def _meta_trained(trained: Trained, details: Details) -> tuple[nn.Module, Details]:
    """The module, and what is known of how it was trained added to what the publisher says."""
    model: Any = trained.model
    module = model.model if isinstance(model, metaloom_metalearn.Equipped) else model
    return module, replace(
        details,
        seen=details.seen | trained.classes,
        parents=(*(Parent(digest, ROLE) for digest in trained.parents), *details.parents),
        facts={"training": training_facts(trained), **details.facts},
    )
