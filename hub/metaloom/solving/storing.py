"""A solution as blocks: what is published of it, and how it is read back to predict the same.

The block is the program itself, of its own most general type, reusable for other tasks and with
other supports.  The facts under `solution` and, where the program takes its examples first, the
support's files keep what it takes to predict as the solution did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from metaloom.publishing import Details, graph_draft, licensed, program_draft
from metaloom.solving.origins import Origin
from metaloom.vocabulary import Vocabulary, renamed
from metaloom_metalearn import Score, Solution, support_from_files, support_to_files
from metaloom_registry import (
    Digest,
    Json,
    Manifest,
    Parent,
    Reference,
    Refused,
    Term,
    Type,
    parse_type,
    references,
    taught,
)

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom.hub import Hub
    from metaloom_registry.catalogue import Draft

FACT = "solution"
LEAKAGE = "leakage"
"""Under it, in those facts: the blocks that had seen classes of the task, and how many."""


def solution_drafts(
    solution: Solution, vocabulary: Vocabulary, details: Details, origin: Origin
) -> Sequence[Draft]:
    """The solution's parts as graph blocks, then its program.

    A part has seen the task's classes, and has the block it was adapted from as a parent.  Raises
    Refused where a part cannot be exported.
    """
    drafts: list[Draft] = []
    beside: dict[Digest, Manifest] = {}
    final: dict[Reference, Reference] = {}
    for provisional in references(solution.term):
        part = solution.parts.get(provisional)
        if part is None:
            continue
        parents = tuple(Parent(parent, "adapted-from") for parent in part.parents)
        about = Details(license=details.license, seen=origin.classes, parents=parents)
        about = licensed(about, parents, vocabulary, {})
        conversions = vocabulary.registry.admission.conversions
        draft = graph_draft(part.module, part.type, about, conversions)
        drafts.append(draft)
        beside[draft.manifest.digest] = draft.manifest
        final[provisional] = Reference(None, draft.manifest.digest)
    term = renamed(solution.term, lambda reference: final.get(reference, reference))
    files: dict[str, bytes] = {}
    if solution.support is not None:
        files = support_to_files(solution.support, solution.type)
    facts = {FACT: solution_facts(solution, origin), **details.facts}
    about = replace(details, facts=facts)
    return [*drafts, program_draft(term, None, vocabulary, about, files, beside)]


def solution_facts(solution: Solution, origin: Origin) -> Json:
    """What a published solution keeps of its scores and of the task."""
    scores = {
        "support": solution.support_score,
        "query": solution.query_score,
        "query_rmse": solution.query_rmse,
    }
    facts: dict[str, Json] = {
        "name": solution.name,
        "type": str(solution.type),
        "term_type": str(solution.term_type),
        "task": None if origin.task is None else str(origin.task),
        "cost": solution.cost,
        "search": solution.search,
        "seed": solution.seed,
        "scores": {name: score.to_json() for name, score in scores.items() if score is not None},
    }
    if origin.leaks:
        facts[LEAKAGE] = {str(leak.block): len(leak.classes) for leak in origin.leaks}
    return facts


def stored_solution(block: Block) -> tuple[Solution, Origin]:
    """A published program as a solution that predicts as it did when it was published.

    A program that was not found by a search is a solution without scores.  Raises Refused where it
    takes its examples first and none are stored with it.
    """
    if block.body is None or block.manifest is None:
        raise Refused(
            f"{block.reference} is a {block.kind}; programs alone are solutions. "
            f'Load it with hub["{block.reference}"].load()'
        )
    hub = block.hub
    plain = unscored(hub, str(block.reference), block.body, block.signature)
    files = block.manifest.files
    facts = block.facts.get(FACT)
    if facts is None:
        return plain, Origin()
    try:
        return told(plain, facts, hub.registry.files(block.digest) if len(files) > 1 else {})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refused(f"the facts of {block.reference} tell of no solution: {error!r}") from None


def unscored(hub: Hub, name: str, term: Term, type_: Type) -> Solution:
    """A program of a hub as a solution that no search found."""
    return Solution(
        name=name,
        type=type_,
        term=term,
        term_type=type_,
        library=hub.library,
        entries=hub.vocabulary.entries(term, hub.load),
    )


def told(plain: Solution, facts: Any, files: dict[str, bytes]) -> tuple[Solution, Origin]:
    """A program as the solution that its facts and its support's files tell of."""
    task = facts["task"]
    scores = {name: Score.from_json(value) for name, value in facts["scores"].items()}
    type_, term_type = parse_type(facts["type"]), parse_type(facts["term_type"])
    solution = replace(
        plain,
        name=str(facts["name"]),
        type=type_,
        term_type=term_type,
        support=None if taught(term_type) is None else support_from_files(files, type_),
        cost=float(facts["cost"]),
        support_score=scores.get("support"),
        query_score=scores.get("query"),
        query_rmse=scores.get("query_rmse"),
        search=str(facts["search"]),
        seed=facts["seed"],
    )
    return solution, Origin(task=None if task is None else Digest.parse(task))
