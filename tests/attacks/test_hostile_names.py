"""Names made to leave their folder, to look like another, or to reach into a Python object."""

from __future__ import annotations

import pytest

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.graph import load_graph


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "layer/weight",
        "layer\\weight",
        "C:weight",
        "layer..weight",
        ".weight",
        "weight.",
        "",
        "weight\n",
        "weight\x00",
        "wеight",  # a Cyrillic e
        "ｗeight",  # a full-width w
        "weight\u202e",
        "x" * 300,
        None,
        3,
        ["weight"],
    ],
)
def test_names_that_are_no_names_are_refused(name, document, refuses_graph):
    document["state"][0]["name"] = name
    refuses_graph(document, r"state\[0\].*is not a name")


@pytest.mark.parametrize("name", ["__class__", "__dict__.x", "layer.__init__", "__reduce__"])
def test_names_of_python_are_refused(name, document, refuses_graph):
    document["state"][0]["name"] = name
    refuses_graph(document, "none beginning with __")


@pytest.mark.parametrize(
    "name", ["forward", "training", "_parameters", "state_dict.x", "T_destination"]
)
def test_names_that_would_hide_a_part_of_the_module_are_refused(
    name, document, header, make_weights, refusing
):
    document["state"][0]["name"] = name
    header[name] = header.pop("layer.weight")
    with refusing("would hide"):
        load_graph(dump_canonical(document), make_weights(header))


def test_a_name_that_is_also_a_scope_is_refused(document, refuses_graph):
    document["state"][1]["name"] = "layer.weight.bias"
    refuses_graph(document, "is taken")


def test_a_name_that_stands_twice_is_refused(document, refuses_graph):
    document["state"][1]["name"] = "layer.weight"
    refuses_graph(document, "'layer.weight' is taken")


def test_a_tensor_that_shares_itself_or_a_later_one_is_refused(document, refuses_graph):
    document["state"][0] = {"name": "layer.weight", "kind": "shared", "with": "layer.bias"}
    refuses_graph(document, "no earlier parameter or buffer")
    document["state"][0]["with"] = "layer.weight"
    refuses_graph(document, "no earlier parameter or buffer")


@pytest.mark.parametrize("name", ["b", "B2", "__class__", "n\n", "ｎ", "", "n" * 64])
def test_dimensions_of_odd_names_are_refused(name, document, refuses_graph):
    document["dimensions"].append({"name": name, "low": 1, "high": 2, "multiple": 1})
    if name == "b":
        document["dimensions"].append(document["dimensions"][-1])
    refuses_graph(document, r"dimensions\[\d\]")


@pytest.mark.parametrize("key", ["__class__", "a.b", "", "<script>", "é"])
def test_keys_of_outputs_of_odd_names_are_refused(key, document, refuses_graph):
    document["outputs"] = {"dict": {key: {"value": 4}}}
    refuses_graph(document, "is not a key")
