"""The hub: a library of blocks, and what one does with it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import metaloom_metalearn
from metaloom import exchange, finding, solving
from metaloom.arguments import (
    as_tags,
    as_type,
    require_reference,
    require_task,
)
from metaloom.blocks import Block, Composition, is_term_text
from metaloom.drafting import drafts_of
from metaloom.family import Family, located
from metaloom.finding import Filters, Found
from metaloom.home import (
    BLOBS,
    CATALOGUE,
    blob_store,
    library_folder,
    remember_parts,
    remembered_address,
)
from metaloom.keyring import Keyring
from metaloom.lineage import Sender, Sent, tracking_uri
from metaloom.publishing import Details, StoredGraph, sampled, signed
from metaloom.verification import Verification, all_verified, signers_of, verified
from metaloom.vocabulary import Vocabulary, function_name
from metaloom_metalearn import Silence, Uniform, parse_budget
from metaloom_registry import (
    AlreadyExists,
    BlockName,
    Digest,
    InvalidName,
    Json,
    Loaded,
    NotFound,
    Parent,
    ParseError,
    PrimitiveTable,
    PublicKey,
    Reference,
    Seal,
    SecretKey,
    Standing,
    Term,
    Type,
    TypeMismatch,
    catalogue,
    compose,
    infer,
    primitive_entry,
    print_term,
    references,
)
from metaloom_registry.source import python_source

if TYPE_CHECKING:
    import torch
    from torch import nn

    from metaloom_metalearn import Arm, Examples, Journal, Learner, Prior, Solution, Task, Trained
    from metaloom_registry.catalogue import CatalogueLibrary, Leak, Registry, Version

EMBED = Reference.parse("heads/embed@1")
"""The primitive by which `encoder >> head` encodes the examples that the head learns from."""


class Hub:
    """A library of blocks in a folder: publish, find, compose, adapt, solve.

    `hub["vision/conv4@3"]` is a handle on a block, `hub["heads/prototypes"]` on a primitive.
    """

    def __init__(self, home: Path, registry: Registry, mirror: str | None) -> None:
        self.home = home
        self.registry = registry
        self.vocabulary = Vocabulary(registry)
        self.sender = Sender(home, registry.outbox, mirror)
        self.keys = Keyring.of(home)
        self.origins = solving.Origins()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        blobs: str | None = None,
        database: str | None = None,
    ) -> Hub:
        """Open the library in a folder, which is made where it is missing.

        Without a path it is METALOOM_HOME, or `~/.metaloom`.  `blobs` is where a new library keeps
        its blobs if not there, such as `s3://bucket/blobs`, and `database` its catalogue, such as
        `postgresql://user@host/name`; both are remembered.  Raises StorageError where the folder or
        the database cannot be used, was written by a newer Metaloom, or lists blocks whose bytes
        are not where `blobs` says, and AlreadyExists for a library that was made with others.
        """
        home = library_folder(path)
        parts = {
            BLOBS: remembered_address(home, BLOBS, blobs),
            CATALOGUE: remembered_address(home, CATALOGUE, database),
        }
        registry = catalogue.Registry.open(
            home, blobs=blob_store(home, parts[BLOBS]), database=parts[CATALOGUE]
        )
        remember_parts(home, registry, parts)
        return cls(home, registry, tracking_uri(home))

    def close(self) -> None:
        """Let go of the database."""
        self.registry.close()

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Hub({str(self.home)!r})"

    @property
    def primitives(self) -> PrimitiveTable:
        """The primitives of the installed plugins."""
        return self.vocabulary.primitives

    @cached_property
    def library(self) -> CatalogueLibrary:
        """What searches see: the blocks and the primitives."""
        return catalogue.CatalogueLibrary(self.registry, self.primitives)

    def __getitem__(self, reference: str | Reference | Block) -> Block:
        """A handle on a block or a primitive. Raises InvalidName or NotFound."""
        if isinstance(reference, Block):
            return reference
        if isinstance(reference, str):
            reference = self.vocabulary.reference(reference)
        require_reference(reference)
        primitive = self.vocabulary.primitive(reference)
        if primitive is not None:
            return Block(
                primitive_entry(primitive).digest,
                primitive.reference,
                "primitive",
                primitive.signature,
                self,
                primitive=primitive,
            )
        return self.block(self.vocabulary.resolve(reference))

    def __contains__(self, reference: str | Reference | Block) -> bool:
        try:
            self[reference]
        except (NotFound, InvalidName):
            return False
        return True

    def list(
        self, namespace: str | None = None, *, kind: str | None = None, limit: int = 100
    ) -> Sequence[Block]:
        """The named blocks in order of their names, each in the version its name stands for.

        With kind `primitive` it is the primitives of the plugins.
        """
        return finding.listed(self, namespace, kind, limit)

    def versions(self, name: str) -> Sequence[Block]:
        """Every version of a name, the newest first. Raises NotFound."""
        parsed = BlockName.parse(name)
        if primitives := self.vocabulary.versions(parsed):
            return [self[primitive.reference] for primitive in primitives]
        return [self.block(version) for version in self.vocabulary.published(parsed)]

    def search(self, text: str = "", **filters: Unpack[Filters]) -> Found:
        """Blocks, then primitives, that match all that is given; `why` of each says the reasons.

        `text` are words of the name, tags or card; `Filters` says what else may be
        asked.  The nearest come first, or what did best on similar tasks, or whose words match
        best; else the most used.  Raises ParseError for a filter there is not.
        """
        return finding.search(self, text, **filters)

    def fits(self, **filters: Unpack[Filters]) -> Found:
        """What `>>` can put `after` one block, `before` another, or between the two."""
        if filters.get("after") is None and filters.get("before") is None:
            raise ParseError("nothing is given that blocks should fit; give after=, before=, both")
        return finding.search(self, **filters)

    def similar(self, to: str | Block | Task, **filters: Unpack[Filters]) -> Found:
        """Blocks that behave like a block, or that did well on tasks like a task."""
        if isinstance(to, metaloom_metalearn.Task):
            filters["task"] = to
        else:
            filters["like"] = to
        return finding.search(self, **filters)

    def publish(
        self,
        name: str,
        what: nn.Module | Term | str | Block | Composition | Solution | StoredGraph | Trained,
        signature: str | Type | None = None,
        *,
        license: str | None = None,  # noqa: A002 - the word people look for
        card: str | None = None,
        tags: str | Iterable[str] = (),
        seen: Iterable[Digest] = (),
        parents: Iterable[str | Block | tuple[str | Block, str]] = (),
        facts: Mapping[str, Json] | None = None,
        trained_on: Any = None,
        groups: Mapping[str, Iterable[str] | str] | None = None,
        sign: SecretKey | str | None = None,
    ) -> Block:
        """Publish a block: all of it is visible afterwards, or nothing.

        `what` is a trained module, a StoredGraph or what `meta_train` gave (then `signature` is
        needed), a program as a Term or its text, a composition, or a Solution.  `seen` are the
        classes it was trained on, `parents` blocks it came from, each by itself (`trained-on`) or
        with a role.  Of a module, `trained_on` is a sample of its training data (tensors, Examples,
        a Task, LabelledArrays) whose statistics and classes are noted, and `groups` the patterns of
        parameters to be `frozen`, `slow` and `fast`.  `sign` is a key, or the name of one of
        `keys`.  The same content published again under the same name is the same version.  Raises
        InvalidName, AlreadyExists, TypeMismatch, Refused or NotFound.
        """
        free, origin = self.require_free(name), self.origins.of(what)
        sample, classes = sampled(trained_on)
        details = Details(
            license=license,
            card=card or "",
            tags=as_tags(tags),
            seen=frozenset((*seen, *classes)),
            parents=tuple(map(self._parent, parents)),
            facts=facts or {},
            sample=sample,
            groups=groups or {},
        )
        key = self.keys.secret(sign) if isinstance(sign, str) else sign
        drafts = drafts_of(self, what, as_type(signature), details, origin)
        *parts, draft = drafts if key is None else [signed(one, key, time.time()) for one in drafts]
        version = self.registry.publish(
            free,
            draft.manifest,
            draft.files,
            parts=parts,
            run=origin.run,
            seals=draft.seals,
            exported=draft.exported,
        )
        return self.block(version)

    def solve(
        self,
        task: Task,
        budget: str | float = "60s",
        seed: int = 0,
        *,
        prior: Prior | None = None,
        searches: Sequence[Arm] | None = None,
        learners: Sequence[Learner] = (),
        journal: Journal | None = None,
        device: str | torch.device | None = None,
    ) -> Solution:
        """The best program for a task that a search of the library finds within the budget.

        Blocks that were trained on a class of the task are left out.  An interrupt ends the search
        and keeps the best so far.  The run is recorded, and mirrored to MLflow in a process of its
        own.  The solution predicts on the CPU; `device` is where the library's blocks compute
        meanwhile, by default CUDA where a task holds tensors and there is one.  Raises InvalidTask,
        NoSolution, and ParseError for a budget that is none.
        """
        require_task(task, metaloom_metalearn.Task)
        solution, origin = solving.recorded_solution(
            self,
            task,
            parse_budget(budget),
            seed,
            device,
            prior=prior or Uniform(),
            searches=searches,
            learners=learners,
            journal=journal or Silence(),
        )
        return self.origins.remember(solution, origin)

    def adapt(
        self,
        program: Block | Composition | Term | str,
        support: Task | Examples,
        learner: Learner | None = None,
        device: str | torch.device | None = None,
        seed: int = 0,
    ) -> Solution:
        """A program with its support and, where there is a learner, with parameters changed for it.

        Without a learner the program has to be one that takes its examples first.  The solution
        predicts on the CPU; `device` is where the learner computes, by default CUDA where there is
        one.  Raises TypeMismatch where the examples are not of the program's types, InvalidTask
        where there is nothing to adapt.
        """
        require_task(support, metaloom_metalearn.Task, metaloom_metalearn.Examples)
        solution = solving.adapted_solution(self, program, support, learner, device, seed)
        if not isinstance(support, metaloom_metalearn.Task):
            return solution
        origin = solving.recorded(self, program, support, solution, learner, device)
        return self.origins.remember(solution, origin)

    def leaks(self, program: Block | Composition | Term | str, task: Task) -> Sequence[Leak]:
        """The blocks of a program that saw classes of the task in training: no fair test then."""
        used = (reference.selector for reference in references(self.term(program)))
        blocks = [selector for selector in used if isinstance(selector, Digest)]
        return catalogue.leaks(self.registry.database, blocks, task.classes)

    def solution(self, reference: str | Block) -> Solution:
        """A published program as a solution that predicts as it did when it was published.

        Raises NotFound, or Refused where it is no program.
        """
        solution, origin = solving.stored_solution(self[reference])
        return self.origins.remember(solution, origin)

    def run(
        self,
        program: str | Block | Composition | Term,
        *inputs: Any,
        memory: str | os.PathLike[str] | None = None,
    ) -> Any:
        """What a program, published or not, gives for inputs as JSON has them, one an argument.

        Lists of numbers stand for tensors.  A program with a memory keeps it in the file `memory`,
        or, if it is published, in one of its own in the library's folder.  Raises InvalidTask where
        an input is not of its type, EvaluationError where there is no value, and Corrupt or
        StorageError where the memory cannot be read or written.
        """
        if isinstance(program, str) and not is_term_text(program):
            program = self[program]
        what = program if isinstance(program, Block) else self.term(program)
        return solving.applied(self, what, inputs, memory)

    def from_pretrained(
        self, source: str | os.PathLike[str], name: str | None = None, **options: Any
    ) -> Block:
        """The block in a repository `org/name@revision` or a folder, published here.

        See `metaloom.exchange.from_pretrained`.
        """
        return exchange.from_pretrained(self, source, name, **options)

    def alias(self, reference: str | Block, alias: str, key: str | None = None) -> Block:
        """Let `namespace/name@alias` mean this version from now on.

        `key` is what `acting` says. Raises NotOwner.
        """
        block = self._stored(reference)
        name = block.reference.name
        by = None if name is None else self.acting(name.namespace, key)
        return self.block(self.registry.set_alias(block.reference, alias, by=by))

    def acting(self, namespace: str, key: str | None = None) -> PublicKey | None:
        """The key, which one has to hold, by which a namespace is changed, for `by=`.

        It is the one of `keys` of this name, else the first of them that owns the namespace, if
        any does.
        """
        name = key or self.keys.among(self.registry.custody.owners(namespace))
        return None if name is None else self.keys.secret(name).public

    def lineage(self, reference: str | Block, depth: int = 10, cursor: str | None = None) -> Family:
        """Where a block came from, and what came of it; `cursor` is that of one of both before.

        A run or a task is asked for by its digest, which may be shortened as that of a block.
        """
        return Family.of(self.registry, located(self, reference), depth, cursor)

    def verify(
        self,
        reference: str | Block | None = None,
        *,
        key: PublicKey | str | None = None,
        thorough: bool = False,
    ) -> Verification:
        """Check every byte and signature of one block, or of all, and of one its facts.

        Raises BadSeal where a key is given, itself or by name or file, that did not sign it.
        """
        if reference is None:
            if key is not None:
                raise NotFound("name the block that the key should have signed")
            return all_verified(self.registry, self.keys.trust)
        block = self._stored(reference)
        wanted = self.keys.public(key) if isinstance(key, str) else key
        return verified(self.registry, self.keys.trust, block, wanted, thorough)

    def sign(self, reference: str | Block, key: SecretKey | str | None = None) -> Block:
        """Sign a published block with a key, or with one of `keys` by its name."""
        block = self._stored(reference)
        secret = key if isinstance(key, SecretKey) else self.keys.secret(key)
        assert block.manifest is not None
        seal = Seal.make(block.manifest.to_bytes(), secret, int(time.time()))
        self.registry.add_seals(block.digest, [seal])
        return block

    def signers(self, reference: str | Block) -> tuple[Standing, ...]:
        """Who signed a block, and what each signature is worth by the keys that are trusted."""
        return signers_of(self.registry, self.keys.trust, self[reference])

    def sync(self, wait: float = 0.0) -> Sent:
        """Send to MLflow what waits in the outbox; what fails stays there and raises nothing.

        Another process that is sending has so many seconds to end.
        """
        return self.sender.flush(wait)

    def read(self, text: str) -> Term:
        """The program a text means, names resolved and types checked; or a reference to a block.

        Raises ParseError, InvalidName, NotFound or TypeMismatch.
        """
        return self.vocabulary.read(text) if is_term_text(text) else self[text.strip()].term

    def show(self, term: Term) -> str:
        """A program as text, blocks by their names."""
        return print_term(self.vocabulary.named(term), self.primitives.short_names)

    def source(self, term: Term, name: str = "solution") -> str:
        """A program as Python, blocks by their names; Python alone runs it if no block is trained.

        Raises ParseError where it is too deep to be written.
        """
        return python_source(
            term, self.load, function_name(name), names=self.vocabulary.labels(term, self.load)
        )

    def load(self, reference: Reference | str) -> Loaded:
        """What a pinned reference, or a name, stands for. Raises NotFound, Corrupt or Refused."""
        if isinstance(reference, str):
            return self[reference].load()
        if isinstance(reference.selector, Digest):
            return self.library.load(reference.selector)
        return self.primitives[reference]

    def compose(
        self, left: Block | Composition | Term | str, right: Block | Composition | Term | str
    ) -> Composition:
        """`left >> right`. Raises TypeMismatch that says which type was wanted."""
        type_of = self.vocabulary.type_of
        term = compose(self.term(left), self.term(right), type_of, EMBED)
        return Composition(term, infer(term, type_of), self)

    def require_free(self, name: str) -> BlockName:
        """The name, unless it is a primitive's. Raises InvalidName or AlreadyExists."""
        parsed = BlockName.parse(name)
        if self.vocabulary.primitive(Reference(parsed)) is not None:
            raise AlreadyExists(f"{parsed} is a primitive's name; choose another")
        return parsed

    def _parent(self, given: str | Block | tuple[str | Block, str]) -> Parent:
        block, role = given if isinstance(given, tuple) else (given, "trained-on")
        found = self[block]
        if found.primitive is not None:
            raise NotFound(f"{found.reference} is a primitive, which is no parent; leave it out")
        return Parent(found.digest, role)

    def _stored(self, reference: str | Block) -> Block:
        """A block that the library holds. Raises NotFound."""
        block = self[reference]
        if block.primitive is not None:
            raise NotFound(
                f"{block.reference} is a primitive; its plugin holds it, not the library"
            )
        return block

    def block(self, version: Version) -> Block:
        """A handle on a version of the registry."""
        return Block(
            version.digest, version.reference, version.kind, version.type, self, version=version
        )

    def term(self, part: Block | Composition | Term | str) -> Term:
        """Any of the forms of a program as a term with its references pinned."""
        if isinstance(part, str):
            return self.read(part)
        if isinstance(part, Block | Composition):
            if part.hub.home != self.home:
                raise NotFound(f"{part} is of the library {part.hub.home}; publish it here first")
            return part.term
        if not isinstance(part, Term):
            raise TypeMismatch(
                f"{part!r:.80} is no program; give a block, a composition, a term or its text"
            )
        return self.vocabulary.pin(part)
