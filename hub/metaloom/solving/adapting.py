"""Adaptation: a program and a support become a solution, with or without new parameters.

A program that takes its examples first, `examples[X, Y] -> A -> Z`, is given the support.  A
learner, where there is one, changes the parameters of the trained blocks in the program so that it
does well on the support; each block that changes is a new part of the solution.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from metaloom.solving.conditions import conditions
from metaloom.solving.devices import choose_device
from metaloom.solving.origins import Origin
from metaloom.solving.records import ADAPT, Work, task_digest
from metaloom.vocabulary import renamed
from metaloom_metalearn import (
    Adapted,
    CosineLinear,
    Examples,
    Learner,
    Metric,
    Part,
    Soft,
    Solution,
    Task,
    TermModule,
    Values,
    compile_term,
    merged,
    state_digest,
    to_batch,
    to_support,
)
from metaloom_registry import (
    Apply,
    Arrow,
    Bound,
    Constructed,
    Deferred,
    Digest,
    InvalidTask,
    Lambda,
    Loaded,
    Primitive,
    Reference,
    Substitution,
    Tensor,
    Term,
    Type,
    TypeMismatch,
    Use,
    infer,
    print_term,
    taught,
    uncurried,
    unify,
)

if TYPE_CHECKING:
    from metaloom.blocks import Block, Composition
    from metaloom.hub import Hub


@dataclass(frozen=True)
class Fitted:
    """What an adaptation gives: the term with its new parts, and the types they have.

    `type` is what the program is once it has its support; each part has the block it was adapted
    from as its parent; `losses` are what the learner saw, one before each step.
    """

    term: Term
    term_type: Type
    type: Type
    parts: Mapping[Reference, Part]
    losses: tuple[float, ...] = ()


class OnValues(nn.Module):
    """A compiled program on the values of a task's examples, with the examples it takes first."""

    def __init__(self, program: TermModule, given: tuple[Type, ...], held: Examples | None) -> None:
        super().__init__()
        self.program = program
        self.given = given
        self.held = held

    def forward(self, *inputs: Values) -> torch.Tensor:
        device = next((p.device for p in self.parameters()), torch.device("cpu"))
        batch = [
            to_batch(v, t, device) for v, t in zip(inputs, self.given[-len(inputs) :], strict=True)
        ]
        if self.held is not None:
            examples = self.given[0]
            assert isinstance(examples, Constructed)
            x_type, y_type = examples.arguments
            batch.insert(0, to_support(self.held, x_type, y_type, device))
        output: torch.Tensor = self.program(*batch)
        return output


def adapted_solution(
    hub: Hub,
    program: Block | Composition | Term | str,
    support: Task | Examples,
    learner: Learner | None,
    device: str | torch.device | None,
    seed: int,
) -> Solution:
    """The program fitted to a support, as a solution that predicts on the CPU."""
    chosen = choose_device(device if learner is not None else "cpu")
    started = time.monotonic()
    generator = torch.Generator().manual_seed(seed)
    term = hub.term(program)
    if isinstance(learner, Metric):
        head = _primitive_head(learner, hub.primitives)
        term, learner = hub.compose(term, Use(head.reference)).term, None
    fitted = fit(term, hub.vocabulary.type_of, hub.load, support, learner, chosen, generator)
    examples = support.support if isinstance(support, Task) else support
    name = support.name if isinstance(support, Task) else "adapted"
    return Solution(
        name=name,
        type=fitted.type,
        term=fitted.term,
        term_type=fitted.term_type,
        library=hub.library,
        entries=hub.vocabulary.entries(term, hub.load),
        parts=fitted.parts,
        support=examples if fitted.type != fitted.term_type else None,
        search="adaptation",
        seed=seed,
        seconds=time.monotonic() - started,
    )


