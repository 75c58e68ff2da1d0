"""Namespaces in archives: there and back, and archives that mean harm."""

import io
import json
import tarfile

import pytest
from tests.registry.catalogue.conftest import NOW
from tests.registry.catalogue.killing import tries

from metaloom_registry import (
    AlreadyExists,
    Corrupt,
    Digest,
    MetaloomError,
    NotFound,
    Parent,
    ParseError,
    Reference,
    Refused,
    Registry,
)
from metaloom_registry.catalogue import collect, export_namespace, import_namespace

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def other(new_registry):
    return new_registry(now=lambda: NOW, validate=lambda *_: None)


@pytest.fixture
def archive(registry, publish, tmp_path):
    """Three versions of two names, an alias, a yank, a tombstone, and a parent elsewhere."""
    parent = publish("elsewhere/base", "int -> int", b"base")
    publish("team/x", "int -> int", b"first", parents=(Parent(parent.digest),), card="one")
    publish("team/x", "int -> int", b"second", card="two words")
    publish("team/x", "int -> int", b"third")
    publish("team/y", "int -> bool", b"first", tags=("sorting",))
    gone = publish("team/y", "int -> bool", b"gone")
    registry.custody.tombstone(gone.reference, "a mistake")
    registry.set_alias("team/x@1", "champion")
    registry.yank("team/x@3", "too slow")
    registry.custody.deprecate(Reference.parse("team/x@1"), "old", Reference.parse("team/x@2"))
    path = tmp_path / "team.tar"
    moved = export_namespace(registry, "team", path)
    assert (moved.names, moved.versions, moved.blocks) == (2, 4, 5)
    return path


def test_a_namespace_arrives_with_numbers_aliases_and_ancestors(registry, other, archive):
    moved = import_namespace(other, archive)
    assert (moved.names, moved.versions, moved.blocks) == (2, 4, 5)
    for name in ("team/x@1", "team/x@2", "team/x@3", "team/y@1", "team/x@champion", "team/x"):
        here, there = registry.resolve(name), other.resolve(name)
        for field in ("digest", "number", "yanked", "deprecated", "successor", "aliases"):
            assert getattr(here, field) == getattr(there, field), (name, field)
    assert other.verify().sound
    with pytest.raises(NotFound):
        other.resolve("elsewhere/base")
    assert [hit.version.number for hit in other.search("two words").items] == [2]
    made = other.manifest(other.resolve("team/x@1").digest)
    assert other.manifest(made.parents[0].digest).files["content"].digest == Digest.of(b"base")


def test_numbers_of_what_was_taken_away_are_not_given_again(other, archive, draft):
    import_namespace(other, archive)
    made = draft("int -> bool", b"new")
    assert other.publish("team/y", made.manifest, made.files).number == 3


def test_the_history_of_aliases_arrives_with_its_times(registry, other, archive, tmp_path):
    registry.now = lambda: NOW + 60
    registry.set_alias("team/x@2", "champion")
    registry.set_alias("team/x@1", "tried")
    registry.remove_alias("team/x", "tried")
    export_namespace(registry, "team", tmp_path / "later.tar")
    for _ in range(2):
        import_namespace(other, tmp_path / "later.tar")
        assert other.alias_history("team/x") == registry.alias_history("team/x")
    assert [(m.alias, m.number) for m in other.alias_history("team/x")] == [
        ("champion", 1), ("champion", 2), ("tried", 1), ("tried", None)
    ]  # fmt: skip
    assert other.resolve("team/x@champion").number == 2
    with pytest.raises(NotFound):
        other.resolve("team/x@tried")


def test_what_became_of_an_alias_here_is_not_rewritten(registry, other, archive, tmp_path):
    import_namespace(other, archive)
    other.set_alias("team/x@2", "champion")
    import_namespace(other, archive)
    moves = [(m.alias, m.number) for m in other.alias_history("team/x")]
    assert moves == [("champion", 1), ("champion", 2), ("champion", 1)]


