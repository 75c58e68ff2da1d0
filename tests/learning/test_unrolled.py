"""Recurrent modules step by step: what torch's own compute, and mapped over tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from metaloom_metalearn import (
    Episodes,
    MetaLearner,
    Plan,
    imaml,
    maml,
    maml_pp,
    meta_sgd,
    meta_train,
    reptile,
)
from metaloom_metalearn.journal import Event
from metaloom_metalearn.learners.unrolled import Unrolled, maps_over_tasks, unrolled
from metaloom_metalearn.testing.learner import MetaLearnerSuite, MetaStepSuite
from metaloom_registry import InvalidTask

MODULES = {
    "tanh": lambda: nn.RNN(2, 3),
    "relu without shifts": lambda: nn.RNN(2, 3, nonlinearity="relu", bias=False),
    "gru": lambda: nn.GRU(2, 3, batch_first=True),
    "two layers, both ways": lambda: nn.GRU(2, 3, num_layers=2, bidirectional=True),
    "lstm": lambda: nn.LSTM(2, 3, num_layers=2),
    "projected": lambda: nn.LSTM(2, 4, proj_size=3, bidirectional=True, batch_first=True),
}


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(found: Any) -> list[Tensor]:
    """All tensors in what a module gives, but for the places of a packed sequence."""
    if isinstance(found, Tensor):
        return [found]
    return [one for part in found if part is not None for one in flat(part)]


@pytest.mark.parametrize("name", MODULES)
def test_step_by_step_is_what_torch_computes(name: str) -> None:
    module = MODULES[name]().double()
    assert isinstance(module, nn.RNNBase)
    steps = unrolled(module)
    assert isinstance(steps, Unrolled)
    x = torch.randn(4, 5, 2, generator=seeded(1), dtype=torch.float64)
    _, last = module(x)
    begun = tuple(torch.randn_like(one) for one in flat(last))
    start = begun if isinstance(module, nn.LSTM) else begun[0]
    alone = tuple(one[:, 0] for one in begun)
    lengths = torch.tensor([5, 2, 1, 1] if module.batch_first else [4, 3, 2, 2, 1])
    packed = pack_padded_sequence(x, lengths, batch_first=module.batch_first)
    for given in (
        (x,),
        (x, start),
        (x[:, 0],),
        (x[:, 0], alone if isinstance(module, nn.LSTM) else alone[0]),
        (packed,),
    ):
        for one, other in zip(flat(steps(*given)), flat(module(*given)), strict=True):
            torch.testing.assert_close(one, other)


class Reader(nn.Module):
    """image[1,6,6] -> 3 logits: its rows one after the other."""

    def __init__(self, kind: Callable[..., nn.RNNBase]) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.read, self.head = kind(6, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        start = x.new_zeros(self.read.num_layers, len(x), self.read.hidden_size)
        given = (start, start) if self.read.mode == "LSTM" else start
        return self.head(self.read(x[:, 0], given)[0][:, -1])


class TestRecurrentModelsAreMetaTrained(MetaLearnerSuite):
    """By gradients that finite differences give, whichever way computes them."""

    @pytest.fixture(params=["maml", "meta_sgd", "maml_pp"])
    def learner(self, request: pytest.FixtureRequest) -> MetaLearner:
        learners: dict[str, MetaLearner] = {
            "maml": maml(2, 0.3), "meta_sgd": meta_sgd(1, 0.3), "maml_pp": maml_pp(2, 0.3),
        }  # fmt: skip
        return learners[request.param]

    @pytest.fixture
    def model(self, learner: Any) -> nn.Module:
        model = Reader(nn.GRU).double()
        return learner.equip(model) if hasattr(learner, "equip") else model


class TestRecurrentModelsAreTrainedWithoutAPath(MetaStepSuite):
    @pytest.fixture(params=["imaml", "reptile"])
    def learner(self, request: pytest.FixtureRequest) -> MetaLearner:
        learners: dict[str, MetaLearner] = {"imaml": imaml(3, 0.1), "reptile": reptile(2, 0.1)}
        return learners[request.param]

    @pytest.fixture(params=[nn.RNN, nn.GRU, nn.LSTM])
    def model(self, request: pytest.FixtureRequest) -> nn.Module:
        return Reader(request.param).double()


def rows(tasks: int = 5) -> Episodes:
    x = torch.randn(tasks, 3, 1, 6, 6, generator=seeded(2), dtype=torch.float64)
    labels = torch.arange(3).repeat(tasks, 1)
    return Episodes(x, labels, x + 0.1, labels, 3)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("name", ["maml", "imaml", "reptile"])
def test_tasks_together_and_one_after_the_other_are_equal(name: str, kind: Any) -> None:
    learners = {"maml": maml, "imaml": imaml, "reptile": reptile}
    model = Reader(kind).double()
    together = learners[name](2, 0.2).meta_gradient(model, rows(), seeded(0))  # type: ignore[operator]
    apart = learners[name](2, 0.2, chunk=1).meta_gradient(model, rows(), seeded(0))  # type: ignore[operator]
    assert (together.way, apart.way) == ("vmap", "tasks")
    torch.testing.assert_close(dict(together.gradients), dict(apart.gradients))
    torch.testing.assert_close(together.outputs, apart.outputs)


def test_in_float32_a_recurrent_model_has_second_order_gradients_too() -> None:
    model = Reader(nn.LSTM)
    few = rows(2)  # so few go through autograd
    small = Episodes(few.support_x.float(), few.support_y, few.query_x.float(), few.query_y, 3)
    found = maml(2, 0.2).meta_gradient(model, small, seeded(0))
    wanted = maml(2, 0.2).meta_gradient(Reader(nn.LSTM).double(), few, seeded(0))
    for name, gradient in found.gradients.items():
        torch.testing.assert_close(gradient.double(), wanted.gradients[name], rtol=1e-3, atol=1e-5)


def test_the_model_stays_and_shares_its_parameters() -> None:
    model = Reader(nn.GRU)
    view = unrolled(model)
    assert isinstance(model.read, nn.GRU)
    assert list(dict(view.named_parameters())) == list(dict(model.named_parameters()))
    for one, other in zip(view.parameters(), model.parameters(), strict=True):
        assert one is other
    assert unrolled(model.head) is model.head
    assert maps_over_tasks(view)


class Own(nn.GRU):
    """A subclass, which may compute anything."""


def test_subclasses_and_modules_with_hooks_stay_and_their_tasks_are_taken_one_by_one() -> None:
    seen: list[int] = []
    model = Reader(nn.GRU).double()
    model.read.register_forward_hook(lambda module, given, answer: seen.append(1))
    for kept in (model, Reader(Own).double()):
        assert unrolled(kept) is kept
        assert reptile(1, 0.1).meta_gradient(kept, rows(), seeded(0)).way == "tasks"
        assert maml(1, 0.1).meta_gradient(kept, rows(), seeded(0)).way == "plain"
    assert seen


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x.flatten(1))
        return y if y.sum() > 0 else y.tanh()


def test_a_model_that_branches_on_values_is_told_to_take_tasks_one_by_one() -> None:
    model = Branching().double()
    with pytest.raises(InvalidTask, match=r"are not computed together: .*control flow.*chunk=1"):
        reptile(1, 0.1).meta_gradient(model, rows(), seeded(0))
    assert reptile(1, 0.1, chunk=1).meta_gradient(model, rows(), seeded(0)).way == "tasks"


class Heard:
    def __init__(self) -> None:
        self.ways: list[object] = []

    def record(self, event: Event) -> None:
        self.ways.append(event.facts.get("way"))


class Drawn:
    def episodes(self, count: int, generator: torch.Generator) -> Episodes:
        del generator
        return rows(count)


def test_the_journal_hears_which_way_is_taken() -> None:
    heard = Heard()
    plan = Plan(1, batch=4, report=1)
    meta_train(Reader(nn.GRU).double(), Drawn(), reptile(1, 0.1), seeded(0), plan, journal=heard)
    meta_train(Reader(Own).double(), Drawn(), reptile(1, 0.1), seeded(0), plan, journal=heard)
    assert heard.ways == ["vmap", "tasks"]
