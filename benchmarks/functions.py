"""Functions that are means of two unknown ones: modular search against learning without modules.

    python -m benchmarks.functions [--data DIR] [--seed N] [--quick] --json

From functions.npz: 90 % of the pairs of base functions train, noisy and at points of their own; the
rest test, with 16, 8 or 4 clean points given.  The error is the squared error on the clean function
as a share of its variance, the mean over tasks and three seeds.  `base` makes the tasks and judges
them; no arm reads it.  `error_noisy` is the same with noise on the given points, as in training.
The search arm learns a library of curves of which the training tasks are sums of two, and then
tries every pair.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.curves.controls import (
    Effort,
    Predict,
    bounced,
    chosen_fit,
    meta_learned,
    principal_fits,
    scratch,
    sparse_fits,
)
from benchmarks.curves.tasks import GIVEN, NOISE, POINTS, FunctionTasks, draw_tasks
from metaloom_metalearn import Clock
from metaloom_metalearn.modular.curve_library import CurveLibrary, learn_curves
from metaloom_metalearn.modular.discover import Discovery

SEEDS = 3
SEARCH_SECONDS = 75.0
FULL = Effort()
QUICK = Effort(seconds=1.5, maml_steps=300, bounce_steps=300, scratch_steps=300)
QUICK_SEARCH = Discovery(sizes=(20,), restarts=3, reheats=3)


def measure(options: Options) -> Metrics:
    """The errors of all arms; of what was measured, when it is interrupted."""
    file = options.file("functions.npz")
    errors: dict[str, list[Tensor]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    sizes: list[int] = []
    try:
        for repeat in range(1 if options.quick else SEEDS):
            one = _Seed(draw_tasks(file, _generator(options.seed, repeat)), options, repeat)
            one.measure(errors, seconds)
            sizes.append(len(one.library))
    except KeyboardInterrupt:
        progress("interrupted: what follows is what was measured before")
    if not sizes:
        return {"error": {}, "seconds_search": None, "seeds": 0}
    return _metrics(errors, seconds) | {"curves_found": sizes, "seeds": len(sizes)}


class _Seed:
    """One draw of the tasks, and every arm on it."""

    def __init__(self, tasks: FunctionTasks, options: Options, repeat: int) -> None:
        self.tasks, self.repeat = tasks, repeat
        self.effort = QUICK if options.quick else FULL
        self.plan = QUICK_SEARCH if options.quick else Discovery()
        self.generator = _generator(options.seed, 1000 + repeat)

    def measure(self, errors: dict[str, list[Tensor]], seconds: dict[str, list[float]]) -> None:
        found: dict[str, Tensor] = {}
        noise = {n: self.tasks.noise(n, self.generator) for n in GIVEN}
        for name, make in self.arms().items():
            start = time.perf_counter()
            predict = make()
            for n in GIVEN:
                found[f"error/{n}/{name}"] = self.tasks.errors(predict(*self.tasks.shown(n)))
            seconds[name].append(time.perf_counter() - start)
            for n in GIVEN:
                shown = self.tasks.shown(n, noise[n])
                found[f"error_noisy/{n}/{name}"] = self.tasks.errors(predict(*shown))
            said = ", ".join(f"{n}: {found[f'error/{n}/{name}'].mean():.2%}" for n in GIVEN)
            progress(f"seed {self.repeat}: {name}: {said}; {seconds[name][-1]:.1f} s")
        for key, value in found.items():
            errors[key].append(value)

    def arms(self) -> dict[str, Callable[[], Predict]]:
        """The search and its controls; each gives a predictor when it is called."""
        grid, x, y = self.tasks.grid, self.tasks.x, self.tasks.y
        effort, generator = self.effort, self.generator
        return {
            "search": self.searched,
            "scratch": lambda: scratch(grid, effort, generator),
            "maml": lambda: meta_learned(grid, x, y, GIVEN, effort, generator),
            "bouncegrad": lambda: bounced(grid, x, y, effort, generator),
            "svd": lambda: chosen_fit(grid, x, y, principal_fits, generator, effort),
            "linear": lambda: chosen_fit(grid, x, y, sparse_fits, generator, effort),
        }

    def searched(self) -> Predict:
        """Learn a library of curves; then the best pair for each task."""
        self.library: CurveLibrary = learn_curves(
            self.tasks.x, self.tasks.y, self.generator, self.plan, clock=Clock(SEARCH_SECONDS)
        )
        library = self.library

        def predict(x: Tensor, y: Tensor) -> Tensor:
            best = [library.choices(a, b)[0].structure for a, b in zip(x, y, strict=True)]
            return torch.stack([library.predict(one, self.tasks.grid) for one in best])

        return predict


def _metrics(errors: dict[str, list[Tensor]], seconds: dict[str, list[float]]) -> dict[str, Any]:
    """The means over tasks and seeds, and half the width of a 95 % interval over tasks."""
    metrics: dict[str, Any] = {}
    for key, parts in errors.items():
        kind, n, name = key.split("/")
        whole = torch.cat(parts)
        metrics.setdefault(kind, {}).setdefault(n, {})[name] = float(whole.mean())
        if kind == "error":
            half = 1.96 * float(whole.std()) / len(whole) ** 0.5
            metrics.setdefault("error_ci95", {}).setdefault(n, {})[name] = half
    metrics["seconds_search"] = max(seconds["search"])
    metrics["seconds"] = {name: sum(each) / len(each) for name, each in seconds.items()}
    return metrics


def _generator(seed: int, stream: int) -> torch.Generator:
    return torch.Generator().manual_seed(10_007 * seed + stream)


SETTINGS = {"train_points": POINTS, "noise": NOISE, "seeds": SEEDS}

if __name__ == "__main__":
    torch.set_num_threads(1)
    run("functions", measure, settings=SETTINGS)
