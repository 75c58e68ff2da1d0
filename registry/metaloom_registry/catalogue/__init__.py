"""The list of all blocks: names, versions, types, text, ancestry, runs.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.catalogue.aliases import AliasMove as AliasMove
    from metaloom_registry.catalogue.ancestry import Edge as Edge
    from metaloom_registry.catalogue.ancestry import Lineage as Lineage
    from metaloom_registry.catalogue.ancestry import Node as Node
    from metaloom_registry.catalogue.collecting import Collected as Collected
    from metaloom_registry.catalogue.collecting import collect as collect
    from metaloom_registry.catalogue.cursors import read_cursor as read_cursor
    from metaloom_registry.catalogue.cursors import write_cursor as write_cursor
    from metaloom_registry.catalogue.custody import Custody as Custody
    from metaloom_registry.catalogue.database import Database as Database
    from metaloom_registry.catalogue.drafts import Draft as Draft
    from metaloom_registry.catalogue.finder import Finder as Finder
    from metaloom_registry.catalogue.finding import Hit as Hit
    from metaloom_registry.catalogue.fitting import Wanted as Wanted
    from metaloom_registry.catalogue.fitting import explained as explained
    from metaloom_registry.catalogue.fitting import given_by as given_by
    from metaloom_registry.catalogue.fitting import taken_by as taken_by
    from metaloom_registry.catalogue.integrity import Problem as Problem
    from metaloom_registry.catalogue.integrity import Report as Report
    from metaloom_registry.catalogue.kinds import validate_block as validate_block
    from metaloom_registry.catalogue.leakage import Leak as Leak
    from metaloom_registry.catalogue.leakage import leaks as leaks
    from metaloom_registry.catalogue.library import CatalogueLibrary as CatalogueLibrary
    from metaloom_registry.catalogue.outbox import Message as Message
    from metaloom_registry.catalogue.outbox import Outbox as Outbox
    from metaloom_registry.catalogue.registry import BLOBS_FOLDER as BLOBS_FOLDER
    from metaloom_registry.catalogue.registry import Registry as Registry
    from metaloom_registry.catalogue.repairing import Repaired as Repaired
    from metaloom_registry.catalogue.repairing import repair as repair
    from metaloom_registry.catalogue.runs import RunRecord as RunRecord
    from metaloom_registry.catalogue.runs import TaskRecord as TaskRecord
    from metaloom_registry.catalogue.transfer import Moved as Moved
    from metaloom_registry.catalogue.transfer import export_namespace as export_namespace
    from metaloom_registry.catalogue.transfer import import_namespace as import_namespace
    from metaloom_registry.catalogue.versions import Page as Page
    from metaloom_registry.catalogue.versions import Version as Version
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "aliases": ("AliasMove",),
            "ancestry": ("Edge", "Lineage", "Node"),
            "collecting": ("Collected", "collect"),
            "cursors": ("read_cursor", "write_cursor"),
            "custody": ("Custody",),
            "database": ("Database",),
            "drafts": ("Draft",),
            "finder": ("Finder",),
            "finding": ("Hit",),
            "fitting": ("Wanted", "explained", "given_by", "taken_by"),
            "integrity": ("Problem", "Report"),
            "kinds": ("validate_block",),
            "leakage": ("Leak", "leaks"),
            "library": ("CatalogueLibrary",),
            "outbox": ("Message", "Outbox"),
            "registry": ("BLOBS_FOLDER", "Registry"),
            "repairing": ("Repaired", "repair"),
            "runs": ("RunRecord", "TaskRecord"),
            "transfer": ("Moved", "export_namespace", "import_namespace"),
            "versions": ("Page", "Version"),
        },
    )
