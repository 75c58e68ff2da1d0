"""Types, terms, blocks, the graph format, storage and the catalogue of Metaloom.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.canonical import Json as Json
    from metaloom_registry.canonical import dump_canonical as dump_canonical
    from metaloom_registry.canonical import load_strict as load_strict
    from metaloom_registry.digest import Digest as Digest
    from metaloom_registry.errors import AlreadyExists as AlreadyExists
    from metaloom_registry.errors import Corrupt as Corrupt
    from metaloom_registry.errors import EvaluationError as EvaluationError
    from metaloom_registry.errors import InvalidName as InvalidName
    from metaloom_registry.errors import InvalidTask as InvalidTask
    from metaloom_registry.errors import MetaloomError as MetaloomError
    from metaloom_registry.errors import MissingExtra as MissingExtra
    from metaloom_registry.errors import NoSolution as NoSolution
    from metaloom_registry.errors import NotFound as NotFound
    from metaloom_registry.errors import ParseError as ParseError
    from metaloom_registry.errors import PluginError as PluginError
    from metaloom_registry.errors import Refused as Refused
    from metaloom_registry.errors import TypeMismatch as TypeMismatch
    from metaloom_registry.library import Entry as Entry
    from metaloom_registry.library import Library as Library
    from metaloom_registry.library import Loaded as Loaded
    from metaloom_registry.library import MemoryLibrary as MemoryLibrary
    from metaloom_registry.library import primitive_entry as primitive_entry
    from metaloom_registry.names import BlockName as BlockName
    from metaloom_registry.names import Reference as Reference
    from metaloom_registry.plugins import Outcome as Outcome
    from metaloom_registry.plugins import Plugin as Plugin
    from metaloom_registry.plugins import Plugins as Plugins
    from metaloom_registry.plugins import discover as discover
    from metaloom_registry.plugins import load_primitives as load_primitives
    from metaloom_registry.primitives import Primitive as Primitive
    from metaloom_registry.primitives import PrimitiveTable as PrimitiveTable
    from metaloom_registry.terms import Apply as Apply
    from metaloom_registry.terms import Bound as Bound
    from metaloom_registry.terms import Hole as Hole
    from metaloom_registry.terms import Lambda as Lambda
    from metaloom_registry.terms import Let as Let
    from metaloom_registry.terms import Literal as Literal
    from metaloom_registry.terms import Term as Term
    from metaloom_registry.terms import Use as Use
    from metaloom_registry.types import Arrow as Arrow
    from metaloom_registry.types import Constructed as Constructed
    from metaloom_registry.types import Tensor as Tensor
    from metaloom_registry.types import Type as Type
    from metaloom_registry.types import Variable as Variable
    from metaloom_registry.types import parse_type as parse_type
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "canonical": ("Json", "dump_canonical", "load_strict"),
            "digest": ("Digest",),
            "errors": (
                "AlreadyExists",
                "Corrupt",
                "EvaluationError",
                "InvalidName",
                "InvalidTask",
                "MetaloomError",
                "MissingExtra",
                "NoSolution",
                "NotFound",
                "ParseError",
                "PluginError",
                "Refused",
                "TypeMismatch",
            ),
            "library": ("Entry", "Library", "Loaded", "MemoryLibrary", "primitive_entry"),
            "names": ("BlockName", "Reference"),
            "plugins": ("Outcome", "Plugin", "Plugins", "discover", "load_primitives"),
            "primitives": ("Primitive", "PrimitiveTable"),
            "terms": ("Apply", "Bound", "Hole", "Lambda", "Let", "Literal", "Term", "Use"),
            "types": ("Arrow", "Constructed", "Tensor", "Type", "Variable", "parse_type"),
        },
    )
