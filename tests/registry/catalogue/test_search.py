"""Search: by words, type, kind and tag, with reasons and pages."""

import itertools

import pytest
from sqlalchemy import event

from metaloom_registry import ParseError, Reference, parse_type
from metaloom_registry.catalogue.search.fitting import Wanted, explained

T = parse_type


@pytest.fixture
def blocks(publish):
    """A small registry of encoders, heads and programs."""
    publish(
        "vision/conv4", "image[1,28,28] -> vec[64]", b"1", tags=("encoder",),
        card="Four convolutions, trained on invented characters.",
    )  # fmt: skip
    publish("vision/digits", "image[1,8,8] -> label[10]", b"2", card="Reads digits.")
    publish("heads/nearest", "examples[vec[n],label[k]] -> vec[n] -> logits[k]", b"3")
    publish("lists/reverse", "list[a] -> list[a]", b"4", kind="program", tags=("lists",))
    publish("lists/total", "list[int] -> int", b"5", kind="program", card="The sum of a list.")
    publish("any/identity", "a -> a", b"6", kind="program")


def found(page) -> list[str]:
    return [str(hit.version.name) for hit in page.items]


QUERIES: list[tuple[dict, set[str]]] = [
    ({"takes": T("image[1,28,28]")}, {"vision/conv4", "any/identity"}),
    ({"takes": T("vec[64]")}, {"heads/nearest", "any/identity"}),
    (
        {"takes": T("image[1,n,m]")},
        {"vision/conv4", "vision/digits", "any/identity"},
    ),
    ({"gives": T("vec[64]")}, {"vision/conv4", "any/identity"}),
    ({"gives": T("vec[n]")}, {"vision/conv4", "any/identity"}),
    ({"gives": T("int")}, {"lists/total", "any/identity"}),
    ({"gives": T("list[vec[2]]")}, {"lists/reverse", "any/identity"}),
    ({"takes": T("list[int]"), "gives": T("int")}, {"lists/total"}),
    ({"takes": T("list[int]"), "gives": T("list[bool]")}, set()),
    ({"takes": T("list[b]"), "gives": T("list[b]")}, {"lists/reverse", "any/identity"}),
    ({"gives": T("vec[8] -> logits[5]")}, {"heads/nearest", "any/identity"}),
    ({"type": T("image[1,28,28] -> vec[64]")}, {"vision/conv4"}),
    ({"type": T("image[1,8,8] -> a")}, {"vision/digits", "any/identity"}),
    ({"type": T("int -> int")}, {"any/identity"}),
    ({"type": T("a")}, {
        "vision/conv4", "vision/digits", "heads/nearest", "lists/reverse", "lists/total",
        "any/identity",
    }),
    ({"takes": T("image<omniglot>[1,28,28]"), "kind": "graph"}, {"vision/conv4"}),
    ({"kind": "program"}, {"lists/reverse", "lists/total", "any/identity"}),
    ({"tag": "encoder"}, {"vision/conv4"}),
    ({"tag": "encoder", "kind": "program"}, set()),
    ({"text": "digits"}, {"vision/digits"}),
    ({"text": "trained CHARACTERS"}, {"vision/conv4"}),
    ({"text": "conv"}, {"vision/conv4"}),
    ({"text": "convolutions digits"}, set()),
    ({"text": "lists", "gives": T("int")}, {"lists/total"}),
    ({"text": "lists", "tag": "lists"}, {"lists/reverse"}),
]  # fmt: skip


def test_what_fits_is_found(registry, blocks):
    for query, names in QUERIES:
        assert set(found(registry.search(**query))) == names, query


def test_each_hit_says_why_it_matched(registry, blocks):
    def why(**query):
        [hit] = registry.search(**query).items
        return hit.why

    assert why(takes=T("image[1,28,28]"), kind="graph") == (
        "takes image[1,28,28] as argument 1",
        "is a graph",
    )
    assert why(takes=T("vec[64]"), kind="graph") == (
        "takes vec[n] (here vec[64]) as argument 2",
        "is a graph",
    )
    assert why(text="conv4 encoder characters") == (
        "its name has 'conv4'",
        "its tags have 'encoder'",
        "its card has 'characters'",
    )
    assert why(type=T("list[int] -> int")) == ("is list[int] -> int",)
    assert why(tag="encoder") == ("is tagged encoder",)


@pytest.mark.parametrize(
    "query", [{"text": "x"}, {"tag": "t"}, {"kind": "graph"}, {"gives": T("int")}]
)
def test_a_hit_is_all_that_is_known_of_the_version(registry, publish, query):
    for i in range(3):
        publish("a/x", "int", b"%d" % i, tags=("t",))
    registry.set_alias("a/x@3", "zulu")
    registry.set_alias("a/x@3", "champion")
    registry.set_alias("a/x@1", "first")
    publish("a/y", "int", b"y", tags=("u",), kind="program")
    registry.custody.deprecate(Reference.parse("a/x@3"), "slow", Reference.parse("a/y@1"))
    hits = registry.search(**query).items
    [version] = [hit.version for hit in hits if str(hit.version.name) == "a/x"]
    assert version == registry.resolve("a/x")
    assert (version.aliases, version.deprecated) == (("champion", "zulu"), "slow")


