"""The family of a block: what it came from, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metaloom.pictures.lineage import lineage_svg
from metaloom_registry import NotFound, catalogue

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom_registry import Json
    from metaloom_registry.catalogue import Lineage, Node, Registry


@dataclass(frozen=True, repr=False)
class Family:
    """Two lineages from one root: `parents` against the edges, `children` along them."""

    root: Node
    parents: Lineage
    children: Lineage

    @classmethod
    def of(cls, registry: Registry, block: Block, depth: int, cursor: str | None = None) -> Family:
        """The family of a block to a number of generations; a primitive never used has none.

        `cursor` is that of one of its lineages, which goes on there.
        """
        start = block.reference if block.primitive else block.exactly
        try:
            onward = None if cursor is None or cursor.startswith("children.") else cursor
            up = registry.lineage(start, "parents", depth=depth, cursor=onward)
            onward = None if onward is not None else cursor
            down = registry.lineage(start, "children", depth=depth, cursor=onward)
        except NotFound:
            if block.primitive is None:
                raise
            key = str(block.reference)
            alone = catalogue.Node(key, "primitive", key, str(block.signature))
            up = catalogue.Lineage(key, "parents", (alone,), ())
            down = catalogue.Lineage(key, "children", (alone,), ())
        return cls(up.node(up.root), up, down)

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
