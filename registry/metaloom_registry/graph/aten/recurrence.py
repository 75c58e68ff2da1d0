"""ATen's recurrent layers and cells in our ops: an affine map of all inputs, then a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metaloom_registry.graph.draft import Arguments, Draft, Handle, body_of, static

Translation = Callable[[Draft, Arguments], Any]

Cell = Callable[..., Sequence[Handle]]
"""`(draft, hidden size, affine input, states, affine hidden state) -> new states`, h first."""


def _part(g: Draft, x: Handle, at: int, size: int, count: int = 1) -> Handle:
    """The at-th of the gates that stand side by side in the last dimension, or some of them."""
    start, stop = at * size, (at + count) * size
    return g.node("slice/1", [x], dim=-1, start=start, stop=stop, step=1)  # type: ignore[no-any-return]


def _gru(g: Draft, size: int, x: Handle, states: Sequence[Handle], h: Handle) -> list[Handle]:
    """Cho et al. 2014, with the reset gate behind the product as in cuDNN."""
    both = g.node("add/1", [_part(g, x, 0, size, 2), _part(g, h, 0, size, 2)])
    gates = g.node("sigmoid/1", [both])
    reset, update = _part(g, gates, 0, size), _part(g, gates, 1, size)
    kept = g.node("multiply/1", [reset, _part(g, h, 2, size)])
    new = g.node("tanh/1", [g.node("add/1", [_part(g, x, 2, size), kept])])
    moved = g.node("multiply/1", [update, g.node("subtract/1", [states[0], new])])
    return [g.node("add/1", [new, moved])]


def _lstm(g: Draft, size: int, x: Handle, states: Sequence[Handle], h: Handle) -> list[Handle]:
    """Hochreiter and Schmidhuber 1997, with a forget gate (Gers et al. 2000)."""
    sums = g.node("add/1", [x, h])
    enter_forget = g.node("sigmoid/1", [_part(g, sums, 0, size, 2)])
    new = g.node("tanh/1", [_part(g, sums, 2, size)])
    leave = g.node("sigmoid/1", [_part(g, sums, 3, size)])
    kept = g.node("multiply/1", [_part(g, enter_forget, 1, size), states[1]])
    taken = g.node("multiply/1", [_part(g, enter_forget, 0, size), new])
    memory = g.node("add/1", [kept, taken])
    return [g.node("multiply/1", [leave, g.node("tanh/1", [memory])]), memory]


def _elman(activation: str) -> Cell:
    """Elman 1990."""
    return lambda g, size, x, states, h: [g.node(activation, [g.node("add/1", [x, h])])]


def _layer(states: int, cell: Cell) -> Translation:
    """A stack of recurrent layers. states: how many each cell carries."""

    def translate(g: Draft, a: Arguments) -> Any:
        x: Handle = a["input"]
        starts = list(a["hx"]) if states > 1 else [a["hx"]]
        ways = 2 if a["bidirectional"] else 1
        parameters = list(a["params"])
        each = len(parameters) // (a["num_layers"] * ways)
        ends: list[list[Handle]] = [[] for _ in starts]
        if a["batch_first"]:
            x = g.node("permute/1", [x], dims=[1, 0, 2])
        for layer in range(a["num_layers"]):
            found = []
            for way in range(ways):
                at = layer * ways + way
                given = [g.node("select/1", [hx], dim=0, index=at) for hx in starts]
                owned = parameters[at * each : (at + 1) * each]
                y, last = _one_way(g, cell, x, given, owned, bool(a["has_biases"]), way == 1)
                found.append(y)
                for end, state in zip(ends, last, strict=True):
                    end.append(state)
            x = found[0] if ways == 1 else g.node("concatenate/1", found, dim=2)
            if a["dropout"] and layer < a["num_layers"] - 1:
                x = g.node("dropout/1", [x], p=float(a["dropout"]), train=a["train"])
        if a["batch_first"]:
            x = g.node("permute/1", [x], dims=[1, 0, 2])
        return (x, *[g.node("stack/1", end, dim=0) for end in ends])

    return translate


def _one_way(
    g: Draft,
    cell: Cell,
    x: Handle,
    starts: Sequence[Handle],
    owned: Sequence[Handle],
    biases: bool,
    reverse: bool,
) -> tuple[Handle, list[Handle]]:
    """One layer in one direction over x [T, B, I]: its outputs and its last states."""
    weight, hidden = owned[:2]
    bias, hidden_bias = owned[2:4] if biases else (None, None)
    projection = list(owned[4 if biases else 2 :])
    sums = g.node("linear/1", [x, weight, bias])
    size = _gate_size(hidden, len(starts), cell)
    constants = [hidden, *([hidden_bias] if hidden_bias is not None else []), *projection]
    count = len(starts)

    def step(inner: Draft, *values: Handle) -> list[Handle]:
        states, row, rest = values[:count], values[count], values[count + 1 :]
        mixed = inner.node("linear/1", [states[0], rest[0], rest[1] if biases else None])
        new = list(cell(inner, size, row, states, mixed))
        if projection:
            new[0] = inner.node("linear/1", [new[0], rest[-1], None])
        return [*new, new[0]]

    found = g.node(
        "scan/1",
        [*starts, sums, *constants],
        carries=count,
        sequences=1,
        length=None,
        reverse=reverse,
        body=body_of(count + 1 + len(constants), step),
    )
    return found[-1], list(found[:-1])


def _gate_size(weight: Handle, states: int, cell: Cell) -> int:
    gates = 4 if states > 1 else 3 if cell is _gru else 1
    return static(weight.fake.shape[0], "the size of a recurrent layer") // gates


def _cell(states: int, cell: Cell) -> Translation:
    """One step of a recurrent layer."""

    def translate(g: Draft, a: Arguments) -> Any:
        given = list(a["hx"]) if states > 1 else [a["hx"]]
        sums = g.node("linear/1", [a["input"], a["w_ih"], a["b_ih"]])
        mixed = g.node("linear/1", [given[0], a["w_hh"], a["b_hh"]])
        found = cell(g, _gate_size(a["w_hh"], states, cell), sums, given, mixed)
        return tuple(found) if states > 1 else found[0]

    return translate


_CELLS: dict[str, tuple[int, Cell]] = {
    "gru": (1, _gru),
    "lstm": (2, _lstm),
    "rnn_tanh": (1, _elman("tanh/1")),
    "rnn_relu": (1, _elman("relu/1")),
}

RECURRENCE: dict[str, Translation] = {
    **{f"aten.{name}.input": _layer(*cell) for name, cell in _CELLS.items()},
    **{f"aten.{name}_cell.default": _cell(*cell) for name, cell in _CELLS.items()},
}
