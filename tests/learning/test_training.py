"""Meta-training and plain training: seeded, interruptible, told to the journal."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_heads import prototypes
from metaloom_metalearn import (
    ArrayEpisodes,
    Clock,
    Diverged,
    Event,
    LabelledArrays,
    MemoryJournal,
    Plan,
    Trained,
    adam,
    constant,
    cosine,
    halving,
    maml,
    meta_train,
    metric,
    sgd,
    train_classifier,
)
from metaloom_metalearn.testing.learner import small_network


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def arrays() -> LabelledArrays:
    """Twelve classes of noisy 6x6 images, eight of each."""
    centres = torch.rand(12, 1, 6, 6, generator=seeded(0), dtype=torch.float64)
    labels = torch.arange(12).repeat_interleave(8)
    noise = torch.randn(96, 1, 6, 6, generator=seeded(1), dtype=torch.float64)
    return LabelledArrays(
        (centres[labels] + 0.3 * noise).clamp(0, 1),
        labels,
        tuple(map(str, range(12))),
        "test/noisy",
    )


@pytest.fixture
def source(arrays: LabelledArrays) -> ArrayEpisodes:
    return ArrayEpisodes(arrays, 3, 1, 4)


def test_meta_training_lowers_the_loss_and_leaves_the_model_alone(source: ArrayEpisodes) -> None:
    model = small_network(8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plan = Plan(60, batch=4, optimiser=adam(0.01))
    trained = meta_train(model, source, metric(prototypes), seeded(0), plan)
    assert sum(trained.losses[-10:]) < 0.7 * sum(trained.losses[:10])
    assert trained.ended == "finished"
    assert not trained.model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def test_maml_is_meta_trained_too(arrays: LabelledArrays) -> None:
    plan = Plan(40, batch=4, optimiser=adam(0.02), clip=10.0)
    source = ArrayEpisodes(arrays, 3, 4, 4)
    trained = meta_train(small_network(3), source, maml(2, 0.5), seeded(0), plan)
    assert sum(trained.losses[-10:]) < 0.8 * sum(trained.losses[:10])


def test_equal_seeds_train_to_equal_bits(source: ArrayEpisodes) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(36, 8)).double()
    plan = Plan(5, average=0.9)

    def train(seed: int) -> Trained:
        return meta_train(model, source, metric(prototypes, 0.1), seeded(seed), plan)

    before = torch.get_rng_state()
    one, same, other = train(1), train(1), train(2)
    assert torch.equal(before, torch.get_rng_state())
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, same.model.state_dict()[name])
    assert one.losses == same.losses != other.losses


def test_one_step_is_the_step_of_the_optimiser_on_the_meta_gradient(source: ArrayEpisodes) -> None:
    model = small_network(8)
    plan = Plan(1, batch=2, optimiser=sgd(0.1), schedule=constant)
    trained = meta_train(model, source, metric(prototypes), seeded(3), plan)
    generator = seeded(3)
    torch.randint(1 << 62, (), generator=generator)
    found = metric(prototypes).meta_gradient(model, source.episodes(2, generator), generator)
    new = dict(trained.model.named_parameters())
    for name, value in model.named_parameters():
        torch.testing.assert_close(new[name], value - 0.1 * found.gradients[name])
    for name, buffer in trained.model.named_buffers():
        torch.testing.assert_close(buffer, found.buffers[name])


def test_the_average_of_the_weights_lags_behind_them(source: ArrayEpisodes) -> None:
    def weight(average: float) -> torch.Tensor:
        plan = Plan(20, optimiser=sgd(0.05), schedule=constant, average=average)
        trained = meta_train(small_network(8), source, metric(prototypes), seeded(0), plan)
        return dict(trained.model.named_parameters())["0.weight"].detach()

    start = dict(small_network(8).named_parameters())["0.weight"].detach()
    assert 0 < (weight(0.95) - start).norm() < (weight(0.0) - start).norm()


def test_the_journal_hears_of_progress(source: ArrayEpisodes) -> None:
    journal = MemoryJournal()
    plan = Plan(25, batch=2, report=10)
    meta_train(small_network(8), source, metric(prototypes), seeded(0), plan, journal=journal)
    assert [event.facts["step"] for event in journal.events] == [10, 20, 25]
    last = journal.events[-1]
    assert last.kind == "meta_train"
    assert {"loss", "accuracy", "per_second", "steps"} <= set(last.facts)
    accuracy = last.facts["accuracy"]
    assert isinstance(accuracy, float)
    assert 1 / 3 < accuracy <= 1


def test_ctrl_c_leaves_what_there_is(source: ArrayEpisodes) -> None:
    class Impatient:
        def record(self, event: Event) -> None:
            raise KeyboardInterrupt

    plan = Plan(1000, report=3)
    trained = meta_train(
        small_network(8), source, metric(prototypes), seeded(0), plan, journal=Impatient()
    )
    assert trained.ended == "interrupted"
    assert len(trained.losses) == 3


class Ticking:
    """A journal that makes time: one second for each report."""

    def __init__(self) -> None:
        self.time = 0.0

    def record(self, event: Event) -> None:
        self.time += 1

    def clock(self, budget: float) -> Clock:
        return Clock(budget, now=lambda: self.time)


def test_the_deadline_leaves_what_there_is(source: ArrayEpisodes) -> None:
    time = Ticking()
    trained = meta_train(
        small_network(8),
        source,
        metric(prototypes),
        seeded(0),
        Plan(1000, report=1),
        clock=time.clock(3),
        journal=time,
    )
    assert trained.ended == "deadline"
    assert len(trained.losses) == 3


def test_a_loss_that_is_no_number_is_named(source: ArrayEpisodes) -> None:
    plan = Plan(50, optimiser=sgd(1e300), schedule=constant)
    with pytest.raises(Diverged, match="at step 1"):
        meta_train(small_network(8), source, metric(prototypes), seeded(0), plan)


def test_a_classifier_is_trained_on_labelled_arrays(arrays: LabelledArrays) -> None:
    first, second = arrays.split(0.5, seeded(0))
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 12)).double()
    seen: list[int] = []

    def augment(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        seen.append(len(x))
        return (x + 0.1 * torch.randn(x.shape, generator=generator, dtype=x.dtype)).clamp(0, 1)

    plan = Plan(300, batch=16, optimiser=adam(0.01))
    trained = train_classifier(model, first, seeded(0), plan, augment)
    right = trained.model(second.inputs).argmax(1) == second.labels
    assert right.double().mean() > 0.6
    assert trained.losses[-1] < trained.losses[0]
    assert len(seen) == 300
    assert set(seen) == {16}


def test_schedules_fall_from_one() -> None:
    assert [cosine(0.0), cosine(0.5), cosine(1.0)] == pytest.approx([1.0, 0.5, 0.0])
    assert [halving(2)(done) for done in (0.0, 0.4, 0.7, 1.0)] == [1.0, 0.5, 0.25, 0.25]
    assert constant(0.9) == 1.0
