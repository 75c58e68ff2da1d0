import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from metaloom_registry.lazy import lazy_names


@pytest.fixture
def package(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A package of two modules on disk, each of which counts its imports."""
    folder = tmp_path / "lazy_shop"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name in ("fruit", "tools"):
        (folder / f"{name}.py").write_text(f"apple = '{name}'\nhammer = object()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield __import__("lazy_shop")
    for name in [name for name in sys.modules if name.startswith("lazy_shop")]:
        del sys.modules[name]


def test_a_name_is_imported_when_it_is_first_used_and_then_kept(package):
    get, _, _ = lazy_names("lazy_shop", {"fruit": ("apple",)})

    assert "lazy_shop.fruit" not in sys.modules
    assert get("apple") == "fruit"
    assert vars(package)["apple"] == "fruit"


def test_only_the_module_that_defines_the_name_is_imported(package):
    get, _, _ = lazy_names("lazy_shop", {"fruit": ("apple",), "tools": ("hammer",)})

    get("hammer")

    assert "lazy_shop.fruit" not in sys.modules


def test_an_unknown_name_is_an_attribute_error_as_of_any_module(package):
    get, _, _ = lazy_names("lazy_shop", {"fruit": ("apple",)})

    with pytest.raises(AttributeError, match="module 'lazy_shop' has no attribute 'pear'"):
        get("pear")


def test_the_public_names_are_listed_before_they_are_imported(package):
    _, listed, public = lazy_names("lazy_shop", {"tools": ("hammer",), "fruit": ("apple",)})

    assert public == ["apple", "hammer"]
    assert {"apple", "hammer", "__name__"} <= set(listed())


def test_a_name_with_two_homes_is_refused():
    with pytest.raises(ValueError, match="lists apple twice, from fruit and from tools"):
        lazy_names("lazy_shop", {"fruit": ("apple",), "tools": ("apple",)})


def test_a_name_that_is_also_a_module_is_refused():
    with pytest.raises(ValueError, match="a module fruit and a public name fruit"):
        lazy_names("lazy_shop", {"fruit": ("fruit",)})
