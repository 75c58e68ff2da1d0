"""Manifests: parsing and printing are inverse, and every wrong field is named."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_registry import (
    Digest,
    File,
    Manifest,
    Parent,
    ParseError,
    Reference,
    Refused,
    parse_type,
)
from metaloom_registry import dump_canonical as dump

SIGNATURE = parse_type("image[1,28,28] -> vec[64]")
ONE = Digest.of(b"1")


def manifest(**fields) -> Manifest:
    return Manifest.of("graph", SIGNATURE, {"graph.json": b"{}"}, **fields)


def changed(**fields) -> bytes:
    """The bytes of a good manifest with some fields replaced."""
    return dump({**json.loads(manifest().to_bytes()), **fields})


digests = st.binary(max_size=4).map(Digest.of)
words = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
manifests = st.builds(
    Manifest,
    kind=st.sampled_from(["graph", "program"]),
    signature=st.sampled_from(["int", "a -> list[a]", "image<x>[1,8,8] -> label[k]"]).map(
        parse_type
    ),
    files=st.dictionaries(
        words, st.builds(File, digests, st.integers(0, 1 << 40)), min_size=1, max_size=3
    ),
    parents=st.lists(st.builds(Parent, digests, words), max_size=3).map(tuple),
    requires=st.lists(words.map(lambda w: Reference.parse(f"lists/{w}@1")), max_size=3).map(tuple),
    licence=st.sampled_from([None, "MIT", "Apache-2.0 OR (MIT AND BSD-3-Clause)"]),
    card=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    tags=st.lists(words, max_size=3).map(tuple),
    facts=st.dictionaries(words, json_values, max_size=3),
    seen=st.frozensets(digests, max_size=3),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(manifests)
def test_parsing_is_the_inverse_of_printing(given_manifest: Manifest):
    data = given_manifest.to_bytes()
    parsed = Manifest.parse(data)
    assert parsed == given_manifest
    assert parsed.to_bytes() == data
    assert parsed.digest == Digest.of(data)


def test_the_order_and_doubles_in_which_fields_are_given_change_nothing():
    one = manifest(tags=("b", "a", "b"), parents=(Parent(ONE, "uses"), Parent(ONE, "uses")))
    other = manifest(tags=("a", "b"), parents=(Parent(ONE, "uses"),))
    assert one == other
    assert one.digest == other.digest


def test_a_manifest_holds_no_name_no_version_and_no_time():
    assert set(json.loads(manifest().to_bytes())) == {
        "card", "facts", "files", "format", "kind", "licence", "parents", "requires", "seen",
        "signature", "tags",
    }  # fmt: skip


def test_the_files_of_a_manifest_are_those_it_was_made_of():
    made = Manifest.of("graph", SIGNATURE, {"a": b"12", "b/c": b"345"})
    assert made.files == {"a": File.of(b"12"), "b/c": File.of(b"345")}
    assert made.size == 5


def test_a_manifest_promises_its_bytes_and_no_others():
    given = bytes([1, 2, 3])
    made = Manifest.of("graph", SIGNATURE, {"graph.json": given})
    again = Manifest.parse(made.to_bytes())
    for one in (made, again):
        assert one.promises("graph.json", given)
        assert one.promises("graph.json", bytes([1, 2, 3]))
        assert not one.promises("graph.json", b"other")


def test_a_newer_format_is_refused_with_the_remedy():
    with pytest.raises(Refused, match=r"metaloom-block/2.*pip install --upgrade metaloom"):
        Manifest.parse(changed(format="metaloom-block/2"))


@pytest.mark.parametrize("value", ["metaloom", "", None, 1, {"a": 1}])
def test_another_format_is_refused(value):
    with pytest.raises(Refused, match="'format'"):
        Manifest.parse(changed(format=value))


FILE = {"digest": str(ONE), "bytes": 1}
BAD_FIELDS: dict[str, list[Any]] = {
    "kind": ["module", None, ["graph"], "Graph"],
    "signature": ["image[", 1, "integer -> int", None],
    "files": [
        [],
        {"graph.json": "x"},
        {"graph.json": {"digest": str(ONE)}},
        {"graph.json": {**FILE, "extra": 1}},
        {"graph.json": {**FILE, "digest": "sha256:12"}},
        {"graph.json": {**FILE, "bytes": -1}},
        {"graph.json": {**FILE, "bytes": "1"}},
        {"graph.json": {**FILE, "bytes": True}},
        {"graph.json": {**FILE, "bytes": 1 << 50}},
        {"a": FILE, "A": FILE},
        {"a": FILE, "a/b": FILE},
        {f"f{i}": FILE for i in range(1001)},
    ],
    "parents": [{}, [str(ONE)], [{"digest": str(ONE)}], [{"digest": str(ONE), "role": "Uses it"}]],
    "requires": ["lists/map@1", ["lists/map"], ["lists/map@champion"], [str(ONE)], [1]],
    "licence": ["", "MIT\n", "do what you want!", 1, "A" * 300],
    "card": [None, 1, "x" * 200_001, "x\0"],
    "tags": ["a", ["Upper"], ["a b"], [""], ["x" * 65], [f"t{i}" for i in range(65)]],
    "facts": [[], None, {"big": "x" * (1 << 20)}],
    "seen": [{}, ["sha256:1"], [1]],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{i}")
        for name, values in BAD_FIELDS.items()
        for i, value in enumerate(values)
    ],
)
def test_a_wrong_field_is_named(name, value):
    with pytest.raises(Refused, match=f"'{name}'"):
        Manifest.parse(changed(**{name: value}))


@pytest.mark.parametrize("name", sorted(BAD_FIELDS))
def test_a_missing_field_is_named(name):
    fields = json.loads(manifest().to_bytes())
    del fields[name]
    with pytest.raises(Refused, match=f"'{name}' is missing"):
        Manifest.parse(dump(fields))


def test_an_unknown_field_is_named():
    with pytest.raises(Refused, match="'colour'"):
        Manifest.parse(changed(colour="red"))


PATHS = [
    "", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", "a\\b", "C:\\x", "a\0b", "a\nb", "é",
    "a b", "-rf", ".hidden", "a.", "con", "a/NUL.txt", "x" * 201, "manifest.json",
    "MANIFEST.json.sig", "a..b",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_may_leave_the_block_is_refused(path):
    with pytest.raises(Refused, match="'files'"):
        Manifest(kind="graph", signature=SIGNATURE, files={path: File.of(b"")})
    with pytest.raises(Refused, match="'files'"):
        Manifest.parse(changed(files={path: FILE}))


@pytest.mark.parametrize("path", ["graph.json", "a/b/c.safetensors", "weights-00001.bin", "_x"])
def test_an_ordinary_path_is_taken(path):
    assert path in Manifest.parse(changed(files={path: FILE})).files


def test_a_primitive_has_no_files_and_requires_itself_alone():
    reference = Reference.parse("lists/map@1")
    made = Manifest(kind="primitive", signature=SIGNATURE, requires=(reference,))
    assert Manifest.parse(made.to_bytes()) == made
    with pytest.raises(Refused, match=r"'kind'.*plugin"):
        Manifest(kind="primitive", signature=SIGNATURE, files={"code.py": File.of(b"")})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"\n",
        lambda data: data.replace(b",", b", ", 1),
        lambda data: json.dumps(json.loads(data), sort_keys=False).encode(),
        lambda data: data.replace(b"image[1,28,28]", b"image[1, 28, 28]"),
        lambda data: data.replace(b'"tags":[]', b'"tags":["b","a"]'),
        lambda data: data.replace(b'"tags":[]', b'"tags":["a","a"]'),
    ],
)
def test_another_spelling_of_a_manifest_is_refused(spoil):
    with pytest.raises(Refused, match="canonical"):
        Manifest.parse(spoil(manifest().to_bytes()))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100, b'{"a":1,"a":2}', b'{"a":NaN}'])
def test_bytes_that_are_not_json_are_refused(data):
    with pytest.raises(ParseError, match="the manifest"):
        Manifest.parse(data)


@pytest.mark.parametrize("data", [b"[]", b"1", b'"x"', b"null"])
def test_json_that_is_not_an_object_is_refused(data):
    with pytest.raises(Refused, match="not a JSON object"):
        Manifest.parse(data)


def test_a_manifest_of_many_megabytes_is_refused_unread():
    with pytest.raises(Refused, match="too long"):
        Manifest.parse(b" " * (9 << 20))


def test_facts_that_are_not_json_are_refused():
    with pytest.raises(Refused, match=r"'facts'.*nan"):
        manifest(facts={"loss": float("nan")})
