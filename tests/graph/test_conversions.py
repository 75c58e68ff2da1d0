"""A module that differs from one converted before in its numbers alone is not traced again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Hashable

import pytest
import torch
from torch import nn
from torch.nn import functional

from metaloom_registry import Digest, Refused, dump_canonical
from metaloom_registry.graph import (
    Conversions,
    ExportedGraph,
    export,
    export_module,
    load_graph,
)
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


class Noisy(Scaled):
    """Draws in eval mode, too."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.dropout(self.inner(x), 0.5, training=True)


def pictures() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())


def normed() -> nn.Module:
    return nn.Sequential(Scaled(), nn.BatchNorm1d(2))


MODULES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "items that do not depend on each other": (Scaled, SIGNATURE),
    "images": (pictures, "image[1,6,6] -> vec[16]"),
    "a norm over the batch": (normed, SIGNATURE),
    "random numbers": (Noisy, SIGNATURE),
}


def digest_of(exported: ExportedGraph) -> str:
    facts = dump_canonical(exported.facts)
    return str([Digest.of(part).hex for part in (exported.graph, exported.weights, facts)])


def exported_alone() -> list[str]:
    """What becomes of the second of each kind of module, by nothing that was converted before."""
    return [digest_of(export_module(drawn(2, make), type_)) for make, type_ in MODULES.values()]


def test_what_is_known_by_its_architecture_is_what_a_new_process_makes_of_it() -> None:
    found = []
    for make, type_ in MODULES.values():
        conversions = Counted()
        export_module(drawn(1, make), type_, conversions=conversions)
        found.append(digest_of(export_module(drawn(2, make), type_, conversions=conversions)))
        assert len(conversions.kept) == 1
    program = f"import runpy; print(runpy.run_path({__file__!r})['exported_alone']())"
    alone = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert alone.stdout.strip() == str(found), alone.stderr


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


class Trained(Scaled):
    """Where the knob is turned, computes something else in training."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.inner(x)
        return y * Knob.gain if self.training and Knob.gain != 1.0 else y


class Counting(Scaled):
    """Where the knob is turned, counts its passes."""

    passes: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if Knob.gain != 1.0:
            self.passes.add_(1)
        return self.inner(x)


@pytest.mark.parametrize("make", [Scaled, normed, Counting])
def test_a_graph_that_disagrees_with_the_module_is_traced_again(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], nn.Module]
) -> None:
    conversions = Counted()
    module = drawn(1, make)
    before = export_module(module, SIGNATURE, conversions=conversions)
    monkeypatch.setattr(Knob, "gain", 3.0)
    again = export_module(module, SIGNATURE, conversions=conversions)
    assert len(conversions.kept) == 2
    assert len(set(conversions.kept)) == 1
    assert again == export_module(module, SIGNATURE)
    assert again.graph != before.graph


def test_a_module_that_now_disagrees_in_training_alone_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conversions = Counted()
    export_module(drawn(1, Trained), SIGNATURE, conversions=conversions)
    monkeypatch.setattr(Knob, "gain", 3.0)
    with pytest.raises(Refused, match="something else in training"):
        export_module(drawn(2, Trained), SIGNATURE, conversions=conversions)


def doubled(self: Scaled, x: torch.Tensor) -> torch.Tensor:
    return self.inner(x) * 2


CHANGES: dict[str, Callable[[nn.Module, pytest.MonkeyPatch], object]] = {
    "an attribute": lambda module, _: setattr(module, "gain", 2.0),
    "a hook": lambda module, _: module.register_forward_hook(lambda module, given, y: y * 2),
    "the code of its class": lambda _, patch: patch.setattr(Scaled, "forward", doubled),
    "a method of its own": lambda module, _: setattr(module, "forward", doubled.__get__(module)),
    "a parameter that no longer learns": lambda module, _: next(module.parameters()).requires_grad_(
        False
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_module_that_was_changed_is_not_taken_for_what_it_was(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[nn.Module, pytest.MonkeyPatch], object]
) -> None:
    conversions = Counted()
    module = drawn(1)
    before = export_module(module, SIGNATURE, conversions=conversions)
    change(module, monkeypatch)
    again = export_module(module, SIGNATURE, conversions=conversions)
    assert again.graph != before.graph
    assert again == export_module(module, SIGNATURE)


def test_rounding_that_depends_on_the_batch_lets_no_module_be_traced_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    conversions = Counted()
    export_module(drawn(1), SIGNATURE, conversions=conversions)
    monkeypatch.setattr(export, "agrees_on_one", lambda *_: False)
    again = export_module(drawn(2), SIGNATURE, conversions=conversions)
    assert len(conversions.kept) == 1
    assert again == export_module(drawn(2), SIGNATURE)


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
