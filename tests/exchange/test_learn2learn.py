"""learn2learn's wrappers become blocks of what they wrap."""

import importlib
import subprocess
import sys
from typing import Any

import pytest
import torch
from safetensors.torch import load
from torch import nn

from metaloom.exchange import import_block
from metaloom_learn2learn import IMPORTER, learn2learn
from metaloom_registry import Consent, MissingExtra, Refused
from metaloom_registry.testing import ImporterSuite

SIGNATURE = "vec[3] -> logits[2]"


@pytest.fixture(scope="module")
def l2l():
    try:
        return learn2learn()
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.fixture
def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)).eval()


@pytest.fixture(params=["MAML", "MetaSGD", "GBML"])
def wrapper(request, l2l, net):
    if request.param == "GBML":
        transform = l2l.optim.ModuleTransform(l2l.nn.Scale)
        return l2l.algorithms.GBML(net, transform, lr=0.1)
    return getattr(l2l.algorithms, request.param)(net, lr=0.1)


class TestWrappers(ImporterSuite):
    signature = SIGNATURE

    @pytest.fixture
    def importer(self):
        return IMPORTER

    @pytest.fixture
    def source(self, wrapper):
        return wrapper


def test_a_wrapper_is_imported_as_what_it_wraps(wrapper, net, other):
    block: Any = import_block(other, "you/net", wrapper, SIGNATURE)

    x = torch.randn(5, 3)
    assert torch.equal(block.load()(x), net(x))
    assert list(block.load().state_dict()) == list(net.state_dict())
    assert block.facts["learn2learn"]["algorithm"] == type(wrapper).__name__
    assert "learn2learn" in block.tags


def test_an_adapted_clone_is_imported_as_it_is(wrapper, other):
    before = wrapper.module[0].weight.detach().clone()
    clone = wrapper.clone()
    x = torch.randn(5, 3)
    clone.adapt(clone(x).square().mean())

    block: Any = import_block(other, "you/adapted", clone, SIGNATURE)

    assert torch.equal(block.load()(x), clone(x))
    assert not torch.equal(block.load()(x), wrapper(x))
    assert torch.equal(wrapper.module[0].weight, before)


def test_learned_rates_are_kept_one_a_number(l2l, net, other):
    learned = l2l.algorithms.MetaSGD(net, lr=0.5)
    with torch.no_grad():
        learned.lrs[0][0, 0] = 2.0

    block: Any = import_block(other, "you/rates", learned, SIGNATURE)

    rates = load(other.registry.read(block.digest, "learning_rates.safetensors"))
    assert rates.keys() == dict(net.named_parameters()).keys()
    assert torch.equal(rates["0.weight"], learned.lrs[0])
    assert block.facts["learn2learn"]["mean_rates"]["3.bias"] == 0.5
    assert block.facts["learn2learn"]["mean_rates"]["0.weight"] == pytest.approx(0.625)


def test_the_rate_of_a_maml_is_told(l2l, net):
    found = IMPORTER.read(l2l.algorithms.MAML(net, lr=0.4, first_order=True), Consent())

    assert found.facts["learn2learn"] == {
        "algorithm": "MAML", "first_order": True, "learning_rate": 0.4,
    }  # fmt: skip


def test_a_class_of_the_same_name_elsewhere_is_not_taken():
    class MAML(nn.Module):
        pass

    assert not IMPORTER.accepts(MAML())
    with pytest.raises(Refused, match="MAML is no MAML, GBML, MetaSGD of learn2learn"):
        IMPORTER.read(MAML(), Consent())


def test_learn2learn_is_loaded_without_gym_and_torchvision(l2l):
    code = (
        "import sys; from metaloom_learn2learn import learn2learn\n"
        "package = learn2learn(); assert learn2learn() is package\n"
        "assert package.clone_module and package.algorithms.MAML and package.data.TaskDataset\n"
        "print(sorted({'gym', 'torchvision', 'tests'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.split() == ["[]"], done.stderr


def test_the_plugin_imports_nothing_before_it_is_used():
    code = (
        "import sys, metaloom_learn2learn; print({'torch', 'learn2learn'} & set(sys.modules));"
        "metaloom_learn2learn.IMPORTER; print('learn2learn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.stdout.split() == ["set()", "False"], done.stderr


def test_without_learn2learn_the_remedy_is_told(monkeypatch):
    loading = importlib.import_module("metaloom_learn2learn.loading")
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "learn2learn", raising=False)

    with pytest.raises(MissingExtra, match="learn2learn is not installed; `pip install"):
        loading.learn2learn()


def test_a_part_that_breaks_is_told_and_leaves_nothing_behind(l2l, monkeypatch):
    loading = importlib.import_module("metaloom_learn2learn.loading")
    for name in [n for n in sys.modules if n.partition(".")[0] == "learn2learn"]:
        monkeypatch.delitem(sys.modules, name)

    def fail(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(loading, "import_module", fail)

    with pytest.raises(MissingExtra, match=r"does not load: RuntimeError: operator torchvision"):
        loading.learn2learn()
    assert "learn2learn" not in sys.modules
