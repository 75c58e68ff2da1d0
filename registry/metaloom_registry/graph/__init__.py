"""Trained modules as data: exported by their owner, loaded by anyone without running code.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from graph.checking import Budget as Budget
    from graph.checking import Cost as Cost
    from graph.checking import check_graph as check_graph
    from graph.checking import output_specs as output_specs
    from graph.document import Graph as Graph
    from graph.document import write_graph as write_graph
    from graph.export import ExportedGraph as ExportedGraph
    from graph.export import export_module as export_module
    from graph.fusion import Argument as Argument
    from graph.fusion import Call as Call
    from graph.fusion import Fused as Fused
    from graph.fusion import fuse as fuse
    from graph.module import GraphModule as GraphModule
    from graph.module import load_graph as load_graph
    from graph.plain import exported_program as exported_program
    from graph.plain import plain_module as plain_module
    from graph.plain import traced_inputs as traced_inputs
    from graph.plain import unlocked as unlocked
    from graph.reading import read_graph as read_graph
    from graph.validation import check_signature as check_signature
    from graph.validation import validate_graph as validate_graph
    from graph.weights import read_header as read_header
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "checking": (
                "Budget",
                "Cost",
                "check_graph",
                "output_specs",
            ),
            "document": (
                "Graph",
                "write_graph",
            ),
            "export": (
                "ExportedGraph",
                "export_module",
            ),
            "fusion": (
                "Argument",
                "Call",
                "Fused",
                "fuse",
            ),
            "module": (
                "GraphModule",
                "load_graph",
            ),
            "plain": (
                "exported_program",
                "plain_module",
                "traced_inputs",
                "unlocked",
            ),
            "reading": ("read_graph",),
            "validation": (
                "check_signature",
                "validate_graph",
            ),
            "weights": ("read_header",),
        },
    )
