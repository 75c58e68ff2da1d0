"""The family of a block: what it came from, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaloom.arguments import shortened
from metaloom.pictures.lineage import lineage_svg
from metaloom_registry import Digest, NotFound, Reference, catalogue

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom.hub import Hub
    from metaloom_registry import Json
    from metaloom_registry.catalogue import Lineage, Node, Registry


@dataclass(frozen=True, repr=False)
class Family:
    """Two lineages from one root: `parents` against the edges, `children` along them."""

    root: Node
    parents: Lineage
    children: Lineage

    @classmethod
    def of(
        cls, registry: Registry, what: Block | Digest, depth: int, cursor: str | None = None
    ) -> Family:
        """The family of a block, a run or a task to a number of generations.

        That of a primitive never used is empty.  `cursor` is that of one of its lineages, which
        goes on there.
        """
        block = None if isinstance(what, Digest) else what
        start: Reference | Digest
        if isinstance(what, Digest):
            start = what
        else:
            start = what.reference if what.primitive else what.exactly
        try:
            onward = None if cursor is None or cursor.startswith("children.") else cursor
            up = registry.lineage(start, "parents", depth=depth, cursor=onward)
            onward = None if onward is not None else cursor
            down = registry.lineage(start, "children", depth=depth, cursor=onward)
        except NotFound:
            if block is None or block.primitive is None:
                raise
            key = str(block.reference)
            alone = catalogue.Node(key, "primitive", key, str(block.signature))
            up = catalogue.Lineage(key, "parents", (alone,), ())
            down = catalogue.Lineage(key, "children", (alone,), ())
        return cls(up.node(up.root), up, down)

    @property
    def runs(self) -> tuple[Digest, ...]:
        """The root where it is a run, or the runs that made it, as far as they are shown."""
        if self.root.kind == "run":
            return (Digest.parse(self.root.key),)
        return tuple(
            Digest.parse(node.key)
            for role, node in self.parents.next(self.root.key)
            if role == "made-by"
        )

    @property
    def svg(self) -> str:
        """The family as a picture."""
        return lineage_svg(self)

    def _repr_svg_(self) -> str:
        """What a notebook shows."""
        return self.svg

    def __repr__(self) -> str:
        came, led = (len(lineage.nodes) - 1 for lineage in (self.parents, self.children))
        return f"Family({self.root.label}: came from {came}, led to {led})"

    def as_json(self) -> dict[str, Json]:
        """The nodes and edges of both lineages, each once."""
        nodes = {node.key: node for node in (*self.parents.nodes, *self.children.nodes)}
        edges = dict.fromkeys((*self.parents.edges, *self.children.edges))
        return {
            "root": self.root.key,
            "nodes": [
                {"key": n.key, "kind": n.kind, "label": n.label, "detail": n.detail}
                for n in nodes.values()
            ],
            "edges": [{"child": e.child, "parent": e.parent, "role": e.role} for e in edges],
            "complete": self.parents.complete and self.children.complete,
            "more": {"parents": self.parents.more, "children": self.children.more},
            "cursors": {"parents": self.parents.cursor, "children": self.children.cursor},
        }


def located(hub: Hub, reference: str | Reference | Block) -> Block | Digest:
    """A block; or by its digest, which may be shortened, a run or a task. Raises NotFound."""
    try:
        return hub[reference]
    except NotFound:
        digits = shortened(reference) if isinstance(reference, str) else None
        if digits is None:
            raise
        try:
            return hub.registry.work(digits)
        except NotFound as error:
            raise NotFound(f"no block has a digest that begins with {digits}; {error}") from None
