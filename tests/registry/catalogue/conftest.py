"""A registry that takes any files for a block, and blocks made in one line."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from metaloom_registry import Draft, Manifest, Registry, Version, parse_type

NOW = 1_700_000_000.0


def accept(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Validation that finds nothing wrong: these tests are not about what is in the files."""


@pytest.fixture
def registry(tmp_path) -> Iterator[Registry]:
    opened = Registry.open(tmp_path / "hub", now=lambda: NOW, validate=accept)
    yield opened
    opened.close()


@pytest.fixture
def draft() -> Callable[..., Draft]:
    """`draft("int -> int", b"content", **fields)`: a block whose only file has this content."""

    def make(signature: str = "int -> int", content: bytes = b"1", kind="graph", **fields) -> Draft:
        files = {"content": content}
        return Draft(Manifest.of(kind, parse_type(signature), files, **fields), files)

    return make


@pytest.fixture
def publish(registry, draft) -> Callable[..., Version]:
    """`publish("vision/conv4", "int -> int", b"content", **fields)`."""

    def make(name: str, *content, run=None, parts=(), **fields) -> Version:
        made = draft(*content, **fields)
        return registry.publish(name, made.manifest, made.files, run=run, parts=parts)

    return make
