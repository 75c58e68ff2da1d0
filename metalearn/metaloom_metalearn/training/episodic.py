"""Meta-training: a model made better at being adapted, episode after episode."""

from __future__ import annotations

import torch
from torch import nn

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.episodes import EpisodeSource, draw_episodes
from metaloom_metalearn.evaluation.answers import Answers, by_learner
from metaloom_metalearn.journal import Journal
from metaloom_metalearn.learners.learner import MetaLearner
from metaloom_metalearn.tasks import TaskSource
from metaloom_metalearn.training.checkpoint import Checkpoint
from metaloom_metalearn.training.loop import Found, Loop, Setting, mixed_precision, share_right
from metaloom_metalearn.training.plan import Plan, Trained
from metaloom_metalearn.training.team import Team, share_of
from metaloom_metalearn.training.validation import Validation
from metaloom_registry import InvalidTask


def meta_train(
    model: nn.Module,
    source: TaskSource | EpisodeSource,
    learner: MetaLearner,
    generator: torch.Generator,
    plan: Plan,
    clock: Clock | None = None,
    journal: Journal | None = None,
    *,
    validation: Validation | None = None,
    checkpoint: Checkpoint | None = None,
    team: Team | None = None,
) -> Trained:
    """Train a copy of `model` so that `learner` adapts it well to the tasks of `source`.

    The copy trains in train mode, where batch norm takes the statistics of the batch.  Records an
    event `meta_train` every `plan.report` steps, with loss, accuracy, the rate of episodes, the
    seconds left and the way that gradients are computed (`MetaGradient.way`), and
    `meta_train_validation` after each validation.  On Ctrl-C, or when `clock` has
    run out, the step is finished, the checkpoint written, and the result is what there is.  A
    `team` of processes shares out the tasks of each step: all give equal arguments, and the result
    is that of one process.  Raises Diverged where the loss is not finite, and InvalidTask.
    """
    setting = Setting(clock, journal, validation, checkpoint, team)

    def answering(model: nn.Module, generator: torch.Generator) -> Answers:
        if not callable(learner):
            raise InvalidTask(
                f"{type(learner).__name__} adapts no model by itself; say with "
                "Validation(answering=...) how the model answers"
            )
        return by_learner(model, learner, generator)

    loop = Loop("meta_train", model, plan, generator, setting, answering, source)
    share = share_of(loop.team, plan.batch)

    def step(model: nn.Module) -> Found:
        episodes = draw_episodes(source, plan.batch, generator).take(share).to(loop.device)
        with mixed_precision(loop.device, plan.autocast):
            found = learner.meta_gradient(model, episodes, generator)
        right = share_right(found.outputs, episodes.query_y)
        return Found(found.loss, found.gradients, found.buffers, right, found.way)

    return loop.run(step)
