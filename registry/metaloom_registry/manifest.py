"""What a block is: its kind, type, files, ancestry, card and facts, as one canonical document.

The digest of the document's bytes is the block's identity, so it holds no name, no version and no
time: those belong to the registry that lists the block.  A signature by a key, where there is one,
is a separate file beside the document (`SIGNATURE_FILE`), because signing changes no identity.

`Manifest.parse(m.to_bytes()) == m` for every manifest, and `Manifest.parse(b).to_bytes() == b` for
all bytes that are a manifest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from metaloom_registry.canonical import Json, dump_canonical, load_strict
from metaloom_registry.digest import Digest
from metaloom_registry.errors import MetaloomError, Refused
from metaloom_registry.names import DEVICES, Reference
from metaloom_registry.types import Type, parse_type

FORMAT = "metaloom-block/1"
KINDS = ("graph", "program", "primitive")
MANIFEST_FILE = "manifest.json"
SIGNATURE_FILE = "manifest.json.sig"
TERM_FILE = "term.json"
"""Where a program keeps its term, as canonical JSON."""

GRAPH_FILE = "graph.json"
"""Where a graph keeps its operations."""

WEIGHTS_FILE = "weights.safetensors"
"""Where a graph keeps its tensors."""

MAX_BYTES = 8 * 1024 * 1024
MAX_FILE_BYTES = 1 << 40
MAX_FILES = 1_000
MAX_PARENTS = 10_000
MAX_SEEN = 200_000
MAX_TAGS = 64
MAX_CARD = 200_000
MAX_PATH = 200
MAX_FACTS_BYTES = 1024 * 1024

_SEGMENT = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?", re.ASCII)
_ROLE = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)
_TAG = re.compile(r"[a-z0-9][a-z0-9._:-]{0,63}", re.ASCII)
_LICENCE = re.compile(r"\(*[A-Za-z0-9.+-]+\)*(?: (?:AND|OR|WITH) \(*[A-Za-z0-9.+-]+\)*)*", re.ASCII)
_FIELDS = (
    "card", "facts", "files", "format", "kind", "licence", "parents", "requires", "seen",
    "signature", "tags",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class File:
    """The content of one file of a block: its digest and its size in bytes."""

    digest: Digest
    size: int

    @classmethod
    def of(cls, data: bytes) -> File:
        return cls(Digest.of(data), len(data))


@dataclass(frozen=True, slots=True, order=True)
class Parent:
    """A block that another came from; the role says how: `uses`, `adapted-from`, `trained-on`."""

    digest: Digest
    role: str = "uses"


@dataclass(frozen=True)
class Manifest:
    """One block, but for its files' bytes.

    `files` maps each path to what it holds; paths are relative, of a fixed set of characters.
    `parents` are the manifests of the blocks this one came from, `requires` the primitives it
    needs.  `licence` is an SPDX expression, `card` Markdown for people, `facts` what was measured,
    `seen` the digests of the classes it was trained on.  Sequences are kept sorted and without
    doubles.  Raises Refused, naming the field, where one breaks its rule.
    """

    kind: str
    signature: Type
    files: Mapping[str, File] = field(default_factory=dict)
    parents: tuple[Parent, ...] = ()
    requires: tuple[Reference, ...] = ()
    licence: str | None = None
    card: str = ""
    tags: tuple[str, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    seen: frozenset[Digest] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", dict(sorted(self.files.items())))
        object.__setattr__(self, "parents", tuple(sorted(set(self.parents))))
        object.__setattr__(self, "requires", tuple(sorted(set(self.requires), key=str)))
        object.__setattr__(self, "tags", tuple(sorted(set(self.tags))))
        object.__setattr__(self, "seen", frozenset(self.seen))
        object.__setattr__(self, "facts", _plain(self.facts))
        for name, check in _CHECKS.items():
            problem = check(self)
            if problem:
                raise Refused(f"the manifest's field {name!r}: {problem}")

    @classmethod
    def of(
        cls, kind: str, signature: Type, contents: Mapping[str, bytes], **fields: Any
    ) -> Manifest:
        """The manifest of a block with these files; `fields` are the other fields by name."""
        files = {path: File.of(data) for path, data in contents.items()}
        manifest = cls(kind=kind, signature=signature, files=files, **fields)
        object.__setattr__(manifest, "_made_of", dict(contents))
        return manifest

    def promises(self, path: str, data: bytes) -> bool:
        """Whether these are the bytes of a file; those it was made of are not counted again."""
        made_of: Mapping[str, bytes] = self.__dict__.get("_made_of", {})
        return made_of.get(path) is data or File.of(data) == self.files[path]

    def to_bytes(self) -> bytes:
        """The manifest as canonical JSON."""
        return self._bytes

    @cached_property
    def _bytes(self) -> bytes:
        return dump_canonical(
            {
                "format": FORMAT,
                "kind": self.kind,
                "signature": str(self.signature),
                "files": {
                    path: {"digest": str(file.digest), "bytes": file.size}
                    for path, file in self.files.items()
                },
                "parents": [{"digest": str(p.digest), "role": p.role} for p in self.parents],
                "requires": [str(reference) for reference in self.requires],
                "licence": self.licence,
                "card": self.card,
                "tags": list(self.tags),
                "facts": self.facts,
                "seen": sorted(map(str, self.seen)),
            }
        )

    @cached_property
    def digest(self) -> Digest:
        """The identity of the block."""
        return Digest.of(self.to_bytes())

    @property
    def size(self) -> int:
        """The bytes of all files together, the manifest left out."""
        return sum(file.size for file in self.files.values())

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read a manifest from a stranger.

        Raises ParseError where the bytes are not JSON, Refused, naming the field, where they are
        not a manifest, not of a known format, or not in canonical form.
        """
        if len(data) > MAX_BYTES:
            raise Refused(f"a manifest of {len(data)} bytes is too long; at most {MAX_BYTES}")
        value = load_strict(data, "the manifest")
        if not isinstance(value, dict):
            raise Refused("the manifest is not a JSON object")
        _known_format(value)
        given = _Fields(value)
        manifest = cls(
            kind=given.text("kind"),
            signature=given.read("signature", _signature),
            files=given.read("files", _files),
            parents=given.read("parents", _parents),
            requires=given.read("requires", _references),
            licence=given.read("licence", _optional_text),
            card=given.text("card"),
            tags=given.read("tags", _texts),
            facts=given.read("facts", _object if len(data) > MAX_FACTS_BYTES else _read_facts),
            seen=given.read("seen", _digests),
        )
        if manifest.to_bytes() != data:
            raise Refused(
                "the manifest is not in canonical form (sorted keys and lists, no white space, no "
                "doubles), so its digest would not name its content; publish the block again"
            )
        return manifest


