"""A library of any size for `registry_scale`: what its blocks are, from a seed.

Types, names, tags and words are drawn by Zipf's law, as they are in use.  Graphs have fingerprints
in clusters, and some are adapted from others; programs are made of earlier blocks, a few of which
are in many; some blocks saw classes, which all that is made of them inherits.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaloom_registry import (
    Digest,
    Manifest,
    Parent,
    Reference,
    Term,
    Use,
    dump_canonical,
    lambdas,
    parse_type,
    term_to_json,
)
from metaloom_registry.manifest import FORMAT, GRAPH_FILE, TERM_FILE, WEIGHTS_FILE, File
from metaloom_registry.terms import Apply, Bound

CHUNK = 10_000
"""Blocks made at once, by a generator of their own."""

VOCABULARY = 50_000
COMMON = ("the", "trained", "on", "of", "for", "and", "a", "images", "model", "with", "block")
PRIMITIVES = tuple(Reference.parse(f"lists/op-{number}@{1 + number % 3}") for number in range(120))
FAMILIES = 12
"""Sets of classes that blocks are trained on."""

PROBE = "metaloom-1"
MOST_PARENTS = 3


def syllables(number: int) -> str:
    """A word that is no other number's."""
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    found = ""
    number += 70
    while number:
        number, rest = divmod(number, 70)
        found += consonants[rest // 5] + vowels[rest % 5]
    return found


def vocabulary() -> list[str]:
    """Words, the most common first."""
    return [*COMMON, *(syllables(number) for number in range(VOCABULARY - len(COMMON)))]


def types(rng: np.random.Generator, count: int) -> tuple[list[str], list[str]]:
    """The types of graphs and of programs, the most common first."""
    sides, channels = (28, 32, 64, 8, 16, 84, 96, 128, 224, 256), (1, 3)
    widths = (64, 128, 256, 512, 32, 16, 768, 1024, 384, 100)
    graphs = [f"image[{c},{s},{s}] -> vec[{w}]" for w in widths for s in sides for c in channels]
    graphs += [
        f"image[{c},{s},{s}] -> logits[{k}]" for s in sides for c in channels for k in (5, 10, 100)
    ]
    graphs += [f"vec[{n}] -> {to}[{k}]" for n in widths for to in ("vec", "logits") for k in widths]
    graphs += ["vec[n] -> vec[n]", "image[c,h,w] -> vec[64]", "a -> a"]
    items = ("int", "bool", "float", "text", "vec[64]", "label[10]", "image[1,28,28]", "grid")
    programs = ["list[int] -> int", "list[int] -> list[int]", "list[a] -> list[a]", "text -> text"]
    programs += ["examples[vec[n],label[k]] -> vec[n] -> logits[k]", "a -> a", "list[a] -> int"]
    programs += ["examples[image[1,28,28],label[k]] -> image[1,28,28] -> logits[k]"]
    shapes = ("{}", "list[{}]", "list[list[{}]]", "dict[text,{}]", "list[({}, int)]")
    known = set(programs)
    while len(programs) < count:
        parts = [shapes[rng.integers(len(shapes))].format(items[rng.integers(len(items))])
                 for _ in range(rng.integers(2, 5))]  # fmt: skip
        text = " -> ".join(parts)
        if text not in known:
            known.add(text)
            programs.append(text)
    order = rng.permutation(len(graphs) - 1) + 1
    ranked = [graphs[0], *(graphs[i] for i in order)]
    return [str(parse_type(t)) for t in ranked], [str(parse_type(t)) for t in programs]


def zipf(rng: np.random.Generator, kinds: int, size: int, power: float = 1.0) -> NDArray[np.int64]:
    """Numbers below `kinds`, the k-th in proportion to 1 / (k + 1)^power."""
    weights = np.cumsum(1 / np.arange(1, kinds + 1) ** power)
    drawn = np.searchsorted(weights, rng.random(size) * weights[-1], side="right")
    found: NDArray[np.int64] = np.minimum(drawn, kinds - 1)
    return found


@dataclass(frozen=True)
class Made:
    """One block of the library: its number, its name, and all that its manifest says."""

    number: int
    name: str
    kind: str
    signature: str
    contents: dict[str, bytes]
    parents: tuple[tuple[str, str], ...]
    requires: tuple[str, ...]
    licence: str
    card: str
    tags: tuple[str, ...]
    facts: dict[str, Any]
    seen: tuple[str, ...]

    @cached_property
    def data(self) -> bytes:
        """The bytes of the manifest, written without making a Manifest: six times as fast."""
        files = {
            path: {"digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "bytes": len(data)}
            for path, data in sorted(self.contents.items())
        }
        value = {
            "card": self.card,
            "facts": self.facts,
            "files": files,
            "format": FORMAT,
            "kind": self.kind,
            "licence": self.licence,
            "parents": [{"digest": f"sha256:{d}", "role": role} for d, role in self.parents],
            "requires": list(self.requires),
            "seen": [f"sha256:{digest}" for digest in self.seen],
            "signature": self.signature,
            "tags": list(self.tags),
        }
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return text.encode()

    @cached_property
    def digest(self) -> str:
        """The digest of the manifest, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def manifest(self) -> Manifest:
        """The manifest itself, whose bytes are `data`."""
        return Manifest(
            self.kind,
            parse_type(self.signature),
            {path: File.of(data) for path, data in self.contents.items()},
            parents=tuple(Parent(Digest(digest), role) for digest, role in self.parents),
            requires=tuple(map(Reference.parse, self.requires)),
            licence=self.licence,
            card=self.card,
            tags=self.tags,
            facts=self.facts,
            seen=frozenset(map(Digest, self.seen)),
        )


class Plan:
    """What there is of each block before any is made: names, types, parents, primitives."""

    def __init__(self, blocks: int, seed: int) -> None:
        self.blocks = blocks
        self.seed = seed
        rng = np.random.default_rng([seed, blocks])
        self.words = vocabulary()
        self.graph_types, self.program_types = types(rng, max(200, blocks // 200))
        self.graph = rng.random(blocks) < 0.6
        self.type = np.where(
            self.graph,
            zipf(rng, len(self.graph_types), blocks),
            zipf(rng, len(self.program_types), blocks),
        )
        new = rng.random(blocks) < 0.85
        new[:1] = True
        names = np.cumsum(new)
        older = (rng.random(blocks) * names).astype(np.int64)
        self.name = np.where(new, names - 1, np.minimum(older, names - 1))
        self.names = int(names[-1])
        self.namespace = zipf(rng, max(3, blocks // 200), self.names)
        self.last = np.zeros(self.names, np.int64)
        np.maximum.at(self.last, self.name, np.arange(blocks))
        self.versions = np.bincount(self.name, minlength=self.names)
        wanted = np.where(self.graph, rng.random(blocks) < 0.3, rng.integers(1, 4, blocks))
        near = np.maximum(np.arange(blocks)[:, None] - rng.geometric(0.01, (blocks, 3)), 0)
        used = (np.arange(blocks)[:, None] * rng.random((blocks, 3)) ** 3).astype(np.int64)
        chosen = np.where(rng.random((blocks, 3)) < 0.5, near, used)
        chosen[np.arange(MOST_PARENTS)[None, :] >= wanted[:, None]] = -1
        chosen[0] = -1
        self.parents = chosen
        self.primitives = zipf(rng, len(PRIMITIVES), blocks * 2).reshape(blocks, 2)
        self.family = np.where(rng.random(blocks) < 0.03, rng.integers(0, FAMILIES, blocks), -1)
        self.family[~self.graph] = -1
        self.cluster = rng.integers(0, max(2, blocks // 50), blocks)
        for i in np.flatnonzero(self.graph & (chosen[:, 0] >= 0)):
            parent = chosen[i, 0]
            if self.graph[parent]:  # what is adapted from a block behaves much as it does
                self.type[i], self.cluster[i] = self.type[parent], self.cluster[parent]
        self.centres = rng.standard_normal((max(2, blocks // 50), 128)).astype(np.float32)
        self.uses = self._uses()

    def parents_of(self, number: int) -> list[int]:
        """The numbers of the blocks that a block came from, each once."""
        return sorted({int(parent) for parent in self.parents[number] if parent >= 0})

    def requires_of(self, number: int) -> list[int]:
        """The primitives that a program needs, by their place in `PRIMITIVES`."""
        return [] if self.graph[number] else sorted({int(p) for p in self.primitives[number]})

    def classes_of(self, number: int) -> tuple[str, ...]:
        """The classes that a block itself saw, in hexadecimal."""
        return family_classes(int(self.family[number]))

    def _uses(self) -> NDArray[np.int64]:
        """How many blocks came from each; one that is a parent twice counts once."""
        ordered = np.sort(self.parents, axis=1)
        ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1
        return np.bincount(ordered[ordered >= 0], minlength=self.blocks)

    def make(self, start: int, stop: int, digests: list[str]) -> list[Made]:
        """The blocks from `start` to `stop` within a chunk; `digests` of all before, and of these.

        The digests of the blocks made are appended.
        """
        assert start % CHUNK == 0
        assert stop - start <= CHUNK
        assert len(digests) == start
        rng = np.random.default_rng([self.seed, self.blocks, start])
        count = stop - start
        lengths = np.clip(rng.lognormal(3.0, 0.5, count), 4, 120).astype(int)
        words = np.split(zipf(rng, VOCABULARY, int(lengths.sum())), np.cumsum(lengths)[:-1])
        tagged = np.split(zipf(rng, 300, count * 2), count)
        noise = rng.standard_normal((count, 128), dtype=np.float32) * 0.1
        points = (self.centres[self.cluster[start:stop]] + noise).astype("<f2").astype(float)
        made = []
        for i, number in enumerate(range(start, stop)):
            tags = tuple(sorted({f"tag-{int(tag)}" for tag in tagged[i]})) if number % 3 else ()
            card = " ".join(self.words[word] for word in words[i])
            block = self._one(number, card, tags, points[i].tolist(), digests)
            digests.append(block.digest)
            made.append(block)
        return made

    def name_of(self, name: int) -> str:
        """The name of a number."""
        return f"lab{self.namespace[name]}/{self.words[name % 9_973]}-{syllables(name)}"

    def _one(
        self,
        number: int,
        card: str,
        tags: tuple[str, ...],
        point: list[float],
        digests: list[str],
    ) -> Made:
        graph = bool(self.graph[number])
        role = "adapted-from" if graph else "uses"
        parents = tuple(sorted((digests[parent], role) for parent in self.parents_of(number)))
        requires = [PRIMITIVES[primitive] for primitive in self.requires_of(number)]
        facts: dict[str, Any]
        if graph:
            contents = {GRAPH_FILE: b"graph %d" % number, WEIGHTS_FILE: b"weights %d" % number}
            facts = {
                "capabilities": {"double_backward": True, "vmap": True},
                "fingerprint": {
                    "inputs": [{"classes": None, "kind": "uniform"}],
                    "probe": PROBE,
                    "values": point,
                },
                "parameters": 1_000 + number % 100_000,
            }
        else:
            used = [Use(Reference(None, Digest(digest))) for digest, _ in parents]
            contents = {
                TERM_FILE: dump_canonical(term_to_json(_chain([*used, *map(Use, requires)])))
            }
            facts = {"query accuracy": (number % 1000) / 1000}
        return Made(
            number=number,
            name=self.name_of(int(self.name[number])),
            kind="graph" if graph else "program",
            signature=(self.graph_types if graph else self.program_types)[self.type[number]],
            contents=contents,
            parents=parents,
            requires=tuple(sorted(map(str, requires))),
            licence="MIT" if number % 4 else "Apache-2.0",
            card=card,
            tags=tags,
            facts=facts,
            seen=self.classes_of(number),
        )


def plan_of_names(names: int, seed: int) -> Plan:
    """The plan of a library of so many names, or a few more: some blocks share one, as versions."""
    blocks = names
    while (plan := Plan(blocks, seed)).names < names:
        blocks += names - plan.names
    return plan


def family_classes(family: int) -> tuple[str, ...]:
    """The digests of the classes of a family in hexadecimal, sorted; none below 0."""
    if family < 0:
        return ()
    names = (f"family {family}, class {k}".encode() for k in range(10))
    return tuple(sorted(hashlib.sha256(name).hexdigest() for name in names))


def _chain(steps: list[Use]) -> Term:
    """`(lam (f (g $0)))` of the steps."""
    body: Term = Bound(0)
    for step in steps:
        body = Apply(step, body)
    return lambdas(1, body)
