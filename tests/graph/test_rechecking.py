"""Facts measured again: true ones pass, each false one is its own error."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from metaloom_registry import WrongFact, parse_type
from metaloom_registry.graph import Budget, check_facts, export_module

SIGNATURE = parse_type("vec[6] -> vec[12]")


class Words(nn.Module):
    """Takes a dictionary, so that the type says little."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 4)

    def forward(self, x: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.table(x["word"]).mean(1)


@pytest.fixture(scope="module")
def linear():
    torch.manual_seed(0)
    return export_module(nn.Sequential(nn.Linear(6, 12), nn.Dropout(0.1)), SIGNATURE)


@pytest.fixture(scope="module")
def other():
    torch.manual_seed(1)
    return export_module(nn.Linear(6, 12), SIGNATURE)


def checked(block, facts=None, **options) -> tuple[str, ...]:
    facts = block.facts if facts is None else facts
    return check_facts(facts, block.graph, block.weights, SIGNATURE, **options)


def test_true_facts_hold(linear):
    names = ("parameters", "weight_bytes", "dtypes", "ops", "cost", "fingerprint")
    assert checked(linear) == names
    assert checked(linear, capabilities=True) == (*names, "capabilities")


def test_what_is_not_claimed_is_not_checked(linear):
    assert checked(linear, {"recipe": {"seed": 1}}) == ()


def test_a_fingerprint_beyond_the_budget_is_left_out(linear):
    assert "fingerprint" not in checked(linear, budget=Budget(flops=10))


def test_a_module_that_takes_dictionaries_is_measured_as_it_was():
    example = ({"word": torch.tensor([[3, 49], [7, 0], [1, 2]])},)
    block = export_module(Words(), "vec[2] -> vec[4]", example=example)
    assert "fingerprint" in checked(block)


def test_a_fingerprint_from_before_its_inputs_were_noted_is_measured_by_the_type(linear):
    told = {k: v for k, v in linear.facts["fingerprint"].items() if k != "inputs"}
    assert checked(linear, {"fingerprint": told}) == ("fingerprint",)


def test_a_module_that_draws_numbers_has_no_fingerprint_to_be_held_to():
    class Noise(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.dropout(x, 0.5, training=True).repeat(1, 2)

    block = export_module(Noise(), SIGNATURE)
    facts: Any = block.facts
    assert not facts["capabilities"]["deterministic"]
    assert "fingerprint" in checked(block)


def test_the_fingerprint_of_another_block_is_refused(linear, other):
    facts = {**linear.facts, "fingerprint": other.facts["fingerprint"]}
    with pytest.raises(WrongFact, match="that of a block that behaves otherwise"):
        checked(linear, facts)


def test_rounding_elsewhere_is_forgiven(linear):
    told = linear.facts["fingerprint"]
    values = [value * 1.001 + 1e-4 for value in told["values"]]
    assert checked(linear, {"fingerprint": {**told, "values": values}})


def fingerprint(**changes: Any) -> Any:
    return lambda facts: {**facts, "fingerprint": {**facts["fingerprint"], **changes}}


def cost(**changes: Any) -> Any:
    return lambda facts: {**facts, "cost": {**facts["cost"], **changes}}


def with_(name: str, value: Any) -> Any:
    return lambda facts: {**facts, name: value}


POISONED = {
    "parameters": (with_("parameters", 1), "'parameters' says 1, but the block's files give 84"),
    "bytes": (with_("weight_bytes", 0), "'weight_bytes' says 0"),
    "dtypes": (with_("dtypes", ["int8"]), "'dtypes'"),
    "ops": (with_("ops", []), "'ops'"),
    "flops": (cost(flops=1), "'cost'"),
    "no sizes": (cost(at={}), "'cost' is not an object"),
    "size of text": (cost(at={"B": "1"}), "'cost' is not an object"),
    "size beyond": (cost(at={"B": 1 << 40}), "'cost' is not an object"),
    "cost a number": (with_("cost", 3), "'cost' is not an object"),
    "unknown group": (with_("groups", {"quick": []}), "'groups' is not an object"),
    "group of no parameter": (with_("groups", {"fast": ["head"]}), "'head', which is no parameter"),
    "twice in groups": (
        with_("groups", {"fast": ["0.bias"], "slow": ["0.bias"]}),
        "'groups' is not an object",
    ),
    "groups of a text": (with_("groups", {"fast": "0.bias"}), "'groups' is not an object"),
    "another probe": (fingerprint(probe="mine"), "'fingerprint' is not an object"),
    "too few numbers": (fingerprint(values=[0.0]), "'fingerprint' is not an object"),
    "numbers of text": (fingerprint(values=["0"] * 128), "'fingerprint' is not an object"),
    "zeros": (fingerprint(values=[0.0] * 128), "behaves otherwise"),
    "no numbers": (fingerprint(values=None), "has no numbers"),
    "inputs of text": (fingerprint(inputs="x"), "'fingerprint' is not"),
    "inputs missing": (fingerprint(inputs=[]), "'fingerprint' is not"),
    "inputs without classes": (fingerprint(inputs=[{"kind": "vec"}]), "'fingerprint' is not"),
    "no classes": (fingerprint(inputs=[{"kind": "vec", "classes": 0}]), "'fingerprint' is not"),
}


@pytest.mark.parametrize("name", POISONED)
def test_a_poisoned_fact_is_refused(linear, name):
    poison, reason = POISONED[name]
    with pytest.raises(WrongFact, match=reason):
        checked(linear, poison(linear.facts))


def test_probes_that_the_block_cannot_take_are_a_wrong_fact():
    block = export_module(nn.Embedding(9, 12), "label[9] -> vec[12]")
    facts: Any = block.facts
    told: Any = {**facts["fingerprint"], "inputs": [{"kind": "label", "classes": 1000}]}
    with pytest.raises(WrongFact, match="but it fails on them"):
        check_facts(
            {"fingerprint": told}, block.graph, block.weights, parse_type("label[9] -> vec[12]")
        )


def test_a_capability_that_is_not_there_is_a_wrong_fact():
    class Centred(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x - x.mean(0)).repeat(1, 2)

    block = export_module(Centred(), SIGNATURE)
    facts = {**block.facts, "capabilities": {"batch_independent": True}}
    assert checked(block, facts)
    with pytest.raises(WrongFact, match="claims 'batch_independent'"):
        checked(block, facts, capabilities=True)
    with pytest.raises(WrongFact, match="an object of truth values"):
        checked(block, {**facts, "capabilities": [1]}, capabilities=True)