def recorded(
    hub: Hub,
    program: Block | Composition | Term | str,
    task: Task,
    solution: Solution,
    learner: Learner | None,
    device: str | torch.device | None,
) -> Origin:
    """Record the adaptation of a program to a task as a run, and say how it came about.

    MLflow is told by a process of its own.
    """
    leaks = tuple(hub.leaks(program, task))
    chosen = choose_device(device if learner is not None else "cpu")
    work = Work(
        task,
        solution.seed,
        None,
        round(time.time() - solution.seconds, 6),
        solution.seconds,
        ADAPT,
        leaks,
        conditions(chosen, program=print_term(hub.term(program)), learner=learner),
    )
    run = work.record(solution)
    hub.registry.record_run(run, work.message(run, solution, hub.vocabulary))
    hub.sender.flush_behind()
    return Origin(run.digest, task_digest(task), task.classes, leaks)


def fit(
    term: Term,
    type_of: Callable[[Reference], Type],
    load: Callable[[Reference], Loaded],
    support: Task | Examples,
    learner: Learner | None,
    device: torch.device,
    generator: torch.Generator,
) -> Fitted:
    """Give a program its support, and its parameters a learner.

    Raises TypeMismatch where the examples are not of the program's types, InvalidTask where there
    is nothing to adapt, and what the learner raises.
    """
    general = infer(term, type_of)
    examples = support.support if isinstance(support, Task) else support
    _require_examples(examples)
    type_ = _for_examples(general, support)
    given, _ = uncurried(type_)
    inner = taught(type_)
    holds, own = inner is not None, inner or type_
    if holds:
        _require_shapes(given[0], examples)
    if learner is None:
        if not holds:
            raise InvalidTask(
                f"a program of type {type_} takes no examples, so without a learner nothing is "
                "adapted; give one, for example learner=fine_tune()"
            )
        return Fitted(term, type_, own, {})
    _require_gradient(own)
    program = compile_term(term, type_of, load, Soft()).to(device)
    if not any(True for _ in program.parameters()):
        raise InvalidTask("the program has no parameters that a learner could change")
    model = OnValues(program, given, examples if holds else None)
    model.eval()
    adapted = merged(learner(model, examples, generator))
    parts: dict[Reference, Part] = {}
    if not isinstance(adapted.model, OnValues):
        return _with_head(term, type_, own, adapted)
    new: dict[Reference, Reference] = {}
    for place, (reference, module) in enumerate(adapted.model.program.parts().items()):
        if any(name.startswith(f"program.blocks.{place}.") for name in adapted.changed):
            assert isinstance(reference.selector, Digest)
            new[reference] = Reference(None, state_digest(module))
            part = Part(module.cpu(), type_of(reference), (reference.selector,))
            parts[new[reference]] = part
    return Fitted(renamed(term, lambda r: new.get(r, r)), type_, own, parts, adapted.losses)


def _with_head(term: Term, type_: Type, own: Type, adapted: Adapted) -> Fitted:
    """The program followed by the new last layer that the learner put on it: `fresh_head`."""
    head = getattr(adapted.model, "head", None)
    given, result = uncurried(own)
    if own is not type_ or len(given) != 1 or not isinstance(head, nn.Linear | CosineLinear):
        raise InvalidTask(
            f"the learner gives a {type(adapted.model).__name__} for a program of type {type_}; "
            "a hub keeps programs with changed blocks, and encoders with a new linear head"
        )
    made = Tensor("logits", (head.out_features,))
    reference = Reference(None, state_digest(head))
    whole = Lambda(Apply(Use(reference), Apply(term, Bound(0))))
    part = Part(head.cpu(), Arrow(result, made))
    type_ = Arrow(given[0], made)
    return Fitted(whole, type_, type_, {reference: part}, adapted.losses)