@pytest.mark.parametrize(
    ("query", "most"), [({"tag": "t"}, 3), ({"kind": "graph"}, 2), ({"text": "x"}, 5)]
)
@pytest.mark.parametrize("rare", [0, 2_000])
def test_a_search_asks_the_database_few_questions(
    registry, publish, monkeypatch, query, most, rare
):
    monkeypatch.setattr("metaloom_registry.catalogue.search.finding.MANY_BLOCKS", rare)
    for i in range(30):
        publish(f"a/x-{i}", "int", b"%d" % i, tags=("t",))
    asked = []

    def count(connection, cursor, statement, *_):
        asked.append(statement)

    event.listen(registry.database.engine, "before_cursor_execute", count)
    assert len(registry.search(**query, limit=20).items) == 20
    assert len([statement for statement in asked if not statement.startswith("BEGIN")]) <= most


def test_a_word_in_the_name_counts_more_than_one_in_the_card(registry, publish):
    publish("a/other", "int", b"1", card="better than conv4")
    publish("a/conv4", "int", b"2")
    publish("a/third", "int", b"3", card="worse than conv4")
    publish("a/tagged", "int", b"4", tags=("conv4",))
    assert found(registry.search("conv4")) == ["a/conv4", "a/tagged", "a/third", "a/other"]


def test_words_are_found_without_accents_and_in_any_case(registry, publish):
    publish("a/x", "int", b"1", card="Prédiction de Caractères")
    assert found(registry.search("PREDICTION caracteres")) == ["a/x"]
    assert found(registry.search("Caractères")) == ["a/x"]


def test_a_card_of_more_words_than_an_index_takes_is_found_by_its_first(registry, publish):
    signs = [chr(0x3300 + i) for i in range(88)]  # each is three to six letters in plain form
    words = itertools.islice(map("".join, itertools.product(signs, repeat=4)), 39_000)
    publish("a/x", "int", b"1", card=f"first {' '.join(words)}")
    assert found(registry.search("first")) == ["a/x"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('"lists"', "lists"),
        ("^lists*", "lists"),
        ("lists OR digits", "lists or digits"),
        ("NEAR(lists sum)", "near lists sum"),
        ("card:digits", "card digits"),
        ("-lists", "lists"),
        ("lists'; DROP TABLE name --", "lists drop table name"),
    ],
)
def test_signs_of_the_query_language_are_plain_text(registry, blocks, text, same):
    assert registry.search(text).items == registry.search(same).items


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no word"),
        ("?!", "holds no word"),
        ("x" * 10_000, "10000 characters is too long"),
        (" ".join(f"w{i}" for i in range(20)), "20 words is too long"),
    ],
)
def test_a_query_that_cannot_be_searched_is_refused(registry, text, message):
    with pytest.raises(ParseError, match=message):
        registry.search(text)


def test_search_sees_the_current_version_alone(registry, publish):
    publish("a/x", "int -> int", b"1", card="old words")
    publish("a/x", "int -> bool", b"2", card="new words")
    assert registry.search("old").items == ()
    assert registry.search(type=T("int -> int")).items == ()
    assert [hit.version.number for hit in registry.search("new").items] == [2]
    registry.yank("a/x@2")
    assert [hit.version.number for hit in registry.search("old").items] == [1]
    assert registry.search("new").items == ()
    assert [hit.version.number for hit in registry.search(type=T("int -> int")).items] == [1]


def test_the_most_used_comes_first_then_the_newest(registry, publish):
    for i in range(4):
        publish(f"a/x{i}", "int -> int", bytes([i]))
    registry.mark_used([registry.resolve("a/x1").digest])
    assert found(registry.search(gives=T("int"))) == ["a/x1", "a/x3", "a/x2", "a/x0"]


