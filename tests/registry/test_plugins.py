from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from types import ModuleType

import pytest

from metaloom_registry import (
    NotFound,
    Plugin,
    PluginError,
    Plugins,
    Primitive,
    Reference,
    discover,
    load_primitives,
)

GROUP = "metaloom.primitives"


def primitive(name: str, version: int = 1) -> Primitive:
    return Primitive(
        name=name,
        version=version,
        type="int -> int",
        doc="The number itself.",
        parameters=("n",),
        scalar=lambda n: n,
        source="n",
    )


@pytest.fixture
def installed(tmp_path: Path):
    """Installs fake distributions in a folder and finds their plugins."""

    def install(*declared: tuple[str, str, str], group: str = GROUP) -> Plugins:
        for distribution, name, value in declared:
            info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
            info.mkdir(exist_ok=True)
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
            )
            with (info / "entry_points.txt").open("a") as file:
                file.write(f"[{group}]\n{name} = {value}\n")
        points = [p for d in distributions(path=[str(tmp_path)]) for p in d.entry_points]
        return discover(GROUP, points)

    return install


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An importable module that stands for the code of a plugin."""
    code = ModuleType("fake_plugin")
    monkeypatch.setitem(__import__("sys").modules, "fake_plugin", code)
    return code


def test_plugins_are_found_by_name_with_the_distribution_that_declares_them(installed):
    plugins = installed(("b-words", "words", "words:ALL"), ("a-birds", "birds", "birds:ALL"))

    assert plugins.names == ("birds", "words")
    assert tuple(plugins)[1] == Plugin(GROUP, "words", "b-words", "1.0", "words:ALL")


def test_finding_plugins_imports_none_of_them(installed):
    plugins = installed(("broken", "broken", "no_such_module:ALL"))

    assert len(plugins) == 1


def test_entry_points_of_other_groups_are_passed_over(installed):
    assert installed(("other", "other", "other:ALL"), group="console_scripts").names == ()


def test_a_plugin_is_loaded_when_it_is_asked_for(installed, module):
    module.ALL = (primitive("fake/same"),)

    assert installed(("fake", "fake", "fake_plugin:ALL")).load("fake") is module.ALL


def test_an_unknown_name_is_told_the_nearest_and_the_installed_ones(installed):
    plugins = installed(("fake", "lists", "fake_plugin:ALL"))

    with pytest.raises(NotFound, match=r"called 'list'; did you mean 'lists'\? installed: lists"):
        plugins.load("list")


def test_an_unknown_name_where_nothing_is_installed_says_none():
    with pytest.raises(NotFound, match="installed: none"):
        discover(GROUP, ()).load("lists")


def test_an_unknown_group_is_told_the_extension_points():
    with pytest.raises(NotFound, match=r"'metaloom.heads' is no extension point; .*\.learners"):
        discover("metaloom.heads", ())


def test_a_name_that_two_distributions_claim_is_an_error_that_names_both_when_it_is_used(
    installed, module
):
    module.ALL = module.MINE = ()
    plugins = installed(
        ("first", "lists", "fake_plugin:ALL"),
        ("second", "lists", "fake_plugin:MINE"),
        ("third", "other", "fake_plugin:ALL"),
    )

    assert plugins.load("other") == ()
    with pytest.raises(
        PluginError,
        match=r"'lists' of metaloom.primitives is claimed by first \(fake_plugin:ALL\) and second "
        r"\(fake_plugin:MINE\); uninstall all but one",
    ):
        plugins.load("lists")


def test_one_distribution_seen_twice_is_one_plugin():
    point = EntryPoint("lists", "metaloom_lists:PRIMITIVES", GROUP)

    assert len(discover(GROUP, [point, point])) == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:ALL", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("fake_plugin:MISSING", "AttributeError: .*MISSING"),
        ("not a value at all", "repair or uninstall broken"),
    ],
)
def test_a_plugin_that_does_not_load_says_what_was_wrong_and_whose_it_is(
    installed, module, value, reason
):
    with pytest.raises(PluginError, match=reason) as caught:
        installed(("broken", "lists", value)).load("lists")

    assert "'lists' of broken 1.0" in str(caught.value)
    assert caught.value.__cause__ is not None


def test_a_plugin_that_exits_when_it_is_imported_stops_nothing(installed, tmp_path, monkeypatch):
    (tmp_path / "exits_at_import.py").write_text("raise SystemExit('bye')\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(PluginError, match="SystemExit: bye"):
        installed(("rude", "rude", "exits_at_import:ALL")).load("rude")


def test_the_outcomes_list_every_plugin_and_its_error(installed, module):
    module.ALL = ()
    plugins = installed(("good", "good", "fake_plugin:ALL"), ("bad", "bad", "no_such_module:ALL"))

    bad, good = plugins.outcomes()

    assert good.error is None
    assert "no_such_module" in str(bad.error)


def test_primitives_come_from_a_sequence_or_from_a_function_that_gives_one(installed, module):
    module.ALL = [primitive("fake/one")]
    module.give = lambda: (primitive("fake/two"),)

    table, outcomes = load_primitives(
        installed(("a", "a", "fake_plugin:ALL"), ("b", "b", "fake_plugin:give"))
    )

    assert {p.name for p in table} == {"fake/one", "fake/two"}
    assert [outcome.error for outcome in outcomes] == [None, None]


def test_a_plugin_whose_object_is_no_sequence_of_primitives_adds_nothing(installed, module):
    module.ALL = {"map": map}

    table, (outcome,) = load_primitives(installed(("odd", "odd", "fake_plugin:ALL")))

    assert len(table) == 0
    assert "'odd' of odd 1.0 gives dict from fake_plugin:ALL; wanted is a sequence" in str(
        outcome.error
    )


def test_a_function_that_raises_adds_nothing_and_its_error_is_kept(installed, module):
    def give():
        raise ZeroDivisionError("one by none")

    module.give = give

    table, (outcome,) = load_primitives(installed(("odd", "odd", "fake_plugin:give")))

    assert len(table) == 0
    assert "fails to give its primitives: ZeroDivisionError: one by none" in str(outcome.error)


def test_a_plugin_that_declares_a_primitive_twice_adds_nothing(installed, module):
    module.ALL = [primitive("fake/one"), primitive("fake/one")]

    table, (outcome,) = load_primitives(installed(("odd", "odd", "fake_plugin:ALL")))

    assert len(table) == 0
    assert "fake/one@1 is declared twice" in str(outcome.error)


def test_a_primitive_that_two_plugins_declare_belongs_to_neither_and_both_are_told(
    installed, module
):
    module.ALL = [primitive("fake/same"), primitive("fake/mine")]
    module.OTHER = [primitive("fake/same"), primitive("fake/same", version=2)]

    table, outcomes = load_primitives(
        installed(("a", "a", "fake_plugin:ALL"), ("b", "b", "fake_plugin:OTHER"))
    )

    assert {str(p.reference) for p in table} == {"fake/mine@1", "fake/same@2"}
    assert Reference.parse("fake/same@1") not in table
    for outcome in outcomes:
        assert "the primitive fake/same@1 is claimed by a (fake_plugin:ALL) and b" in str(
            outcome.error
        )


def test_our_own_plugins_are_declared():
    assert {"heads", "lists", "vision"} <= set(discover(GROUP).names)
