"""The list of all blocks: names, versions, types, text, ancestry, runs.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.catalogue.integrity import Problem as Problem
    from metaloom_registry.catalogue.integrity import Report as Report
    from metaloom_registry.catalogue.library import CatalogueLibrary as CatalogueLibrary
    from metaloom_registry.catalogue.lineage.ancestry import Edge as Edge
    from metaloom_registry.catalogue.lineage.ancestry import Lineage as Lineage
    from metaloom_registry.catalogue.lineage.ancestry import Node as Node
    from metaloom_registry.catalogue.lineage.leakage import Leak as Leak
    from metaloom_registry.catalogue.lineage.leakage import leaks as leaks
    from metaloom_registry.catalogue.lineage.runs import RunRecord as RunRecord
    from metaloom_registry.catalogue.lineage.runs import TaskRecord as TaskRecord
    from metaloom_registry.catalogue.naming.aliases import AliasMove as AliasMove
    from metaloom_registry.catalogue.naming.versions import Page as Page
    from metaloom_registry.catalogue.naming.versions import Version as Version
    from metaloom_registry.catalogue.publish.custody import Custody as Custody
    from metaloom_registry.catalogue.publish.drafts import Draft as Draft
    from metaloom_registry.catalogue.publish.kinds import validate_block as validate_block
    from metaloom_registry.catalogue.publish.outbox import Message as Message
    from metaloom_registry.catalogue.publish.outbox import Outbox as Outbox
    from metaloom_registry.catalogue.registry import BLOBS_FOLDER as BLOBS_FOLDER
    from metaloom_registry.catalogue.registry import Registry as Registry
    from metaloom_registry.catalogue.schema.cursors import read_cursor as read_cursor
    from metaloom_registry.catalogue.schema.cursors import write_cursor as write_cursor
    from metaloom_registry.catalogue.schema.database import Database as Database
    from metaloom_registry.catalogue.search.finder import Finder as Finder
    from metaloom_registry.catalogue.search.finding import Hit as Hit
    from metaloom_registry.catalogue.search.fitting import Wanted as Wanted
    from metaloom_registry.catalogue.search.fitting import explained as explained
    from metaloom_registry.catalogue.search.fitting import given_by as given_by
    from metaloom_registry.catalogue.search.fitting import taken_by as taken_by
    from metaloom_registry.catalogue.upkeep.collecting import Collected as Collected
    from metaloom_registry.catalogue.upkeep.collecting import collect as collect
    from metaloom_registry.catalogue.upkeep.repairing import Repaired as Repaired
    from metaloom_registry.catalogue.upkeep.repairing import repair as repair
    from metaloom_registry.catalogue.upkeep.transfer import Moved as Moved
    from metaloom_registry.catalogue.upkeep.transfer import export_namespace as export_namespace
    from metaloom_registry.catalogue.upkeep.transfer import import_namespace as import_namespace
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "naming.aliases": ("AliasMove",),
            "lineage.ancestry": ("Edge", "Lineage", "Node"),
            "upkeep.collecting": ("Collected", "collect"),
            "schema.cursors": ("read_cursor", "write_cursor"),
            "publish.custody": ("Custody",),
            "schema.database": ("Database",),
            "publish.drafts": ("Draft",),
            "search.finder": ("Finder",),
            "search.finding": ("Hit",),
            "search.fitting": ("Wanted", "explained", "given_by", "taken_by"),
            "integrity": ("Problem", "Report"),
            "publish.kinds": ("validate_block",),
            "lineage.leakage": ("Leak", "leaks"),
            "library": ("CatalogueLibrary",),
            "publish.outbox": ("Message", "Outbox"),
            "registry": ("BLOBS_FOLDER", "Registry"),
            "upkeep.repairing": ("Repaired", "repair"),
            "lineage.runs": ("RunRecord", "TaskRecord"),
            "upkeep.transfer": ("Moved", "export_namespace", "import_namespace"),
            "naming.versions": ("Page", "Version"),
        },
    )
