"""Blocks that compute on a device for a search on the CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from metaloom import Hub, solving
from metaloom.solving.devices import Elsewhere
from metaloom_metalearn import Clock, FewShot, Part, Task, solve
from metaloom_registry import NotFound, ParseError

from .conftest import encoder

CPU = torch.device("cpu")


def test_a_device_is_chosen_or_refused_with_the_remedy() -> None:
    assert solving.choose_device("cpu") == CPU
    assert solving.choose_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")
    for wrong in ("gpu", "mps", "tpu:0"):
        with pytest.raises(ParseError, match="cpu, cuda or cuda:1"):
            solving.choose_device(wrong)
    with pytest.raises(NotFound, match="no device cuda:99"):
        solving.choose_device("cuda:99")


def test_a_search_over_blocks_elsewhere_finds_what_it_finds_here(hub: Hub, halves: Task) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    here, there = (
        solve(
            halves,
            library,
            clock=Clock(20.0),
            searches=(FewShot(),),
            generator=torch.Generator().manual_seed(0),
        )
        for library in (hub.library, solving.OnDevice(hub.library, CPU))
    )
    assert there.term == here.term
    assert str(there.query_score) == str(here.query_score)


def test_the_parts_of_a_solution_come_home(hub: Hub, halves: Task) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    block = solving.OnDevice(hub.library, CPU).load(hub["vision/small"].digest)
    assert isinstance(block, Elsewhere)
    found = hub.adapt(hub["vision/small"] >> hub["heads/prototypes"], halves)
    reference = hub["vision/small"].exactly
    whole = nn.Sequential(block, nn.Linear(8, 2))

    part = Part(whole, hub["vision/small"].signature)
    home = solving.at_home(replace(found, parts={reference: part}), hub.library)
    [module] = [p.module for p in home.parts.values()]
    assert not any(isinstance(m, Elsewhere) for m in module.modules())
    x = torch.rand(2, 1, 4, 4)
    assert torch.allclose(module(x), whole(x))
    assert home.library is hub.library


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_search_on_cuda_gives_a_solution_on_the_cpu(hub: Hub, halves: Task) -> None:
    hub.publish("vision/small", encoder(), "image[1,4,4] -> vec[8]")
    solution = hub.solve(halves, budget="30s", device="cuda")
    assert halves.query is not None
    outputs = solution.predict_many(*halves.query.inputs)
    assert isinstance(outputs, torch.Tensor)
    assert outputs.device == CPU
