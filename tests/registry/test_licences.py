"""Licences of compositions."""

import pytest

from metaloom_registry import LicenceConflict, combined_licence, inherited_licence


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([], None),
        ([None, None], None),
        (["MIT", None], "MIT"),
        (["MIT", "Apache-2.0"], "Apache-2.0"),
        (["MIT", "LGPL-3.0-only"], "LGPL-3.0-only"),
        (["Apache-2.0", "GPL-3.0-only", "MIT"], "GPL-3.0-only"),
        (["GPL-3.0-only", "AGPL-3.0-only"], "AGPL-3.0-only"),
        (["GPL-2.0-or-later", "GPL-3.0-or-later"], "GPL-3.0-or-later"),
        (["GPL-3.0-only", "GPL-3.0-or-later"], "GPL-3.0-only"),
        (["AGPL-3.0-or-later", "AGPL-3.0-only"], "AGPL-3.0-only"),
        (["LGPL-3.0-only", "CC-BY-NC-4.0"], "CC-BY-NC-4.0"),
        (["mit", "apache-2.0", "gpl-3.0"], "GPL-3.0-only"),
        (["GPL-2.0+", "GPL-3.0"], "GPL-3.0-only"),
        (
            [*(f"GPL-2.0-only OR LicenseRef-{i}" for i in range(9)), "Apache-2.0"],
            " AND ".join(["Apache-2.0", *(f"LicenseRef-{i}" for i in range(9))]),
        ),
        (["MIT OR Apache-2.0", "GPL-2.0-only"], "GPL-2.0-only"),
        (["MIT", "CC-BY-NC-4.0"], "CC-BY-NC-4.0"),
        (["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"], "CC-BY-NC-SA-4.0"),
        (["GPL-2.0-only OR MIT", "Apache-2.0"], "Apache-2.0"),
        (["(GPL-2.0-only OR MIT) AND Zlib", "Apache-2.0"], "Apache-2.0"),
        (["GPL-3.0-only WITH GCC-exception-3.1", "MIT"], "GPL-3.0-only"),
        (["MIT", "LicenseRef-ours"], "MIT AND LicenseRef-ours"),
        (["LicenseRef-b", "LicenseRef-a"], "LicenseRef-a AND LicenseRef-b"),
    ],
)
def test_the_strictest_licence_is_named(parts, whole):
    assert combined_licence({f"block {i}": text for i, text in enumerate(parts)}) == whole


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GPL-2.0-only", "Apache-2.0"),
        ("GPL-2.0-only", "GPL-3.0-only"),
        ("GPL-3.0-only", "CC-BY-NC-4.0"),
        ("AGPL-3.0-or-later", "CC-BY-NC-SA-4.0"),
        ("CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"),
        ("GPL-2.0-only OR GPL-2.0-only", "Apache-2.0 AND MIT"),
        ("gpl-2.0", "apache-2.0"),
        ("LGPL-3.0-only", "GPL-2.0"),
    ],
)
def test_incompatible_licences_are_an_error_that_names_the_blocks(one, other):
    for first, second in ((one, other), (other, one)):
        with pytest.raises(LicenceConflict) as error:
            combined_licence({"a/x@1": first, "b/y@2": second, "c/z@3": "MIT"})
        for word in ("a/x@1", "b/y@2", first, second, "another block"):
            assert word in str(error.value)
        assert "c/z" not in str(error.value)


def test_a_licence_may_be_stricter_than_the_parts_and_not_weaker():
    permissive, copyleft = {"a/x@1": "Apache-2.0"}, {"a/x@1": "GPL-3.0-only", "a/y@1": "MIT"}
    assert inherited_licence(None, copyleft) == "GPL-3.0-only"
    assert inherited_licence("MIT", permissive) == "MIT"
    assert inherited_licence("GPL-3.0-or-later", permissive) == "GPL-3.0-or-later"
    assert inherited_licence("AGPL-3.0-only", copyleft) == "AGPL-3.0-only"
    assert inherited_licence("MIT", {"a/x@1": None}) == "MIT"
    with pytest.raises(LicenceConflict, match=r"a/x@1 asks for GPL-3\.0-only, which MIT does not"):
        inherited_licence("MIT", copyleft)
    with pytest.raises(LicenceConflict, match="the licence given"):
        inherited_licence("GPL-2.0-only", permissive)


def test_a_licence_given_drops_nothing_that_a_part_asks_for():
    with pytest.raises(
        LicenceConflict, match=r"a/x@1 asks for GPL-3\.0-only, which LicenseRef-own"
    ):
        inherited_licence("LicenseRef-own", {"a/x@1": "GPL-3.0-only"})
    both = inherited_licence("LicenseRef-own AND GPL-3.0-only", {"a/x@1": "GPL-3.0-only"})
    assert both == "LicenseRef-own AND GPL-3.0-only"
    with pytest.raises(LicenceConflict, match=r"a/x@1 asks for LicenseRef-a, which MIT does not"):
        inherited_licence("MIT", {"a/x@1": "LicenseRef-a", "a/y@1": "MIT"})
    assert inherited_licence("MIT AND LicenseRef-a", {"a/x@1": "LicenseRef-a"}) is not None
    with pytest.raises(LicenceConflict, match=r"GPL-2\.0-or-later does not keep"):
        inherited_licence("GPL-2.0-or-later", {"a/x@1": "GPL-3.0-only"})
    assert inherited_licence("LicenseRef-own", {"a/x@1": "MIT"}) == "LicenseRef-own"


def test_identifiers_are_spelled_as_spdx_lists_them():
    assert inherited_licence("mit OR (apache-2.0 AND gpl-3.0+)", {}) == (
        "MIT OR (Apache-2.0 AND GPL-3.0-or-later)"
    )
    assert inherited_licence("LicenseRef-Ours", {"a/x@1": "mit"}) == "LicenseRef-Ours"


@pytest.mark.parametrize("text", ["(", ")", "MIT OR", "AND MIT", "(MIT", "MIT MIT", "((" * 200])
def test_a_text_that_is_no_expression_is_judged_by_its_words(text):
    combined_licence({"a/x@1": text, "b/y@1": "MIT"})
