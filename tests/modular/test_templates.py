"""Templates: every structure scored at once is every structure scored by itself."""

from __future__ import annotations

import pytest
import torch

from metaloom_metalearn.modular.networks import Networks
from metaloom_metalearn.modular.structures import (
    Cooling,
    annealed,
    best_structures,
    joined,
    judge_of,
)
from metaloom_metalearn.modular.templates import Compose, Gate, Sum, Template
from metaloom_registry import ParseError, Reference, print_term

TEMPLATES = [Sum(1), Sum(2), Sum(3), Compose(1), Compose(2), Compose(3), Gate()]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def networks(count: int = 4, size: int = 1) -> Networks:
    return Networks(count, (size, 8, size), seeded())


def points(tasks: int, size: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.randn(2, tasks, 7, size, generator=seeded(1))
    return draw[0], draw[1]


@pytest.mark.parametrize("template", TEMPLATES, ids=str)
@pytest.mark.parametrize("size", [1, 3])
def test_the_errors_of_all_structures_are_those_of_a_loop(template: Template, size: int) -> None:
    library = networks(size=size)
    x, y = points(5, size)
    with torch.no_grad():
        batched = template.errors(library, x, y)
    structures = template.structures(library.count)
    assert batched.shape == (5, len(structures)) == (5, template.number(library.count))
    for place, structure in enumerate(structures):
        modules = [library.module(int(k)) for k in structure]
        with torch.no_grad():
            alone = (template.join(x, modules) - y).square().mean((1, 2))
        torch.testing.assert_close(batched[:, place], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("template", TEMPLATES, ids=str)
def test_joining_by_task_is_joining_the_modules_of_each_task(template: Template) -> None:
    library, (x, _) = networks(), points(6)
    structures = torch.randint(4, (6, template.slots), generator=seeded(2))
    together = joined(library, template, structures, x)
    for task, structure in enumerate(structures):
        alone = template.join(x[task : task + 1], [library.module(int(k)) for k in structure])
        torch.testing.assert_close(together[task], alone[0])


@pytest.mark.parametrize("template", [Sum(2), Compose(2), Gate()], ids=str)
def test_the_best_structure_is_the_planted_one(template: Template) -> None:
    library, (x, _) = networks(5), points(8)
    with torch.no_grad():
        planted = template.structures(5)[torch.randperm(15, generator=seeded(3))[:8]]
        y = joined(library, template, planted, x)
    assert torch.equal(best_structures(template, library, x, y), planted)


@pytest.mark.parametrize("template", [Sum(2), Compose(2)], ids=str)
def test_annealing_finds_what_scoring_all_finds(template: Template) -> None:
    library, (x, _) = networks(5), points(8)
    with torch.no_grad():
        y = joined(library, template, template.structures(5)[3:11], x)
    judge, spread = judge_of(library, template, x, y), torch.ones(8)
    _, errors = annealed(judge, template, 5, spread, 600, seeded())
    assert float(errors.max()) < 1e-9


def test_structures_are_programs() -> None:
    names = [Reference.parse(f"me/f{k}") for k in range(3)]
    assert print_term(Sum(3).term(names)) == (
        "(lam (vectors/plus@1 (vectors/plus@1 (me/f0 $0) (me/f1 $0)) (me/f2 $0)))"
    )
    assert print_term(Compose().term(names[:2])) == "(lam (me/f1 (me/f0 $0)))"
    assert print_term(Gate().term(names)) == (
        "(lam (vectors/gate@1 (me/f0 $0) (me/f1 $0) (me/f2 $0)))"
    )


def test_what_makes_no_template_is_refused() -> None:
    with pytest.raises(ParseError, match="joins nothing"):
        Sum(0)
    with pytest.raises(ParseError, match="joins nothing"):
        Compose(0)
    with pytest.raises(ParseError, match="3 slots, not 2"):
        Gate(2)
    with pytest.raises(ParseError, match="no higher than the first"):
        Cooling(0.1, 0.2)
    with pytest.raises(ParseError, match="at least one network"):
        Networks(0, (1, 1), seeded())
