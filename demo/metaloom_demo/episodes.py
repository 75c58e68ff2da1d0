"""Part b: few-shot tasks on real digits, solved with the library and by its controls."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

from metaloom import Hub
from metaloom.pictures.image import image_uri
from metaloom_demo.figures import EpisodePicture, Estimate, FewShot
from metaloom_demo.library import features_of
from metaloom_heads import prototypes
from metaloom_metalearn import (
    ArrayEpisodes,
    Clock,
    Episodes,
    Evaluation,
    Examples,
    Interval,
    LabelledArrays,
    Learner,
    Solution,
    Task,
    solve,
    stack_tasks,
    with_head,
    with_learner,
)
from metaloom_metalearn import (
    FewShot as FewShotSearch,
)
from metaloom_vision import character_encoder, classifier, conv4

_CONTROLS = {
    "pixels": "raw pixels",
    "random": "a random encoder",
    "scratch": "a network from scratch",
}


def measure_episodes(
    hub: Hub,
    digits: LabelledArrays,
    shots: int,
    episodes: int,
    seed: int,
    from_scratch: Learner,
    progress: Callable[[int], None],
    device: str | None = None,
) -> tuple[Solution, FewShot]:
    """Solve `episodes` 5-way tasks with the library, and answer the same tasks by its controls.

    The first is solved through the hub, with all that is recorded of a solve; it is the solution
    given back.  `progress` is told the number of episodes done.
    """
    generator = torch.Generator().manual_seed(1000 * seed + shots)
    source = ArrayEpisodes(digits, ways=5, shots=shots, queries=15)
    tasks = [source.sample(generator) for _ in range(episodes)]
    started = time.monotonic()
    first = hub.solve(tasks[0], budget=20.0, seed=seed, searches=(FewShotSearch(),), device=device)
    solutions = [first]
    for i, task in enumerate(tasks[1:], 1):
        solutions.append(_solved(hub, task, seed + i))
        if i % 20 == 0:
            progress(i)
    seconds = time.monotonic() - started
    library = [_accuracy(solution) for solution in solutions]
    scores = {"library": torch.tensor(library, dtype=torch.float64)}
    scores |= _controls(stack_tasks(tasks), seed, from_scratch)
    evaluation = Evaluation(scores)
    best = evaluation.best(tuple(_CONTROLS))
    return first, FewShot(
        setting=f"5w{shots}s",
        episodes=episodes,
        library=_estimate(evaluation.accuracy("library")),
        pixels=_estimate(evaluation.accuracy("pixels")),
        random=_estimate(evaluation.accuracy("random")),
        scratch=_estimate(evaluation.accuracy("scratch")),
        gain=_estimate(evaluation.difference("library", best)),
        best_control=_CONTROLS[best],
        excluded=tuple(sorted({name for s in solutions for name in s.excluded})),
        chosen=dict(Counter(_chosen(hub, s) for s in solutions).most_common()),
        seconds=seconds,
        source=first.source,
        term=first.term,
        picture=_picture(first, tasks[0]),
    )


def _solved(hub: Hub, task: Task, seed: int) -> Solution:
    return solve(
        task,
        hub.library,
        clock=Clock(20.0),
        searches=(FewShotSearch(),),
        generator=torch.Generator().manual_seed(seed),
    )


def _accuracy(solution: Solution) -> float:
    assert solution.query_score is not None
    return 100 * solution.query_score.value


def _controls(episodes: Episodes, seed: int, from_scratch: Learner) -> dict[str, Tensor]:
    """The accuracies of the controls, by episode: they see what the library sees of a task."""
    generator = torch.Generator().manual_seed(seed)
    random = character_encoder(generator).eval()
    small = conv4(episodes.support_x.shape[-1], channels=24, grid=4, generator=generator)
    fresh = classifier(small, features_of(small), episodes.classes, generator)
    methods = {
        "pixels": with_head(nn.Flatten(), prototypes),
        "random": with_head(random, prototypes),
        "scratch": with_learner(fresh, from_scratch, generator),
    }
    return {
        name: 100 * (method(episodes) == episodes.query_y).double().mean(1)
        for name, method in methods.items()
    }


def _chosen(hub: Hub, solution: Solution) -> str:
    """The blocks and the head a solution is made of, without what all of them have."""
    names = [hub[reference].name for reference in solution.blocks]
    return " ▸ ".join(n for n in reversed(names) if n not in ("embed", "argmax"))


def _estimate(interval: Interval) -> Estimate:
    return Estimate(interval.mean, interval.low, interval.high)


def _picture(solution: Solution, task: Task, queries: int = 20) -> EpisodePicture:
    names = task.name.split(": ")[1].split(", ")
    images, labels = _tensors(task.support)
    support = tuple(
        (name, tuple(map(image_uri, images[labels == k]))) for k, name in enumerate(names)
    )
    assert task.query is not None
    shown = torch.linspace(0, len(task.query) - 1, queries).long().tolist()
    asked, truth = _tensors(task.query.take(shown))
    answers = torch.as_tensor(solution.predict_many(asked))
    return EpisodePicture(
        support,
        tuple(
            (image_uri(image), names[int(right)], names[int(answer)])
            for image, right, answer in zip(asked, truth, answers, strict=True)
        ),
    )


def _tensors(examples: Examples) -> tuple[Tensor, Tensor]:
    images, labels = examples.inputs[0], examples.outputs
    assert isinstance(images, Tensor)
    return images, torch.as_tensor(labels)