def test_an_alias_of_what_was_taken_away_names_nothing_in_an_archive(
    registry, other, archive, tmp_path
):
    registry.set_alias("team/x@2", "champion")
    registry.custody.tombstone(Reference.parse("team/x@2"), "a mistake")
    export_namespace(registry, "team", tmp_path / "later.tar")
    import_namespace(other, tmp_path / "later.tar")
    moves = [(m.alias, m.number) for m in other.alias_history("team/x")]
    assert moves == [("champion", 1), ("champion", None)]


@sqlite_only
def test_an_archive_of_before_aliases_had_a_history_is_read(other, archive, tmp_path):
    listed = entries(archive)
    index = json.loads(listed[0][1])
    del index["alias_moves"]
    listed[0] = plain("index.json", json.dumps(index).encode())
    import_namespace(other, written(tmp_path / "old.tar", listed))
    assert [(m.alias, m.number) for m in other.alias_history("team/x")] == [("champion", 1)]


def test_importing_twice_changes_nothing(other, archive):
    import_namespace(other, archive)
    before, waiting = other.versions("team/x"), other.outbox.waiting()
    import_namespace(other, archive)
    assert (other.versions("team/x"), other.outbox.waiting()) == (before, waiting)


def test_equal_namespaces_give_equal_archives(other, archive, tmp_path):
    import_namespace(other, archive)
    export_namespace(other, "team", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()


def test_a_number_that_stands_for_another_block_is_an_error_and_nothing_is_imported(
    other, archive, draft
):
    made = draft("int -> int", b"their own")
    other.publish("team/x", made.manifest, made.files)
    with pytest.raises(AlreadyExists, match=r"team/x@1 is the block .* here, and team/x@1 is"):
        import_namespace(other, archive)
    assert [version.number for version in other.versions("team/x")] == [1]
    with pytest.raises(NotFound):
        other.resolve("team/y")


@sqlite_only
def test_what_is_not_there_cannot_be_exported_nor_imported(registry, archive, tmp_path):
    with pytest.raises(NotFound, match="namespace nobody has no version"):
        export_namespace(registry, "nobody", tmp_path / "x.tar")
    with pytest.raises(AlreadyExists, match="is there already"):
        export_namespace(registry, "team", archive)
    with pytest.raises(NotFound, match="there is no archive"):
        import_namespace(registry, tmp_path / "none.tar")


def entries(path):
    with tarfile.open(path) as archive:
        files = [(e, archive.extractfile(e)) for e in archive.getmembers()]
        return [(e, file.read()) for e, file in files if file is not None]


def written(path, listed):
    with tarfile.open(path, "w") as archive:
        for entry, data in listed:
            archive.addfile(entry, None if data is None else io.BytesIO(data))
    return path


def plain(name, data=b"x", **fields):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry, data


@sqlite_only
@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (plain("../../etc/passwd"), "holds '../../etc/passwd'"),
        (plain("/etc/passwd"), "holds '/etc/passwd'"),
        (plain("blobs/" + "0" * 64), "holds 'blobs/000"),
        (plain("blobs/x", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "holds 'blobs/x'"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, -1])
def test_entries_that_nothing_lists_are_refused_wherever_they_stand(
    other, archive, tmp_path, extra, said, place
):
    listed = entries(archive)
    listed.insert(place if place >= 0 else len(listed), extra)
    with pytest.raises(Refused, match=said):
        import_namespace(other, written(tmp_path / "bad.tar", listed))
    assert other.names().items == ()


@sqlite_only
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_listed_entry_that_is_a_link_or_a_pipe_is_refused(other, archive, tmp_path, kind):
    listed = entries(archive)
    entry, _ = listed[-1]
    entry.type, entry.linkname, entry.size = kind, "/etc/passwd", 0
    listed[-1] = (entry, None)
    with pytest.raises(Refused, match="no plain file"):
        import_namespace(other, written(tmp_path / "bad.tar", listed))


@sqlite_only
def test_a_listed_entry_larger_than_its_manifest_says_is_refused_before_it_is_read(
    other, archive, tmp_path
):
    listed = entries(archive)
    entry, _ = listed[-1]
    listed[-1] = plain(entry.name, b"0" * 1_000_000)
    with pytest.raises(Refused, match=r"has 1000000 bytes where at most \d+ belong"):
        import_namespace(other, written(tmp_path / "bad.tar", listed))


@sqlite_only
def test_an_entry_that_claims_more_than_the_archive_has_is_refused(other, archive, tmp_path):
    data = bytearray(archive.read_bytes())
    data[124:136] = b"77777777777\0"  # the size of index.json: 8 GiB
    total = sum(data[:148]) + 8 * 32 + sum(data[156:512])
    data[148:156] = f"{total:06o}\0 ".encode()
    (tmp_path / "bad.tar").write_bytes(data)
    with pytest.raises(Refused, match="at most"):
        import_namespace(other, tmp_path / "bad.tar")


@sqlite_only
def test_a_compressed_archive_is_no_archive(other, archive, tmp_path):
    with tarfile.open(tmp_path / "bomb.tar", "w:gz") as bomb:
        bomb.addfile(*[plain("index.json", b"0" * 10_000_000)[0], io.BytesIO(b"0" * 10_000_000)])
    with pytest.raises(ParseError, match="is no archive of Metaloom"):
        import_namespace(other, tmp_path / "bomb.tar")


@sqlite_only
@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_an_endless_chain_of_headers_is_no_archive(other, archive, tmp_path, kind):
    header = tarfile.TarInfo("long")
    header.type, header.size = kind, 10
    link = header.tobuf(tarfile.GNU_FORMAT) + b"10 path=x\n".ljust(512, b"\0")
    (tmp_path / "chain.tar").write_bytes(link * 5_000 + archive.read_bytes())
    with pytest.raises(ParseError, match="is no archive of Metaloom"):
        import_namespace(other, tmp_path / "chain.tar")


@sqlite_only
def test_every_truncation_is_an_error_and_nothing_is_imported(other, archive, tmp_path):
    data = archive.read_bytes()
    used = len(data.rstrip(b"\0"))
    for end in [*range(0, used, 512), used - 1]:
        (tmp_path / "cut.tar").write_bytes(data[:end])
        with pytest.raises(MetaloomError):
            import_namespace(other, tmp_path / "cut.tar")
    assert other.names().items == ()


@sqlite_only
def test_other_bytes_than_the_name_says_are_found(other, archive, tmp_path):
    listed = entries(archive)
    for at in range(1, len(listed)):
        entry, data = listed[at]
        bad = [*listed[:at], (entry, bytes([data[0] ^ 1]) + data[1:]), *listed[at + 1 :]]
        with pytest.raises(Corrupt, match="has other bytes"):
            import_namespace(other, written(tmp_path / "bad.tar", bad))
    assert other.names().items == ()


@sqlite_only
@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("format", "metaloom-archive/2", "upgrade with"),
        ("blocks", None, "lists no blocks"),
        ("namespace", "../x", "is not a namespace"),
        ("namespace", 3, "no 'namespace'"),
        ("namespace", "other", "archive of the namespace other lists team/x"),
        ("names", [{"name": "team/x", "newest": 10**12}], "as a number of a version"),
        ("names", [], "none of its numbers"),
        ("versions", "twice", "under two numbers"),
        ("versions", "zero", "no text of team/x@1"),
        ("versions", ["x"], "something else than objects"),
        ("aliases", [{"name": "team/x", "alias": "A B", "number": 1}], "is not an alias"),
        ("aliases", [{"name": "team/x", "alias": "a", "number": 9}], "which is not in it"),
        ("aliases", [{"name": "team/x", "alias": 3, "number": 1}], "as an alias of team/x"),
        ("alias_moves", [{"name": "team/x", "alias": "a", "number": 9}], "moves an alias to"),
        ("alias_moves", [{"name": "team/x", "alias": "a", "when": 1 << 60}], "as the time of"),
        ("owners", ["nobody"], "is not a public key"),
    ],
)
def test_an_index_that_breaks_a_rule_is_refused(other, archive, tmp_path, field, value, said):
    listed = entries(archive)
    index = json.loads(listed[0][1])
    first, second, *rest = index["versions"]
    value = {
        "twice": [first, second | {"block": first["block"]}, *rest],
        "zero": [first | {"deprecation": "\0"}, second, *rest],
    }.get(str(value), value)
    index |= {field: value}
    listed[0] = plain("index.json", json.dumps(index).encode())
    with pytest.raises(MetaloomError, match=said):
        import_namespace(other, written(tmp_path / "bad.tar", listed))
    assert other.names().items == ()


