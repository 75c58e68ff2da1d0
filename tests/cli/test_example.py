"""The example of use that `show` prints runs as it stands."""

import contextlib
import io

import pytest
import torch
from torch import nn

from metaloom import Hub
from metaloom.cli.example import example_of_use


@pytest.fixture
def library(home, monkeypatch):
    monkeypatch.setenv("METALOOM_HOME", str(home))
    with Hub.open() as hub:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8)).eval()
        hub.publish("me/net", net, "image[1,4,4] -> vec[8]")
        hub.publish("me/head", hub["me/net"] >> hub["heads/prototypes"])
        hub.publish("me/sum", "(lam (sum $0))")
        hub.publish("me/same", "(lam $0)")
        yield hub


@pytest.mark.parametrize(
    "name",
    [
        *("me/net", "me/head", "me/sum", "me/same", "lists/sum", "lists/reverse", "lists/empty"),
        *("lists/map", "lists/fold", "lists/filter", "lists/zip_with", "lists/first", "text/upper"),
        *("sets/union", "dictionaries/get", "dictionaries/map_values", "graphs/reachable"),
        *("recursion/while", "graphs/add_edge", "dictionaries/from_pairs"),
    ],
)
def test_it_runs(library, name):
    if name not in library:
        pytest.skip(f"no plugin ships {name}")
    example = example_of_use(library[name], solution=False)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, name, "exec"), {})
    assert printed.getvalue().strip()


def test_a_library_elsewhere_is_named(tmp_path, monkeypatch, home):
    monkeypatch.setenv("METALOOM_HOME", str(home))
    with Hub.open(tmp_path / "other") as hub:
        hub.publish("me/sum", "(lam (sum $0))")
        assert f"Hub.open({str(tmp_path / 'other')!r})" in example_of_use(hub["me/sum"], False)


def test_a_function_is_given_in_a_program(library):
    shown = example_of_use(library["lists/map"], solution=False)
    assert 'hub.run("(lam (lists/map@1 (lam $0) $0))", [3, 1, 2])' in shown


def test_what_no_value_can_be_made_up_for_is_left_for_people_to_write(library):
    assert "..." in example_of_use(library["memory/recall"], solution=False)
