"""A plugin of Metaloom: primitives on directed graphs with whole-number weights.

A graph has for each of its nodes the successors of it, with the weight of the edge to each; an edge
without a weight has the weight 1.  Nodes and edges keep the order they were put in.  No primitive
makes a graph of more than `MAX_NODES` nodes.

Graphs have a scalar form alone.  A batch holds tensors and lists of them, and a graph is neither:
as an adjacency matrix it would lose the names of its nodes and the order they stand in, which these
primitives speak of.  For the compiled engine a value is a run of 64-bit words of a fixed layout; a
node may be a text.  And no gradient passes an edge that is there or is not, so there is no soft
form either; for learning on graphs publish a trained block.
"""

from metaloom_graphs.paths import PATHS
from metaloom_graphs.structure import MAX_NODES, STRUCTURE
from metaloom_graphs.traversal import TRAVERSAL

__all__ = ["MAX_NODES", "PRIMITIVES"]

PRIMITIVES = (*STRUCTURE, *TRAVERSAL, *PATHS)
"""Every primitive of the plugin."""
