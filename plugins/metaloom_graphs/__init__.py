"""A plugin of Metaloom: primitives on directed graphs with whole-number weights.

A graph has for each of its nodes the successors of it, with the weight of the edge to each; an edge
without a weight has the weight 1.  Nodes and edges keep the order they were put in.  No primitive
makes a graph of more than `MAX_NODES` nodes.
"""

from metaloom_graphs.paths import PATHS
from metaloom_graphs.structure import MAX_NODES, STRUCTURE
from metaloom_graphs.traversal import TRAVERSAL

__all__ = ["MAX_NODES", "PRIMITIVES"]

PRIMITIVES = (*STRUCTURE, *TRAVERSAL, *PATHS)
"""Every primitive of the plugin."""