class _Fields:
    """The fields of a JSON object, each read once and named where it is wrong."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.value = value
        for name in _FIELDS:
            if name not in value:
                raise Refused(f"the manifest's field {name!r} is missing")
        for name in value:
            if name not in _FIELDS:
                raise Refused(
                    f"the manifest has the field {name[:80]!r}, which {FORMAT} does not know"
                )

    def read(self, name: str, reader: Callable[[Any], Any]) -> Any:
        try:
            return reader(self.value[name])
        except MetaloomError as error:
            raise Refused(f"the manifest's field {name!r}: {error}") from None

    def text(self, name: str) -> str:
        found: str = self.read(name, _text)
        return found


def _known_format(value: Mapping[str, Any]) -> None:
    given = value.get("format")
    if given == FORMAT:
        return
    if isinstance(given, str) and re.fullmatch(r"metaloom-block/[0-9]{1,6}", given):
        raise Refused(
            f"the manifest is of the format {given}, and this Metaloom reads {FORMAT}; "
            "upgrade with `pip install --upgrade metaloom`"
        )
    raise Refused(f"the manifest's field 'format' is {str(given)[:80]!r} instead of {FORMAT!r}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused(f"{_kind_of(value)} stands where a text is wanted")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{_kind_of(value)} stands where an object is wanted")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Refused(f"{_kind_of(value)} stands where a list is wanted")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, _list(value)))


def _digests(value: Any) -> frozenset[Digest]:
    return frozenset(map(Digest.parse, _texts(value)))


def _signature(value: Any) -> Type:
    return parse_type(_text(value))


def _references(value: Any) -> tuple[Reference, ...]:
    return tuple(Reference.parse(text) for text in _texts(value))


def _exactly(value: Any, keys: tuple[str, ...]) -> Mapping[str, Any]:
    found = _object(value)
    if set(found) != set(keys):
        raise Refused(f"an object with the keys {', '.join(keys)} is wanted")
    return found


def _files(value: Any) -> dict[str, File]:
    files = {}
    for path, entry in _object(value).items():
        found = _exactly(entry, ("digest", "bytes"))
        size = found["bytes"]
        if isinstance(size, bool) or not isinstance(size, int):
            raise Refused(f"{_kind_of(size)} stands where the bytes of {path[:80]!r} are wanted")
        files[path] = File(Digest.parse(_text(found["digest"])), size)
    return files


def _parents(value: Any) -> tuple[Parent, ...]:
    entries = [_exactly(entry, ("digest", "role")) for entry in _list(value)]
    return tuple(Parent(Digest.parse(_text(e["digest"])), _text(e["role"])) for e in entries)


def _kind_of(value: Any) -> str:
    names = {type(None): "null", bool: "a truth value", str: "a text", list: "a list"}
    return names.get(type(value), "an object" if isinstance(value, dict) else "a number")


class _ReadFacts(dict[str, Any]):
    """Facts that were just read from few bytes, and so are plain already."""


def _read_facts(value: Any) -> Mapping[str, Any]:
    return _ReadFacts(_object(value))


def _plain(facts: Mapping[str, Json]) -> Any:
    """The facts as they will read back: tuples as lists, keys sorted."""
    if isinstance(facts, _ReadFacts):
        return dict(facts)
    try:
        written = dump_canonical(facts)
        if len(written) > MAX_FACTS_BYTES:
            raise Refused(f"facts of {len(written)} bytes are too long; at most {MAX_FACTS_BYTES}")
        return load_strict(written, "facts")
    except MetaloomError as error:
        raise Refused(f"the manifest's field 'facts': {error}") from None


def _kind_problem(m: Manifest) -> str | None:
    if m.kind not in KINDS:
        return f"{m.kind[:80]!r} is not a kind of block; the kinds are {', '.join(KINDS)}"
    if m.kind == "primitive" and (m.files or len(m.requires) != 1):
        return "a primitive has no files and requires itself alone; its code comes from a plugin"
    return None


def _files_problem(m: Manifest) -> str | None:
    if len(m.files) > MAX_FILES:
        return f"{len(m.files)} files are too many; at most {MAX_FILES}"
    spellings: dict[str, str] = {}
    for path, file in m.files.items():
        if problem := path_problem(path):
            return problem
        twin = spellings.setdefault(path.lower(), path)
        if twin != path:
            return f"{path!r} and {twin!r} differ only in case"
        if not 0 <= file.size <= MAX_FILE_BYTES:
            return f"{path!r} has {file.size} bytes; 0 to {MAX_FILE_BYTES} are wanted"
    for path in spellings:
        folder = path.rpartition("/")[0]
        while folder:
            if folder in spellings:
                return f"{spellings[folder]!r} is both a file and a folder"
            folder = folder.rpartition("/")[0]
    return None


def path_problem(path: str) -> str | None:
    """Why a path may not be a file's in a block, or None."""
    rule = (
        f"a path is at most {MAX_PATH} characters: names of the ASCII letters, digits, '.', '_', "
        "'-', joined by '/', none beginning with '-' or '.' or ending with '.'"
    )
    if len(path) > MAX_PATH:
        return f"the path {path[:40]!r}... has {len(path)} characters; {rule}"
    segments = path.split("/")
    if not all(_SEGMENT.fullmatch(s) and ".." not in s for s in segments):
        return f"{path!r} is not a path; {rule}"
    if any(segment.lower().split(".")[0] in DEVICES for segment in segments):
        return f"{path!r} names a device on some systems; choose another name"
    if path.lower() in (MANIFEST_FILE, SIGNATURE_FILE):
        return f"{path!r} is kept for the manifest itself; choose another name"
    return None


