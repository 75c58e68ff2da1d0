"""Types, terms, blocks, the graph format, storage and the catalogue of Metaloom.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names as lazy_names

if TYPE_CHECKING:
    from metaloom_registry.canonical import Json as Json
    from metaloom_registry.canonical import dump_canonical as dump_canonical
    from metaloom_registry.canonical import load_strict as load_strict
    from metaloom_registry.catalogue import CatalogueLibrary as CatalogueLibrary
    from metaloom_registry.catalogue import Draft as Draft
    from metaloom_registry.catalogue import Hit as Hit
    from metaloom_registry.catalogue import Lineage as Lineage
    from metaloom_registry.catalogue import Page as Page
    from metaloom_registry.catalogue import Registry as Registry
    from metaloom_registry.catalogue import RunRecord as RunRecord
    from metaloom_registry.catalogue import TaskRecord as TaskRecord
    from metaloom_registry.catalogue import Version as Version
    from metaloom_registry.composition import compose as compose
    from metaloom_registry.composition import taught as taught
    from metaloom_registry.deferred import Deferred as Deferred
    from metaloom_registry.digest import Digest as Digest
    from metaloom_registry.errors import AlreadyExists as AlreadyExists
    from metaloom_registry.errors import BadSeal as BadSeal
    from metaloom_registry.errors import Corrupt as Corrupt
    from metaloom_registry.errors import EvaluationError as EvaluationError
    from metaloom_registry.errors import InvalidName as InvalidName
    from metaloom_registry.errors import InvalidTask as InvalidTask
    from metaloom_registry.errors import LicenceConflict as LicenceConflict
    from metaloom_registry.errors import MetaloomError as MetaloomError
    from metaloom_registry.errors import MissingExtra as MissingExtra
    from metaloom_registry.errors import NoSolution as NoSolution
    from metaloom_registry.errors import NotFound as NotFound
    from metaloom_registry.errors import NotOwner as NotOwner
    from metaloom_registry.errors import ParseError as ParseError
    from metaloom_registry.errors import PluginError as PluginError
    from metaloom_registry.errors import Refused as Refused
    from metaloom_registry.errors import StorageError as StorageError
    from metaloom_registry.errors import TypeMismatch as TypeMismatch
    from metaloom_registry.errors import WorkerFailed as WorkerFailed
    from metaloom_registry.errors import WrongFact as WrongFact
    from metaloom_registry.frozen_dict import FrozenDict as FrozenDict
    from metaloom_registry.frozen_dict import frozen_value as frozen_value
    from metaloom_registry.graph import Budget as Budget
    from metaloom_registry.graph import ExportedGraph as ExportedGraph
    from metaloom_registry.graph import GraphModule as GraphModule
    from metaloom_registry.graph import check_facts as check_facts
    from metaloom_registry.graph import check_signature as check_signature
    from metaloom_registry.graph import export_module as export_module
    from metaloom_registry.graph import exported_program as exported_program
    from metaloom_registry.graph import input_statistics as input_statistics
    from metaloom_registry.graph import load_graph as load_graph
    from metaloom_registry.graph import plain_module as plain_module
    from metaloom_registry.graph import read_graph as read_graph
    from metaloom_registry.graph import validate_graph as validate_graph
    from metaloom_registry.groups import parameter_groups as parameter_groups
    from metaloom_registry.importing import Architecture as Architecture
    from metaloom_registry.importing import Consent as Consent
    from metaloom_registry.importing import Imported as Imported
    from metaloom_registry.importing import Importer as Importer
    from metaloom_registry.inference import check as check
    from metaloom_registry.inference import infer as infer
    from metaloom_registry.keys import PublicKey as PublicKey
    from metaloom_registry.keys import SecretKey as SecretKey
    from metaloom_registry.lazy import lazy_names as lazy_names
    from metaloom_registry.library import Entry as Entry
    from metaloom_registry.library import Library as Library
    from metaloom_registry.library import Loaded as Loaded
    from metaloom_registry.library import MemoryLibrary as MemoryLibrary
    from metaloom_registry.library import primitive_entry as primitive_entry
    from metaloom_registry.licences import combined_licence as combined_licence
    from metaloom_registry.licences import inherited_licence as inherited_licence
    from metaloom_registry.manifest import GRAPH_FILE as GRAPH_FILE
    from metaloom_registry.manifest import TERM_FILE as TERM_FILE
    from metaloom_registry.manifest import WEIGHTS_FILE as WEIGHTS_FILE
    from metaloom_registry.manifest import File as File
    from metaloom_registry.manifest import Manifest as Manifest
    from metaloom_registry.manifest import Parent as Parent
    from metaloom_registry.names import BlockName as BlockName
    from metaloom_registry.names import Reference as Reference
    from metaloom_registry.normal import normal_form as normal_form
    from metaloom_registry.normal import term_digest as term_digest
    from metaloom_registry.plugins import Outcome as Outcome
    from metaloom_registry.plugins import Plugin as Plugin
    from metaloom_registry.plugins import Plugins as Plugins
    from metaloom_registry.plugins import discover as discover
    from metaloom_registry.plugins import load_primitives as load_primitives
    from metaloom_registry.portable import Portable as Portable
    from metaloom_registry.portable import load_block as load_block
    from metaloom_registry.portable import read_portable as read_portable
    from metaloom_registry.portable import write_portable as write_portable
    from metaloom_registry.primitives import Primitive as Primitive
    from metaloom_registry.primitives import PrimitiveTable as PrimitiveTable
    from metaloom_registry.seals import Seal as Seal
    from metaloom_registry.seals import read_seals as read_seals
    from metaloom_registry.seals import write_seals as write_seals
    from metaloom_registry.sexpr import parse_term as parse_term
    from metaloom_registry.sexpr import print_term as print_term
    from metaloom_registry.sexpr import term_from_json as term_from_json
    from metaloom_registry.sexpr import term_to_json as term_to_json
    from metaloom_registry.source import python_module as python_module
    from metaloom_registry.source import python_source as python_source
    from metaloom_registry.storage import BlobStore as BlobStore
    from metaloom_registry.storage import CachedBlobs as CachedBlobs
    from metaloom_registry.storage import Collectable as Collectable
    from metaloom_registry.storage import FolderBlobs as FolderBlobs
    from metaloom_registry.storage import FsspecBlobs as FsspecBlobs
    from metaloom_registry.storage import MemoryBlobs as MemoryBlobs
    from metaloom_registry.storage import open_blobs as open_blobs
    from metaloom_registry.terms import MAX_DEPTH as MAX_DEPTH
    from metaloom_registry.terms import MAX_NODES as MAX_NODES
    from metaloom_registry.terms import Apply as Apply
    from metaloom_registry.terms import Bound as Bound
    from metaloom_registry.terms import Hole as Hole
    from metaloom_registry.terms import Lambda as Lambda
    from metaloom_registry.terms import Let as Let
    from metaloom_registry.terms import Literal as Literal
    from metaloom_registry.terms import Term as Term
    from metaloom_registry.terms import Use as Use
    from metaloom_registry.terms import apply as apply
    from metaloom_registry.terms import children as children
    from metaloom_registry.terms import depth as depth
    from metaloom_registry.terms import lambdas as lambdas
    from metaloom_registry.terms import node_count as node_count
    from metaloom_registry.terms import references as references
    from metaloom_registry.terms import shifted as shifted
    from metaloom_registry.terms import spine as spine
    from metaloom_registry.terms import substituted as substituted
    from metaloom_registry.terms import subterms as subterms
    from metaloom_registry.trust import Standing as Standing
    from metaloom_registry.trust import Trusted as Trusted
    from metaloom_registry.trust import TrustList as TrustList
    from metaloom_registry.types import BOOL as BOOL
    from metaloom_registry.types import CONSTRUCTORS as CONSTRUCTORS
    from metaloom_registry.types import FLOAT as FLOAT
    from metaloom_registry.types import GRID as GRID
    from metaloom_registry.types import INT as INT
    from metaloom_registry.types import TENSOR_KINDS as TENSOR_KINDS
    from metaloom_registry.types import TEXT as TEXT
    from metaloom_registry.types import Arrow as Arrow
    from metaloom_registry.types import Constructed as Constructed
    from metaloom_registry.types import DimensionVariable as DimensionVariable
    from metaloom_registry.types import Tensor as Tensor
    from metaloom_registry.types import Type as Type
    from metaloom_registry.types import Variable as Variable
    from metaloom_registry.types import examples_of as examples_of
    from metaloom_registry.types import function as function
    from metaloom_registry.types import is_closed as is_closed
    from metaloom_registry.types import list_of as list_of
    from metaloom_registry.types import mapped as mapped
    from metaloom_registry.types import parse_type as parse_type
    from metaloom_registry.types import parts as parts
    from metaloom_registry.types import tuple_of as tuple_of
    from metaloom_registry.types import uncurried as uncurried
    from metaloom_registry.types import without_domains as without_domains
    from metaloom_registry.unification import Fresh as Fresh
    from metaloom_registry.unification import Substitution as Substitution
    from metaloom_registry.unification import fits as fits
    from metaloom_registry.unification import generalised as generalised
    from metaloom_registry.unification import renamed as renamed
    from metaloom_registry.unification import unify as unify
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "canonical": (
                "Json",
                "dump_canonical",
                "load_strict",
            ),
            "catalogue": (
                "CatalogueLibrary",
                "Draft",
                "Hit",
                "Lineage",
                "Page",
                "Registry",
                "RunRecord",
                "TaskRecord",
                "Version",
            ),
            "composition": (
                "compose",
                "taught",
            ),
            "deferred": ("Deferred",),
            "digest": ("Digest",),
            "errors": (
                "AlreadyExists",
                "BadSeal",
                "Corrupt",
                "EvaluationError",
                "InvalidName",
                "InvalidTask",
                "LicenceConflict",
                "MetaloomError",
                "MissingExtra",
                "NoSolution",
                "NotFound",
                "NotOwner",
                "ParseError",
                "PluginError",
                "Refused",
                "StorageError",
                "TypeMismatch",
                "WorkerFailed",
                "WrongFact",
            ),
            "frozen_dict": (
                "FrozenDict",
                "frozen_value",
            ),
            "graph": (
                "Budget",
                "ExportedGraph",
                "GraphModule",
                "check_facts",
                "check_signature",
                "export_module",
                "exported_program",
                "input_statistics",
                "load_graph",
                "plain_module",
                "read_graph",
                "validate_graph",
            ),
            "groups": ("parameter_groups",),
            "importing": (
                "Architecture",
                "Consent",
                "Imported",
                "Importer",
            ),
            "inference": (
                "check",
                "infer",
            ),
            "keys": (
                "PublicKey",
                "SecretKey",
            ),
            "lazy": ("lazy_names",),
            "library": (
                "Entry",
                "Library",
                "Loaded",
                "MemoryLibrary",
                "primitive_entry",
            ),
            "licences": (
                "combined_licence",
                "inherited_licence",
            ),
            "manifest": (
                "GRAPH_FILE",
                "TERM_FILE",
                "WEIGHTS_FILE",
                "File",
                "Manifest",
                "Parent",
            ),
            "names": (
                "BlockName",
                "Reference",
            ),
            "normal": (
                "normal_form",
                "term_digest",
            ),
            "plugins": (
                "Outcome",
                "Plugin",
                "Plugins",
                "discover",
                "load_primitives",
            ),
            "portable": (
                "Portable",
                "load_block",
                "read_portable",
                "write_portable",
            ),
            "primitives": (
                "Primitive",
                "PrimitiveTable",
            ),
            "seals": (
                "Seal",
                "read_seals",
                "write_seals",
            ),
            "sexpr": (
                "parse_term",
                "print_term",
                "term_from_json",
                "term_to_json",
            ),
            "source": (
                "python_module",
                "python_source",
            ),
            "storage": (
                "BlobStore",
                "CachedBlobs",
                "Collectable",
                "FolderBlobs",
                "FsspecBlobs",
                "MemoryBlobs",
                "open_blobs",
            ),
            "terms": (
                "Apply",
                "Bound",
                "Hole",
                "Lambda",
                "Let",
                "Literal",
                "MAX_DEPTH",
                "MAX_NODES",
                "Term",
                "Use",
                "apply",
                "children",
                "depth",
                "lambdas",
                "node_count",
                "references",
                "shifted",
                "spine",
                "substituted",
                "subterms",
            ),
            "trust": (
                "Standing",
                "TrustList",
                "Trusted",
            ),
            "types": (
                "Arrow",
                "BOOL",
                "CONSTRUCTORS",
                "Constructed",
                "DimensionVariable",
                "FLOAT",
                "GRID",
                "INT",
                "TENSOR_KINDS",
                "TEXT",
                "Tensor",
                "Type",
                "Variable",
                "examples_of",
                "function",
                "is_closed",
                "list_of",
                "mapped",
                "parse_type",
                "parts",
                "tuple_of",
                "uncurried",
                "without_domains",
            ),
            "unification": (
                "Fresh",
                "Substitution",
                "fits",
                "generalised",
                "renamed",
                "unify",
            ),
        },
    )
