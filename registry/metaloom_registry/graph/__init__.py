"""Trained modules as data: exported by their owner, loaded by anyone without running code.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.graph.checking import Budget as Budget
    from metaloom_registry.graph.checking import Cost as Cost
    from metaloom_registry.graph.checking import check_graph as check_graph
    from metaloom_registry.graph.checking import output_specs as output_specs
    from metaloom_registry.graph.conversions import Conversions as Conversions
    from metaloom_registry.graph.document import Graph as Graph
    from metaloom_registry.graph.document import write_graph as write_graph
    from metaloom_registry.graph.export import ExportedGraph as ExportedGraph
    from metaloom_registry.graph.export import export_module as export_module
    from metaloom_registry.graph.fusion import Argument as Argument
    from metaloom_registry.graph.fusion import Call as Call
    from metaloom_registry.graph.fusion import Fused as Fused
    from metaloom_registry.graph.fusion import fuse as fuse
    from metaloom_registry.graph.module import GraphModule as GraphModule
    from metaloom_registry.graph.module import load_graph as load_graph
    from metaloom_registry.graph.plain import exported_program as exported_program
    from metaloom_registry.graph.plain import plain_module as plain_module
    from metaloom_registry.graph.plain import traced_inputs as traced_inputs
    from metaloom_registry.graph.plain import unlocked as unlocked
    from metaloom_registry.graph.reading import read_graph as read_graph
    from metaloom_registry.graph.rechecking import check_counts as check_counts
    from metaloom_registry.graph.rechecking import check_facts as check_facts
    from metaloom_registry.graph.statistics import input_statistics as input_statistics
    from metaloom_registry.graph.validation import check_signature as check_signature
    from metaloom_registry.graph.validation import validate_graph as validate_graph
    from metaloom_registry.graph.weights import read_header as read_header
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "checking": ("Budget", "Cost", "check_graph", "output_specs"),
            "conversions": ("Conversions",),
            "document": ("Graph", "write_graph"),
            "export": ("ExportedGraph", "export_module"),
            "fusion": ("Argument", "Call", "Fused", "fuse"),
            "module": ("GraphModule", "load_graph"),
            "plain": ("exported_program", "plain_module", "traced_inputs", "unlocked"),
            "reading": ("read_graph",),
            "rechecking": ("check_counts", "check_facts"),
            "statistics": ("input_statistics",),
            "validation": ("check_signature", "validate_graph"),
            "weights": ("read_header",),
        },
    )
