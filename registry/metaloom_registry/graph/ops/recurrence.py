"""Loops over a sequence: a body of nodes repeated step by step, as recurrent networks do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.errors import Refused
from metaloom_registry.graph.document import Body
from metaloom_registry.graph.inference import Table, bytes_of, last_uses, walk
from metaloom_registry.graph.op import Op, Work
from metaloom_registry.graph.rules import Flag, Int, Maybe, Nested, Size
from metaloom_registry.graph.values import MAX_INTEGER, Spec, Value, wanted

MAX_INPUTS = 256
MAX_CALLS = 1 << 22
"""Calls of operations that one loop may make at the sizes it is checked at."""

Step = Callable[[list[Any]], list[Any]]
"""A body made ready to run: what comes in -> what goes out."""


def _examine(table: Callable[[], Table]) -> Callable[..., tuple[tuple[Value, ...], Work]]:
    def examine(
        inputs: Sequence[Any], arguments: Mapping[str, Any]
    ) -> tuple[tuple[Value, ...], Work]:
        """Infer the body once; it costs that times the steps."""
        body: Body = arguments["body"]
        carries, ends = arguments["carries"], arguments["carries"] + arguments["sequences"]
        wanted(len(inputs) >= ends, f"{len(inputs)} inputs where {ends} or more are wanted")
        wanted(body.inputs == len(inputs), f"{len(inputs)} inputs; its body takes {body.inputs}")
        steps = _steps(inputs[carries:ends], arguments["length"])
        wanted(len(body.outputs) >= carries, f"{carries} carries, of which some get no new value")
        values: list[Value] = [*inputs]
        values[carries:ends] = [x.like(x.shape[1:]) for x in inputs[carries:ends]]
        spent = last_uses(body.nodes, body.inputs, {*range(body.inputs), *body.outputs}, table())
        once = walk(body.nodes, values, 0, spent, table())
        given = [_tensor(values[index]) for index in body.outputs]
        for carry, after in zip(inputs[:carries], given, strict=False):
            wanted(carry == after, f"a carry is {carry} before a step and {after} after it")
        stacked = [x.like((steps, *x.shape)) for x in given[carries:]]
        wanted(steps * (once.calls + 1) <= MAX_CALLS, f"{steps} steps of {once.calls} calls")
        return (*given[:carries], *stacked), Work(
            steps * once.flops,
            once.peak_bytes + sum(map(bytes_of, values[: body.inputs])),
            steps * once.activation_bytes,
            steps * (once.calls + 1),
        )

    return examine


def _tensor(value: Value) -> Spec:
    if isinstance(value, int):
        raise Refused("the body gives a size where a tensor is wanted")
    return value


def _steps(sequences: Sequence[Spec], length: int | None) -> int:
    wanted((length is None) == bool(sequences), "a length stands where there are no sequences")
    wanted(all(x.rank >= 1 for x in sequences), "a sequence without dimensions")
    counts = {x.shape[0] for x in sequences} if length is None else {length}
    wanted(len(counts) == 1, f"sequences of several lengths {sorted(counts)}")
    (steps,) = counts
    wanted(0 <= steps <= MAX_INTEGER, f"{steps} steps")
    return steps


def _run(
    *inputs: Tensor, carries: int, sequences: int, length: int | None, reverse: bool, body: Step
) -> Any:
    state = list(inputs[:carries])
    series = [x.unbind(0) for x in inputs[carries : carries + sequences]]
    constants = inputs[carries + sequences :]
    steps = len(series[0]) if length is None else length
    if not steps:
        return _after_nothing(inputs, carries, sequences, body)
    rows: list[list[Any]] = []
    for t in range(steps - 1, -1, -1) if reverse else range(steps):
        given = body([*state, *[x[t] for x in series], *constants])
        state = given[:carries]
        rows.append(given[carries:])
    if reverse:
        rows.reverse()
    found = (*state, *[torch.stack(column) for column in zip(*rows, strict=True)])
    return found if len(found) > 1 else found[0]


def _after_nothing(inputs: Sequence[Tensor], carries: int, sequences: int, body: Step) -> Any:
    """What no step at all gives; a step on zeros tells shapes and dtypes."""
    given = list(inputs)
    given[carries : carries + sequences] = [
        x.new_zeros(x.shape[1:]) for x in inputs[carries : carries + sequences]
    ]
    empty = [y.new_zeros((0, *y.shape)) for y in body(given)[carries:]]
    found = (*inputs[:carries], *empty)
    return found if len(found) > 1 else found[0]


def scan(table: Callable[[], Table]) -> Op:
    """The loop; `table` gives the operations its body may use."""
    examine = _examine(table)
    return Op(
        "scan",
        1,
        "A loop. Its inputs are the carries, then the sequences, then constants. Each step runs "
        "the body on the carries, on the next slice of each sequence along dimension 0 (from the "
        "last one with reverse) and on the constants; the body gives the new carries, whose dtypes "
        "and shapes stay the same, and further tensors. The outputs are the last carries, and each "
        "further tensor of all steps stacked along a new dimension 0, in the order of the "
        "sequences. Without sequences there are length steps; with them length is null. A body is "
        '{"inputs": count, "nodes": nodes, "outputs": values}; its values are counted from its own '
        "inputs, and it sees no others. Loops stand in loops at most 3 deep.",
        ("x*",),
        lambda *inputs, **arguments: examine(inputs, arguments)[0],
        _run,
        {
            "carries": Int(0, MAX_INPUTS),
            "sequences": Int(0, MAX_INPUTS),
            "length": Maybe(Size(0)),
            "reverse": Flag(),
            "body": Nested(),
        },
        ("y*",),
        lambda inputs, outputs, arguments: examine(inputs, arguments)[1].flops,
        since=2,
        examine=examine,
        count_outputs=lambda arguments: len(arguments["body"].outputs),
    )
