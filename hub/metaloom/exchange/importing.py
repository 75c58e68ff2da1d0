"""Importing: something trained elsewhere, read by the importer for its format and published."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaloom.arguments import as_tags
from metaloom.exchange.mlflow_registry import block_folder, downloaded
from metaloom.exchange.pickles import refuse_pickle
from metaloom.lineage.addresses import is_model_address
from metaloom.publishing import Details, graph_draft
from metaloom_registry import (
    Consent,
    Imported,
    Importer,
    NotFound,
    ParseError,
    PluginError,
    Portable,
    Type,
    TypeMismatch,
    catalogue,
    discover,
    parse_type,
    read_portable,
)
from metaloom_registry.manifest import MANIFEST_FILE
from metaloom_registry.portable import ARCHIVE_SUFFIX

if TYPE_CHECKING:
    from metaloom.blocks import Block
    from metaloom.hub import Hub
GROUP = "metaloom.importers"
PORTABLE = "portable"
"""What the importer of Metaloom's own folders is called; it needs no module, so is no plugin."""


def import_block(
    hub: Hub,
    name: str,
    source: Any,
    signature: str | Type | None = None,
    *,
    importer: str | None = None,
    consent: Consent | None = None,
    license: str | None = None,  # noqa: A002 - the word people look for
    card: str | None = None,
    tags: str | Iterable[str] = (),
) -> Block:
    """Publish something trained elsewhere under a name of one's own.

    source: a path, an address such as `hf://org/name` or `models:/name/1`, or a live object.
    importer: the name of the importer, where more than one takes the source.
    A portable folder or archive is published as the very block it is, with its ancestors, and
    takes none of the other arguments; it is validated as of unknown origin.  `license` and `card`
    go before what the origin says, `tags` beside it.  Raises NotFound, ParseError, TypeMismatch,
    Refused, MissingExtra or PluginError.
    """
    found = _located(source)
    if importer is None and is_model_address(found):
        with downloaded(found, hub.home) as files:
            return import_block(
                hub,
                name,
                block_folder(files.folder) or files,
                signature,
                consent=consent,
                license=license,
                card=card,
                tags=tags,
            )
    if importer == PORTABLE or (importer is None and _is_portable(found)):
        if signature is not None or license is not None or card is not None or [*tags]:
            raise TypeMismatch(
                f"{source} is a published block, whose type, licence, card and tags are its own; "
                "leave them out"
            )
        return _import_portable(hub, name, found)
    free = hub.require_free(name)
    imported = _importer(found, importer).read(found, consent or Consent())
    chosen = signature if signature is not None else imported.signature
    if chosen is None:
        raise TypeMismatch(
            f"{source!r:.80} does not say what type it has; give a signature, for example "
            '"image[1,28,28] -> vec[64]"'
        )
    draft = graph_draft(
        imported.module,
        parse_type(chosen) if isinstance(chosen, str) else chosen,
        _details(imported, license, card, as_tags(tags)),
        hub.registry.admission.conversions,
    )
    version = hub.registry.publish(
        free, draft.manifest, draft.files, seals=draft.seals, exported=draft.exported
    )
    return hub[version.reference]


def _details(
    imported: Imported,
    license: str | None,  # noqa: A002
    card: str | None,
    tags: Iterable[str],
) -> Details:
    return Details(
        license=imported.license if license is None else license,
        card=imported.card if card is None else card,
        tags=tuple(dict.fromkeys((*tags, *imported.tags))),
        facts=imported.facts,
        files=imported.files,
    )


def _import_portable(hub: Hub, name: str, path: Any) -> Block:
    if not isinstance(path, Path):
        raise TypeMismatch(f"{path!r:.80} is no path; a portable block is a folder or an archive")
    hub.require_free(name)
    return publish_portable(hub, name, read_portable(path))


def publish_portable(hub: Hub, name: str, portable: Portable) -> Block:
    """Publish a block from elsewhere as the very block it is, with its ancestors."""
    free = hub.require_free(name)
    parts = [catalogue.Draft(p.manifest, p.files, p.seals) for p in portable.ancestors]
    version = hub.registry.publish(
        free, portable.manifest, portable.files, parts=parts, seals=portable.seals
    )
    return hub[version.reference]


def _located(source: Any) -> Any:
    """A path where the source names a file or folder, else the source itself."""
    if isinstance(source, str) and ("://" in source or is_model_address(source)):
        return source
    if isinstance(source, str | os.PathLike):
        path = Path(os.fspath(source)).expanduser()
        if not path.exists():
            raise NotFound(
                f"there is no file or folder {path}; an address of the Hugging Face Hub is written "
                "hf://org/name"
            )
        return path
    return source


def _is_portable(source: Any) -> bool:
    if not isinstance(source, Path):
        return False
    return source.suffix == ARCHIVE_SUFFIX or (source / MANIFEST_FILE).is_file()


def _importer(source: Any, name: str | None) -> Importer:
    """The importer of that name, or the one that accepts the source.

    Raises NotFound where none does, Refused where none should, ParseError where several do.
    """
    plugins = discover(GROUP)
    if name is not None:
        return _checked(plugins.load(name), name)
    accepting: dict[str, Importer] = {}
    broken: list[PluginError] = []
    for outcome in plugins.outcomes():
        if outcome.error is not None:
            broken.append(outcome.error)
            continue
        candidate = _checked(outcome.value, outcome.plugin.name)
        if candidate.accepts(source):
            accepting[outcome.plugin.name] = candidate
    if len(accepting) > 1:
        raise ParseError(
            f"{_named(source)} is taken by the importers {', '.join(accepting)}; "
            "name the one to use"
        )
    if not accepting and hasattr(source, "state_dict"):
        return LIVE
    if not accepting:
        if isinstance(source, Path):
            refuse_pickle(source)
        said = f"; one that does not load: {broken[0]}" if broken else ""
        raise NotFound(
            f"no importer takes {_named(source)}; there are {', '.join((PORTABLE, *plugins.names))}"
            f"{said}. A live nn.Module is taken as it is; `metaloom plugins` lists all"
        )
    return next(iter(accepting.values()))


def _named(source: object) -> str:
    """A source as people call it."""
    return str(source) if isinstance(source, Path | str) else f"{source!r:.120}"


class LiveModule:
    """Takes a module as it is: what is done where no importer knows more of it."""

    def accepts(self, source: object) -> bool:
        return hasattr(source, "state_dict")

    def read(self, source: Any, consent: Consent) -> Imported:
        return Imported(source)


LIVE = LiveModule()


def _checked(value: object, name: str) -> Importer:
    if not callable(getattr(value, "accepts", None)) or not callable(getattr(value, "read", None)):
        raise PluginError(
            f"the importer {name!r} is a {type(value).__name__} without `accepts` and `read`; "
            "see metaloom_registry.Importer"
        )
    importer: Importer = value  # type: ignore[assignment]
    return importer