def _parents_problem(m: Manifest) -> str | None:
    if len(m.parents) > MAX_PARENTS:
        return f"{len(m.parents)} parents are too many; at most {MAX_PARENTS}"
    for parent in m.parents:
        if not _ROLE.fullmatch(parent.role):
            return (
                f"{parent.role[:80]!r} is not a role; use up to 40 lower-case letters, digits, '-'"
            )
    return None


def _requires_problem(m: Manifest) -> str | None:
    for reference in m.requires:
        if reference.name is None or not isinstance(reference.selector, int):
            return f"{reference} is not a primitive's reference such as lists/map@1"
    return None


def _licence_problem(m: Manifest) -> str | None:
    if m.licence is None or (len(m.licence) <= 200 and _LICENCE.fullmatch(m.licence)):
        return None
    return f"{m.licence[:80]!r} is not an SPDX licence expression such as Apache-2.0 or MIT"


def _card_problem(m: Manifest) -> str | None:
    if len(m.card) > MAX_CARD:
        return f"a card of {len(m.card)} characters is too long; at most {MAX_CARD}"
    if "\0" in m.card:
        return "a card holds no NUL, which no PostgreSQL takes; leave it out"
    return None


def _tags_problem(m: Manifest) -> str | None:
    if len(m.tags) > MAX_TAGS:
        return f"{len(m.tags)} tags are too many; at most {MAX_TAGS}"
    wrong: Iterable[str] = (tag for tag in m.tags if not _TAG.fullmatch(tag))
    for tag in wrong:
        return (
            f"{tag[:80]!r} is not a tag; "
            "use up to 64 lower-case letters, digits, '.', '_', ':', '-'"
        )
    return None


def _seen_problem(m: Manifest) -> str | None:
    if len(m.seen) > MAX_SEEN:
        return f"{len(m.seen)} classes are too many; at most {MAX_SEEN}"
    return None


_CHECKS: Mapping[str, Callable[[Manifest], str | None]] = {
    "kind": _kind_problem,
    "files": _files_problem,
    "parents": _parents_problem,
    "requires": _requires_problem,
    "licence": _licence_problem,
    "card": _card_problem,
    "tags": _tags_problem,
    "seen": _seen_problem,
}
