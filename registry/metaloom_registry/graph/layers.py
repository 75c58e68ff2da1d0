"""Recurrent layers that torch computes as a whole, found again in the loops that stand for them.

A linear map of a sequence and a loop over it with the body of an LSTM are one layer.  Where no
gradient is asked for and no transform runs, the layer is computed by torch's own kernel, which
gives the same numbers sooner; everywhere else by the linear map and the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.document import Body, Node
from metaloom_registry.graph.transforms import transforming

WHOLE = (torch.float32, torch.float64)


@dataclass(frozen=True, slots=True)
class Layer:
    """An LSTM in one direction: the slots it takes, which are h, c, x, and four parameters."""

    inputs: tuple[int | None, ...]


def lstm_body(size: int, *, biases: bool) -> Body:
    """One step of an LSTM of a size, as the exporter writes it.

    It takes h, c, the affine map of the input, the weight of h, and its bias where there is one.
    Hochreiter and Schmidhuber 1997, with a forget gate (Gers et al. 2000).
    """
    first = 5 if biases else 4
    linear, sums, inner, gates = first, first + 1, first + 2, first + 3

    def part(value: int, start: int, stop: int) -> Node:
        arguments = {"dim": -1, "start": start * size, "stop": stop * size, "step": 1}
        return Node("slice/1", (value,), arguments)

    nodes = (
        Node("linear/1", (0, 3, 4 if biases else None)),
        Node("add/1", (2, linear)),
        part(sums, 0, 2),
        Node("sigmoid/1", (inner,)),
        part(sums, 2, 3),
        Node("tanh/1", (first + 4,)),
        part(sums, 3, 4),
        Node("sigmoid/1", (first + 6,)),
        part(gates, 1, 2),
        Node("multiply/1", (first + 8, 1)),
        part(gates, 0, 1),
        Node("multiply/1", (first + 10, first + 5)),
        Node("add/1", (first + 9, first + 11)),
        Node("tanh/1", (first + 12,)),
        Node("multiply/1", (first + 7, first + 13)),
    )
    return Body(first, nodes, (first + 14, first + 12, first + 14))


def find_layers(
    needed: Sequence[tuple[Node, int]], kept: set[int], uses: Callable[[Node], Sequence[int]]
) -> dict[int, tuple[int, Layer]]:
    """Position of a loop -> position of the linear map before it, and the layer they are.

    needed: nodes with their first slot.  A linear map that anything else uses stays as it is.
    """
    taken: dict[int, int] = {}
    for node, _ in needed:
        for slot in uses(node):
            taken[slot] = taken.get(slot, 0) + 1
    linear = {
        start: position
        for position, (node, start) in enumerate(needed)
        if node.op == "linear/1" and taken.get(start) == 1 and start not in kept
    }
    found = {}
    for position, (node, _) in enumerate(needed):
        if node.op == "scan/1" and (before := linear.get(_sequence(node))) is not None:
            parameters = (*node.inputs[3:], None)[:2]
            inputs = (*node.inputs[:2], *needed[before][0].inputs, *parameters)
            if (inputs[4] is None) == (inputs[6] is None):
                found[position] = before, Layer(inputs)
    return found


def _sequence(node: Node) -> int:
    """The slot of the sequence that a loop of an LSTM goes over; -1 where it is another loop."""
    body: Body = node.arguments["body"]
    if node.arguments["carries"] != 2 or node.arguments["sequences"] != 1:
        return -1
    size = body.nodes[2].arguments.get("stop") if len(body.nodes) == 15 else None
    if not isinstance(size, int) or size % 2 or body.inputs not in (4, 5):
        return -1
    same = body == lstm_body(size // 2, biases=body.inputs == 5)
    return node.inputs[2] if same and node.inputs[2] is not None else -1


class Lstm:
    """The layer made ready to run; `loop` is what its loop runs otherwise."""

    def __init__(self, loop: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        self.loop = loop
        self.reverse = bool(arguments["reverse"])

    def __call__(
        self,
        h: Tensor,
        c: Tensor,
        x: Tensor,
        w: Tensor,
        b: Tensor | None,
        u: Tensor,
        d: Tensor | None,
    ) -> Any:
        """The last h and c [B, H], and every h [T, B, H]; x [T, B, I]."""
        if not _whole(h, c, x, w, b, u, d):
            return self.loop(
                h, c, functional.linear(x, w, b), *[p for p in (u, d) if p is not None]
            )
        series = x.flip(0) if self.reverse else x
        weights = [w, u] if b is None or d is None else [w, u, b, d]
        y, last, memory = torch.lstm(
            series, (h[None], c[None]), weights, len(weights) == 4, 1, 0.0, False, False, False
        )
        return last[0], memory[0], y.flip(0) if self.reverse else y


def _whole(
    h: Tensor, c: Tensor, x: Tensor, w: Tensor, b: Tensor | None, u: Tensor, d: Tensor | None
) -> bool:
    """Whether torch's kernel may take this: no gradients, and exactly the shapes of a layer."""
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or transforming():
        return False
    if x.dim() != 3 or h.dim() != 2 or not x.numel() or x.dtype not in WHOLE:
        return False
    batch, size = h.shape
    shapes = [c.shape == h.shape, x.shape[1] == batch, w.shape == (4 * size, x.shape[2])]
    shapes.append(u.shape == (4 * size, size))
    shapes += [bias is None or bias.shape == (4 * size,) for bias in (b, d)]
    tensors = [one for one in (h, c, w, b, u, d) if one is not None]
    return all(shapes) and all(one.dtype == x.dtype for one in tensors)
