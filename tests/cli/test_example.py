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
        yield hub


def printed(block, solution=False):
    """What the example of a block prints."""
    example = example_of_use(block, solution)
    assert "..." not in example, example
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(example, str(block), "exec"), {})
    return out.getvalue().strip()


def test_that_of_every_primitive_runs_and_prints_something(library):
    assert len(library.primitives) > 100
    for primitive in library.primitives:
        assert printed(library[primitive.reference]), primitive.reference


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8)).eval()


class Both(nn.Module):
    def forward(self, pair):
        return pair[0] + pair[1]


def test_that_of_every_kind_of_block_runs(library, net):
    library.publish("me/net", net, "image[1,4,4] -> vec[8]")
    library.publish("me/both", Both(), "(vec[3], vec[3]) -> vec[3]")
    library.publish("me/head", library["me/net"] >> library["heads/prototypes"])
    library.publish("me/sum", "(lam (sum $0))")
    library.publish("me/same", "(lam $0)")
    library.publish("me/answer", "(add 40 2)")
    library.publish("me/visits", "(lam (lam (remember (add $0 (recall $1)) (recall $1) $1)))")
    for name in ("net", "both", "head", "sum", "same", "visits"):
        assert printed(library[f"me/{name}"]), name
    assert printed(library["me/answer"]) == "42"


def test_values_are_made_up_for_which_a_program_has_a_value(library):
    library.publish("me/twice", "(lam (add (number $0) (number $0)))")
    assert printed(library["me/twice"]) == "84"


def test_a_library_elsewhere_is_named(tmp_path, monkeypatch, home):
    monkeypatch.setenv("METALOOM_HOME", str(home))
    with Hub.open(tmp_path / "other") as hub:
        hub.publish("me/sum", "(lam (sum $0))")
        assert f"Hub.open({str(tmp_path / 'other')!r})" in example_of_use(hub["me/sum"], False)


def test_a_function_is_given_in_a_program(library):
    shown = example_of_use(library["lists/map"], solution=False)
    assert 'hub.run("(lam (lists/map@1 (lam $0) $0))", [3, 1, 2])' in shown


def test_a_primitive_of_which_no_value_can_be_made_up_runs_its_author_s_example(library):
    declared = library["memory/recall"].primitive.examples[0][0]
    assert f'hub.run("{declared}")' in example_of_use(library["memory/recall"], solution=False)


def test_what_no_value_can_be_made_up_for_is_left_for_people_to_write(library):
    library.publish("me/told", "(lam (lam (calls (lam (lam ($3 $1 $0))) $0 (range 3))))")
    assert "..." in example_of_use(library["me/told"], solution=False)