@pytest.mark.parametrize("query", [{"gives": T("int")}, {"kind": "graph"}, {"text": "block"}])
def test_pages_together_are_the_whole(registry, publish, query):
    for i in range(11):
        publish(f"a/x{i}", "int -> int" if i % 2 else "bool -> int", bytes([i // 2]), card="block")
        publish(f"b/x{i}", "int -> int" if i % 2 else "bool -> int", bytes([i // 2]), card="block")
    whole = found(registry.search(**query, limit=100))
    pages, cursor = [], None
    while True:
        page = registry.search(**query, limit=4, cursor=cursor)
        pages += found(page)
        assert len(page.items) == 4 or page.cursor is None
        if (cursor := page.cursor) is None:
            break
    assert pages == whole
    assert len(set(whole)) == 22


def test_filters_look_beyond_the_newest_that_hold_the_words(registry, publish, monkeypatch):
    monkeypatch.setattr("metaloom_registry.catalogue.search.words.CANDIDATES", 3)
    for i in range(20):
        publish(f"a/x{i}", "int -> int", bytes([i]), card="word", tags=("odd",) if i % 4 else ())
    rare = [f"a/x{i}" for i in (16, 12, 8, 4, 0)]
    publish("b/rare", "bool -> int", b"rare", card="word")
    assert found(registry.search("word", type=T("bool -> int"))) == ["b/rare"]
    assert found(registry.search("word", tag="odd", limit=2)) == ["a/x19", "a/x18"]
    monkeypatch.setattr("metaloom_registry.catalogue.search.words.CANDIDATES", 6)
    pages, cursor = [], None
    while True:
        page = registry.search("word", gives=T("int"), limit=2, cursor=cursor)
        pages += found(page)
        if (cursor := page.cursor) is None:
            break
    assert pages == ["b/rare", *(f"a/x{i}" for i in reversed(range(20)))]
    assert set(rare) < set(pages)


@pytest.mark.parametrize("query", [{"type": T("bool -> int")}, {"tags": ("rare",)}])
def test_where_filters_leave_few_blocks_all_that_hold_the_words_are_found(
    registry, publish, monkeypatch, query
):
    monkeypatch.setattr("metaloom_registry.catalogue.search.words.CANDIDATES", 1)
    monkeypatch.setattr("metaloom_registry.catalogue.search.finding.FEW_BLOCKS", 5)
    rare = {"a/x0": "word", "a/x1": "words", "a/x2": "word", "a/x3": "other", "b/word": ""}
    for i, (name, card) in enumerate(rare.items()):
        publish(name, "bool -> int", bytes([i]), card=card, tags=("rare",))
    for i in range(20):
        publish(f"a/y{i}", "int -> int", bytes([9, i]), card="word", tags=("common",))
    search = registry.finder.search
    assert found(search("word", **query)) == ["b/word", "a/x2", "a/x0", "a/x1"]
    assert found(search("word", limit=2, **query)) == ["b/word", "a/x2"]
    assert found(search("word", kind="program", **query)) == []
    whole = search("word", limit=1, **query)
    rest = search("word", limit=9, cursor=whole.cursor, **query)
    assert found(rest) == ["a/x2", "a/x0", "a/x1"]


def test_a_cursor_of_another_query_is_refused(registry, blocks):
    cursor = registry.search(kind="program", limit=1).cursor
    assert cursor is not None
    with pytest.raises(ParseError, match="of another query"):
        registry.search(kind="graph", limit=1, cursor=cursor)


@pytest.mark.parametrize("cursor", ["", "x", "e30", "é", "W10", "A" * 10_000])
def test_what_is_no_cursor_is_refused(registry, blocks, cursor):
    with pytest.raises(ParseError, match="is not a cursor"):
        registry.search(kind="graph", cursor=cursor)


@pytest.mark.parametrize("common", [1, 5, 1_000])
def test_very_many_types_are_searched_as_few_are(registry, publish, monkeypatch, common):
    monkeypatch.setattr("metaloom_registry.catalogue.search.using.COMMON", common)
    for i in range(12):
        publish(f"a/x{i}", f"vec[{i + 1}] -> int", bytes([i]))
    registry.mark_used([registry.resolve("a/x3").digest])
    wanted = ["a/x3", *(f"a/x{i}" for i in (11, 10, 9, 8, 7, 6, 5, 4, 2))]
    assert found(registry.search(gives=T("int"), limit=10)) == wanted
    assert found(registry.search(gives=T("int"), limit=2)) == wanted[:2]
    assert found(registry.search(takes=T("vec[7]"))) == ["a/x6"]


@pytest.mark.parametrize(
    ("listed", "wanted", "fit"),
    [
        ("int -> bool", Wanted(gives=T("int -> bool")), False),
        ("int -> int -> bool", Wanted(gives=T("int -> bool")), True),
        ("int", Wanted(gives=T("int")), True),
        ("int", Wanted(takes=T("int")), False),
        ("a -> b -> a", Wanted(takes=T("int"), gives=T("bool")), True),
        ("a -> a -> a", Wanted(takes=T("int"), gives=T("bool")), False),
        ("vec[n] -> vec[n]", Wanted(takes=T("vec[2]"), gives=T("vec[3]")), False),
    ],
)
def test_one_argument_and_the_result_have_to_fit_together(listed, wanted, fit):
    assert (explained(T(listed), wanted) is not None) == fit


def test_types_that_were_forgotten_are_read_again(registry, blocks, monkeypatch):
    whole = registry.search(type=T("a"))
    monkeypatch.setattr("metaloom_registry.catalogue.search.fitting.MAX_PARSED", 1)
    assert registry.search(gives=T("int")).items
    assert registry.search(type=T("a")) == whole
