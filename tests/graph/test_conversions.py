"""A module that differs from one converted before in its numbers alone is not traced again."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import pytest
import torch
from torch import nn

from metaloom_registry.graph import Conversions, export_module, load_graph
from metaloom_registry.graph.architecture import architecture
from metaloom_registry.graph.conversions import Conversion
from metaloom_registry.manifest import File

SIGNATURE = "vec[3] -> vec[2]"
GAIN = 1.0


class Knob:
    """What no key sees into: code reads it, and it may change."""

    gain = 1.0


class Scaled(nn.Module):
    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 2)
        self.gain = gain

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) * self.gain * Knob.gain


class Global(Scaled):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) * GAIN


class Shifted(Scaled):
    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = torch.full((2,), shift)


class Counted(Conversions):
    """Notes what is kept: one for each module that was traced."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Hashable] = []

    def keep(self, architecture: Hashable, conversion: Conversion) -> None:
        self.kept.append(architecture)
        super().keep(architecture, conversion)


def drawn(seed: int, make: Callable[[], nn.Module] = Scaled) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def test_the_second_of_an_architecture_is_what_it_is_alone() -> None:
    conversions = Counted()
    first = export_module(drawn(1), SIGNATURE, conversions=conversions)
    second = export_module(drawn(2), SIGNATURE, conversions=conversions)
    alone = export_module(drawn(2), SIGNATURE)
    assert len(conversions.kept) == 1
    assert second == alone
    assert second.graph == first.graph
    assert second.weights != first.weights


def test_a_loaded_graph_with_other_numbers_is_known_again() -> None:
    conversions = Counted()
    exported = export_module(drawn(1), SIGNATURE)
    loaded = load_graph(exported.graph, exported.weights)
    export_module(loaded, SIGNATURE, conversions=conversions)
    with torch.no_grad():
        next(iter(loaded.parameters())).mul_(2)
    again = export_module(loaded, SIGNATURE, conversions=conversions)
    assert len(conversions.kept) == 1
    assert again.graph == exported.graph
    x = torch.rand(4, 3)
    assert torch.equal(load_graph(again.graph, again.weights)(x), loaded(x))


def test_a_graph_that_disagrees_with_the_module_is_traced_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conversions = Counted()
    module = drawn(1, lambda: nn.Sequential(Scaled(), nn.BatchNorm1d(2)))
    export_module(module, SIGNATURE, conversions=conversions)
    monkeypatch.setattr(Knob, "gain", 3.0)
    again = export_module(module, SIGNATURE, conversions=conversions)
    assert len(conversions.kept) == 2
    assert len(set(conversions.kept)) == 1
    assert again == export_module(module, SIGNATURE)


def test_tensors_written_in_code_are_of_no_architecture() -> None:
    conversions = Counted()

    class Written(Scaled):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) + torch.tensor([1.0, 2.0])

    assert "constant" in export_module(Written(), SIGNATURE, conversions=conversions).graph.decode()
    assert not conversions.kept


def test_the_key_is_of_all_but_the_numbers() -> None:
    assert architecture(drawn(1)) == architecture(drawn(2))
    assert architecture(drawn(1)) is not None


def with_hook() -> nn.Module:
    module = Scaled()
    module.register_forward_hook(lambda module, args, output: output * 2)
    return module


def with_method() -> nn.Module:
    module, other = Scaled(), Scaled(2.0)
    module.forward = other.forward  # type: ignore[method-assign]
    return module


@pytest.mark.parametrize(
    "make", [with_hook, with_method, lambda: Shifted(1.0)], ids=["hook", "method", "tensor"]
)
def test_what_no_key_can_tell_from_others_has_none(make: Callable[[], nn.Module]) -> None:
    assert architecture(make()) is None


def closing_over(factor: float) -> nn.Module:
    class Closed(Scaled):
        pass

    def forward(self: Scaled, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) * factor

    Closed.forward = forward  # type: ignore[method-assign]
    return Closed()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: Scaled(1.0), lambda: Scaled(1.0 + 1e-9)),
        (lambda: Scaled(0.0), lambda: Scaled(-0.0)),
        (lambda: Scaled(1), lambda: Scaled(1.0)),
        (Scaled, Global),
        (lambda: nn.LayerNorm(3, eps=1e-5), lambda: nn.LayerNorm(3, eps=1e-6)),
        (lambda: nn.Sequential(nn.ReLU()), lambda: nn.Sequential(nn.GELU())),
        (lambda: closing_over(1.0), lambda: closing_over(2.0)),
    ],
    ids=["number", "sign of zero", "integer", "class", "eps", "layer", "closure"],
)
def test_modules_that_may_compute_otherwise_have_keys_of_their_own(
    one: Callable[[], nn.Module], other: Callable[[], nn.Module]
) -> None:
    first, second = architecture(one()), architecture(other())
    assert first is not None
    assert second is not None
    assert first != second


def test_a_global_that_code_reads_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = architecture(Global())
    monkeypatch.setitem(globals(), "GAIN", 2.0)
    assert before != architecture(Global())


def test_a_fingerprint_is_known_by_the_files_it_was_measured_of() -> None:
    conversions = Conversions()
    files = {"graph.json": File.of(b"graph"), "weights.safetensors": File.of(b"weights")}
    conversions.measured(files, {"values": [1.0]})
    assert conversions.fingerprint(files) == {"values": [1.0]}
    assert conversions.fingerprint(files | {"graph.json": File.of(b"other")}) is None