def _primitive_head(learner: Metric, primitives: Iterable[Primitive]) -> Primitive:
    """The primitive that computes the learner's head, with the settings it begins with."""
    known = inspect.signature(learner.head).parameters
    for primitive in primitives:
        form = primitive.batched
        computed = form.function if isinstance(form, Deferred) else form
        if computed is learner.head and all(
            known[name].default == value for name, value in learner.learned.items()
        ):
            return primitive
    raise InvalidTask(
        f"no primitive computes the head {getattr(learner.head, '__name__', learner.head)} with "
        f"{dict(learner.learned) or 'no settings'}; compose the encoder with a head yourself, as "
        "in encoder >> heads/prototypes, and adapt that without a learner"
    )


def _require_examples(examples: Examples) -> None:
    if len(examples) == 0:
        raise InvalidTask("the support is empty; give at least one example to learn from")
    for i, column in enumerate(examples.inputs):
        if isinstance(column, torch.Tensor) and not torch.isfinite(column).all():
            raise InvalidTask(f"argument {i + 1} of the support holds NaN or infinity; mend it")


def _require_shapes(held: Type, examples: Examples) -> None:
    """Raises InvalidTask where a tensor of the examples is not of the type that is held."""
    assert isinstance(held, Constructed)
    for column, type_ in zip((*examples.inputs, examples.outputs), held.arguments, strict=True):
        if isinstance(type_, Tensor):
            to_batch(column, type_)


def _classes(labels: Values) -> int:
    """How many classes the labels count. Raises InvalidTask where they are no labels."""
    found = torch.as_tensor(labels)
    if found.is_floating_point() or found.dim() != 1 or int(found.min()) < 0:
        raise InvalidTask(
            f"the labels of the support are {found.dtype}{list(found.shape)}, the least of them "
            f"{found.min().item()}; wanted is one integer for each example, counted from 0"
        )
    if len(torch.unique(found)) < 2:
        raise InvalidTask("the support shows one class only; a classifier needs at least two")
    return 1 + int(found.max())


def _for_examples(type_: Type, support: Task | Examples) -> Type:
    """The type with its variables filled by what the examples say."""
    substitution = Substitution()
    arguments, result = uncurried(type_)

    def agree(given: Type, wanted: Type) -> None:
        try:
            unify(given, wanted, substitution)
        except TypeMismatch as error:
            assert isinstance(support, Task)
            raise TypeMismatch(
                f"a program of type {type_} does not fit the task {support.name}, which is "
                f"{support.type}: {error}"
            ) from error

    if taught(type_) is not None:
        held = arguments[0]
        assert isinstance(held, Constructed)
        inputs, outputs = held.arguments
        if isinstance(support, Task):
            _one_argument(len(support.given), type_)
            agree(support.given[0], inputs)
            agree(support.want, outputs)
        else:
            _one_argument(len(support.inputs), type_)
            if isinstance(outputs, Tensor) and outputs.kind == "label":
                unify(Tensor("label", (_classes(support.outputs),)), outputs, substitution)
        return substitution.resolve(type_)
    if isinstance(support, Task):
        if len(support.given) != len(arguments):
            raise TypeMismatch(
                f"a program of type {type_} takes {len(arguments)} arguments, "
                f"the task {support.type} gives {len(support.given)}"
            )
        for given, wanted in zip(support.given, arguments, strict=True):
            agree(given, wanted)
        if isinstance(result, Tensor) and result.kind == "logits":
            wanted = support.want
            if isinstance(wanted, Tensor) and wanted.kind == "label":
                agree(result, Tensor("logits", wanted.dimensions))
        elif not (isinstance(result, Tensor) and result.kind == "vec"):  # an encoder lacks a head
            agree(result, support.want)
    return substitution.resolve(type_)


def _one_argument(count: int, type_: Type) -> None:
    if count != 1:
        raise TypeMismatch(
            f"a program of type {type_} learns from examples of one argument, these have {count}"
        )


def _require_gradient(type_: Type) -> None:
    result = uncurried(type_)[1]
    if not isinstance(result, Tensor) and str(result) != "float":
        raise TypeMismatch(
            f"a learner needs an output with a gradient, such as logits[k], label[k], vec[n] or "
            f"float; the program gives {result}"
        )
