"""What is measured of a graph: counts, costs, capabilities, and how it behaves."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.graph import export_module
from metaloom_registry.graph.examples import uniform


def facts(net: nn.Module, signature: str = "vec[6] -> vec[12]") -> dict:
    return dict(export_module(net, signature).facts)


def linear(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(6, 12)


def test_counts_and_costs_of_a_linear_map_are_the_closed_form():
    found = facts(linear())
    assert found["parameters"] == 6 * 12 + 12
    assert found["cost"] == {
        "at": {"B": 1},
        "flops": 2 * 6 * 12,
        "peak_bytes": 4 * (6 + 12),
        "activation_bytes": 4 * 12,
    }
    assert found["ops"] == ["linear/1"]
    assert found["dtypes"] == ["float32"]


def test_facts_are_json(block):
    assert load_strict(dump_canonical(block.facts)) == block.facts


def test_a_plain_net_can_do_everything(block):
    assert all(block.facts["capabilities"].values())
    assert list(block.facts["capabilities"]) == [
        "second_gradient", "vmap", "vmap_gradient", "train_mode", "functional_train",
        "batch_independent", "deterministic", "float16", "bfloat16", "float32", "float64",
    ]  # fmt: skip


def test_a_net_that_looks_at_its_batch_is_found_out():
    net = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12, track_running_stats=False))
    capabilities = facts(net)["capabilities"]
    assert not capabilities["batch_independent"]
    assert capabilities["deterministic"]


@pytest.mark.parametrize("seed", [1, 3, 4])
def test_a_bias_that_a_norm_cancels_costs_no_capability(seed):
    torch.manual_seed(seed)  # its gradient is zero but for rounding
    layers = nn.Conv2d(3, 8, 3), nn.InstanceNorm2d(8, affine=True), nn.ReLU(), nn.Conv2d(8, 2, 3, 2)
    found = facts(nn.Sequential(*layers), "image[3,12,12] -> image[2,4,4]")
    assert found["capabilities"]["vmap_gradient"]


def test_class_numbers_have_no_gradient():
    class Best(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = linear()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x).argmax(1)

    found = facts(Best(), "vec[6] -> label[12]")
    assert not found["capabilities"]["second_gradient"]
    assert len(found["fingerprint"]["values"]) == 128


def test_a_fingerprint_says_how_a_module_behaves():
    one, same, other = linear(), copy.deepcopy(linear()), linear(1)
    values = [facts(net)["fingerprint"]["values"] for net in (one, same, other)]
    assert len(values[0]) == 128
    assert values[0] == values[1]
    assert values[0] != values[2]
    assert all(float(torch.tensor(v, dtype=torch.float16)) == v for v in values[0])


def test_modules_that_compute_alike_have_near_fingerprints():
    one = linear()
    near = copy.deepcopy(one)
    with torch.no_grad():
        near.get_parameter("weight").add_(1e-3)
    far = linear(1)
    a, b, c = (torch.tensor(facts(net)["fingerprint"]["values"]) for net in (one, near, far))
    assert (a - b).norm() < 0.05 * (a - c).norm()


def test_probe_numbers_are_the_same_everywhere():
    numbers = uniform(1000, 3)
    assert [round(float(x), 6) for x in numbers[:3]] == [0.284943, 0.02243, 0.846359]
    assert abs(float(numbers.mean()) - 0.5) < 0.03
    assert abs(float(numbers.std()) - 1 / math.sqrt(12)) < 0.02
    assert not torch.equal(numbers, uniform(1000, 4))