@sqlite_only
def test_a_block_without_one_it_came_from_is_refused(other, archive, tmp_path):
    listed = entries(archive)
    index = json.loads(listed[0][1])
    base = Digest.of(b"base").hex
    parent = next(d for d in index["blocks"] if base in dict(by_name(listed))[f"manifests/{d[7:]}"])
    index["blocks"].remove(parent)
    kept = [
        (e, d) for e, d in listed[1:] if e.name not in (f"manifests/{parent[7:]}", f"blobs/{base}")
    ]
    bad = written(tmp_path / "bad.tar", [plain("index.json", json.dumps(index).encode()), *kept])
    with pytest.raises(NotFound, match=f"the parent {parent} is not in this registry"):
        import_namespace(other, bad)
    assert other.names().items == ()


def by_name(listed):
    return {e.name: data.decode(errors="replace") for e, data in listed}


@sqlite_only
def test_what_came_of_a_block_that_was_taken_away_cannot_be_exported_whole(
    registry, archive, tmp_path
):
    registry.custody.tombstone(Reference.parse("elsewhere/base@1"), "a mistake")
    with pytest.raises(NotFound, match=r"team cannot be exported whole: .*for good: a mistake"):
        export_namespace(registry, "team", tmp_path / "later.tar")
    registry.custody.tombstone(Reference.parse("team/x@1"), "of a mistake")
    assert export_namespace(registry, "team", tmp_path / "later.tar").versions == 3


