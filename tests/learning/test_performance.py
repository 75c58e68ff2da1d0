"""What `evaluate` says of a method: calibration, classes, the worst tasks, changed queries."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from metaloom_heads import prototypes
from metaloom_metalearn import (
    Adapted,
    ArrayEpisodes,
    Augmented,
    Curves,
    Episodes,
    Examples,
    LabelledArrays,
    beyond_the_support,
    by_head,
    by_learner,
    fgsm,
    fresh_head,
    maml,
    noisy,
    pgd,
    polynomials,
    rotated,
    shifted,
)
from metaloom_metalearn.evaluation.performance import calibration_error, evaluate
from metaloom_registry import InvalidTask


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def source() -> ArrayEpisodes:
    """Eight classes of noisy 6x6 images; the last two are the same, so nobody tells them apart."""
    centres = torch.rand(8, 1, 6, 6, generator=seeded(0))
    centres[7] = centres[6]
    labels = torch.arange(8).repeat_interleave(10)
    images = (centres[labels] + 0.2 * torch.randn(80, 1, 6, 6, generator=seeded(1))).clamp(0, 1)
    return ArrayEpisodes(LabelledArrays(images, labels, tuple("abcdefgh"), "test/noisy"), 4, 2, 5)


def constant(logits: list[float]):
    """Answers that are the same for every query."""

    def answers(episodes: Episodes) -> torch.Tensor:
        return torch.tensor(logits).expand(*episodes.query_y.shape, -1)

    return answers


def test_a_constant_answer_has_the_figures_one_can_count(source: ArrayEpisodes) -> None:
    found = evaluate(constant([5.0, 0, 0, 0]), source, 12, seeded(0), chunk=5)
    assert found.measure == "accuracy"
    assert found.score.mean == found.worst == 25.0
    assert found.score.n == 12
    sure = torch.tensor([5.0, 0, 0, 0]).softmax(0)[0]
    assert found.calibration == pytest.approx(100 * (float(sure) - 0.25), abs=1e-3)
    assert set(found.by_class) <= set("abcdefgh")


def test_classes_that_look_alike_are_the_worst(source: ArrayEpisodes) -> None:
    found = evaluate(by_head(nn.Flatten(), prototypes), source, 300, seeded(1))
    hardest = sorted(found.by_class, key=found.by_class.__getitem__)[:2]
    assert set(hardest) == {"g", "h"}
    assert found.worst < found.score.mean - 10
    tenth = found.by_task.sort().values[:30].mean()
    assert found.worst == pytest.approx(float(tenth))


def test_the_worst_of_regression_are_the_largest_errors() -> None:
    source = Curves(polynomials(1), shots=2, queries=5)
    found = evaluate(lambda episodes: torch.zeros_like(episodes.query_x), source, 50, seeded(0))
    assert found.measure == "mse"
    assert found.calibration is None
    assert found.worst > 2 * found.score.mean
    assert found.by_class == {}


def test_answers_by_a_learner_are_those_of_each_task_alone(source: ArrayEpisodes) -> None:
    learner = fresh_head(4, steps=20)
    episodes = source.episodes(3, seeded(4))
    answers = by_learner(nn.Flatten(), learner, seeded(0))(episodes)
    assert answers.shape == (3, 20, 4)
    one = by_learner(nn.Flatten(), learner, seeded(0))(episodes.take(slice(1, 2)))
    torch.testing.assert_close(one[0], answers[1])


def test_episodes_are_answered_on_the_device_of_the_model() -> None:
    """The device without numbers refuses to mix with others."""
    x, labels = torch.randn(2, 4, 3, generator=seeded(0)), torch.arange(4).repeat(2, 1)
    episodes = Episodes(x, labels, x, labels, 4)
    model = nn.Linear(3, 4, device="meta")

    def rests(model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        return Adapted(model, ())

    for answers in (by_head(model, prototypes), by_learner(model, rests, seeded(0))):
        found = answers(episodes)
        assert found.is_meta
        assert found.shape == (2, 4, 4)


def test_the_calibration_error_is_that_of_its_definition() -> None:
    confidence = torch.tensor([0.95, 0.97, 0.55, 0.57, 1.0, 0.0])
    right = torch.tensor([True, False, True, True, True, False])
    # bins (14/15, 1]: 3 answers, 2 right, confidence 2.92; (8/15, 9/15]: 2 right, 1.12; first: 0
    assert calibration_error(confidence, right) == pytest.approx(100 * (0.92 + 0.88) / 6, abs=1e-3)


def test_the_answers_never_see_the_labels(source: ArrayEpisodes) -> None:
    def peek(episodes: Episodes) -> torch.Tensor:
        assert bool((episodes.query_y == -1).all())
        return torch.zeros(*episodes.query_y.shape, 4) + 0 * episodes.query_x.flatten(2).sum(
            -1, True
        )

    evaluate(peek, source, 4, seeded(0), beyond_the_support())


def test_an_adversary_does_more_harm_than_noise_of_its_size(source: ArrayEpisodes) -> None:
    answers = by_head(nn.Flatten(), prototypes)
    size = 0.1

    def signs(episodes, answers, generator):
        noise = torch.randn(episodes.query_x.shape, generator=generator).sign()
        return replace(episodes, query_x=(episodes.query_x + size * noise).clamp(0, 1))

    conditions = {"signs": signs, "fgsm": fgsm(size), "pgd": pgd(size, steps=4)}
    found = evaluate(answers, source, 60, seeded(2), conditions)
    assert found.under["fgsm"].mean < found.under["signs"].mean - 5
    assert found.under["pgd"].mean <= found.under["fgsm"].mean + 1


def test_fgsm_is_one_step_up_the_loss_of_a_linear_model() -> None:
    weights = torch.tensor([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]])
    x = torch.tensor([[[0.2, 0.4, 0.6]]])
    episodes = Episodes(x, torch.tensor([[0]]), x, torch.tensor([[0]]), 2)
    changed = fgsm(0.05)(episodes, lambda e: e.query_x @ weights.T, seeded(0))
    # the loss of class 0 rises along w1 - w0 = (-1, 3, 0.5)
    wanted = x + 0.05 * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(changed.query_x, wanted)
    assert torch.equal(changed.support_x, x)


def test_pgd_stays_within_its_size_and_within_images(source: ArrayEpisodes) -> None:
    episodes = source.episodes(2, seeded(3))
    changed = pgd(0.05, steps=6)(episodes, by_head(nn.Flatten(), prototypes), seeded(0))
    off = (changed.query_x - episodes.query_x).abs()
    assert float(off.max()) <= 0.05 + 1e-6
    assert 0 <= float(changed.query_x.min())
    assert float(changed.query_x.max()) <= 1


def test_gradients_reach_the_queries_through_a_learner(source: ArrayEpisodes) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 4))
    answers = by_learner(net, maml(1, 0.1), seeded(0))
    episodes = source.episodes(1, seeded(3))
    changed = fgsm(0.1)(episodes, answers, seeded(0))
    loss = [
        nn.functional.cross_entropy(answers(one).flatten(0, 1), episodes.query_y.flatten())
        for one in (episodes, changed)
    ]
    assert loss[1] > loss[0]


def test_images_are_moved_turned_and_blurred_as_said() -> None:
    spot = torch.zeros(1, 1, 1, 21, 21)
    spot[..., 10, 15] = 1.0
    label = torch.tensor([[0]])
    episodes = Episodes(spot, label, spot, label, 2)
    answers = constant([0.0, 0.0])
    turned = rotated(90.0)(episodes, answers, seeded(0)).query_x[0, 0, 0]
    assert sorted(turned.argmax().item() == at for at in (5 * 21 + 10, 15 * 21 + 10)) == [0, 1]
    moved = shifted(5 / 21)(episodes, answers, seeded(0)).query_x[0, 0, 0]
    row, column = divmod(int(moved.argmax()), 21)
    assert abs(((row - 10) ** 2 + (column - 15) ** 2) ** 0.5 - 5) < 1
    dim = replace(episodes, query_x=torch.full((1, 1, 1, 21, 21), 0.5))
    grainy = noisy(0.1)(dim, answers, seeded(0)).query_x
    assert float(grainy.std()) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("condition", [shifted(), rotated()])
def test_only_images_are_shifted_and_rotated(condition) -> None:
    episodes = Curves(polynomials(1)).episodes(2, seeded(0))
    with pytest.raises(InvalidTask, match="are no images"):
        condition(episodes, constant([0.0]), seeded(0))


def test_answers_of_a_wrong_shape_are_refused(source: ArrayEpisodes) -> None:
    with pytest.raises(InvalidTask, match=r"answers are \[2, 20, 3\]; wanted is \[2, 20, 4\]"):
        evaluate(constant([0.0, 0, 0]), source, 2, seeded(0))
    with pytest.raises(InvalidTask, match="1 episodes have no confidence interval"):
        evaluate(constant([0.0, 0, 0, 0]), source, 1, seeded(0))
    with pytest.raises(InvalidTask, match="0 steps of size"):
        pgd(steps=0)


def test_augmented_episodes_change_every_example_and_no_label(source: ArrayEpisodes) -> None:
    changed = Augmented(source, lambda x, generator: 1 - x).episodes(2, seeded(0))
    plain = source.episodes(2, seeded(0))
    torch.testing.assert_close(changed.support_x, 1 - plain.support_x)
    torch.testing.assert_close(changed.query_x, 1 - plain.query_x)
    assert torch.equal(changed.query_y, plain.query_y)
    assert Augmented(source, lambda x, g: x).classes == source.classes
