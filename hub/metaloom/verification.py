"""Verification: bytes against digests, signatures against keys, facts against files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaloom_registry import (
    BadSeal,
    MetaloomError,
    NotFound,
    PublicKey,
    Reference,
    Standing,
    TrustList,
    graph,
)
from metaloom_registry.catalogue import Problem
from metaloom_registry.manifest import GRAPH_FILE, WEIGHTS_FILE

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom_registry import Digest
    from metaloom_registry.catalogue import Registry


@dataclass(frozen=True, slots=True)
class Verification:
    """What was looked at, in blocks, files and bytes, and what is wrong.

    signers: who signed the block, where one was asked for.  facts: those that were measured again
    and hold.
    """

    blocks: int
    files: int
    size: int
    problems: tuple[Problem, ...]
    signers: tuple[Standing, ...] = ()
    facts: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.problems


def verified(
    registry: Registry, trust: TrustList, block: Block, key: PublicKey | None, thorough: bool
) -> Verification:
    """One block: its bytes, its parents, its signatures, its facts.

    thorough: whether its capabilities are tried too.  Raises BadSeal where a key is given that did
    not sign it.
    """
    report = registry.verify(block.exactly)
    signers: tuple[Standing, ...] = ()
    facts: tuple[str, ...] = ()
    problems = list(report.problems)
    if report.sound:
        signers = signers_of(registry, trust, block)
        problems += _bad(block.digest, signers)
        if key is not None:
            require_signed(block, key, signers)
        try:
            facts = _measured_again(registry, block, thorough=thorough)
        except MetaloomError as error:
            problems.append(Problem(block.digest, str(error)))
    elif key is not None:
        raise BadSeal(f"{block.reference} is damaged: {report.problems[0].message}")
    return Verification(report.blocks, report.files, report.size, tuple(problems), signers, facts)


def all_verified(registry: Registry, trust: TrustList) -> Verification:
    """Every block: its bytes, its parents, its signatures."""
    report = registry.verify()
    broken = {problem.block for problem in report.problems}
    problems = list(report.problems)
    for digest in registry.sealed():
        if digest in broken:
            continue
        try:
            seals, manifest = registry.seals(digest), registry.manifest(digest).to_bytes()
        except NotFound:  # taken away for good
            continue
        problems += _bad(digest, trust.standings(seals, manifest, None))
    return Verification(report.blocks, report.files, report.size, tuple(problems))


def signers_of(registry: Registry, trust: TrustList, block: Block) -> tuple[Standing, ...]:
    """Who signed a block, and what each signature is worth; a primitive has none."""
    if block.manifest is None:
        return ()
    reference: Reference = block.reference
    namespace = None if reference.name is None else reference.name.namespace
    return trust.standings(registry.seals(block.digest), block.manifest.to_bytes(), namespace)


def require_signed(block: Block, key: PublicKey, signers: Iterable[Standing]) -> None:
    """Raise BadSeal unless a key signed a block."""
    others = []
    for signer in signers:
        if signer.seal.key == key:
            if signer.state in ("bad", "unchecked"):
                raise BadSeal(f"{block.reference}: {signer.problem}")
            return
        others.append(str(signer))
    said = "; ".join(others) or "NOT signed at all"
    raise BadSeal(f"{block.reference} is not signed by {key}; it is {said}")


def _bad(digest: Digest, signers: Iterable[Standing]) -> list[Problem]:
    return [Problem(digest, one.problem) for one in signers if one.state == "bad"]


def _measured_again(registry: Registry, block: Block, *, thorough: bool) -> tuple[str, ...]:
    if block.kind != "graph" or not block.facts:
        return ()
    files = registry.files(block.digest)
    return graph.check_facts(
        block.facts,
        files[GRAPH_FILE],
        files[WEIGHTS_FILE],
        block.signature,
        capabilities=thorough,
    )