def test_blobs_that_are_removed_while_an_archive_is_read_are_put_again(other, archive):
    races = 1

    def swept(manifest, files):
        nonlocal races
        if races:
            races -= 1
            assert collect(other, grace=-1e10).removed

    other._validate = swept
    assert import_namespace(other, archive).blocks == 5
    assert races == 0
    assert other.verify().sound


KILLED = """
from metaloom_registry.catalogue import import_namespace

folder, archive = Path(sys.argv[1]) / "first", Path(sys.argv[2])
first = Registry.open(folder, validate=accept)
publish(first, "mine/x", b"mine")
first.close()
killed_at_every_step(
    copies_of(folder),
    lambda registry, n: import_namespace(registry, archive),
    os,
    ("replace", "fsync"),
    statements=False,
)
"""


@sqlite_only
def test_an_import_killed_at_any_step_is_whole_or_not_there(archive, tmp_path):
    count = tries(KILLED, tmp_path, archive)
    assert count > 15
    found = []
    for n in range(count):
        registry = Registry.open(tmp_path / f"hub{n}", validate=lambda *_: None)
        assert registry.verify().sound
        found.append([str(version) for version in registry.names().items])
        import_namespace(registry, archive)
        assert len(registry.names().items) == 3
        registry.close()
    old, new = ["mine/x@1"], ["mine/x@1", "team/x@2", "team/y@1"]
    assert found == [old] * found.count(old) + [new] * found.count(new)
    assert found[-1] == new
