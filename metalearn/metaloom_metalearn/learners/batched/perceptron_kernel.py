"""A whole meta-gradient of a multilayer perceptron in one compiled loop; needs the extra `fast`.

Small perceptrons are bound by the cost of calling operations, so here one call does all steps of
some tasks.  What is computed is what `Job` computes: see there for the mathematics.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from metaloom_metalearn.learners.batched.numba_kernels import compiled

IDENTITY, RELU, TANH, SIGMOID = range(4)
SQUARES, ENTROPY = range(2)


@compiled
def descend(
    start: Any,
    widths: Any,
    functions: Any,
    rates: Any,
    weights: Any,
    second: bool,
    loss: int,
    sx: Any,
    sy: Any,
    qx: Any,
    qy: Any,
    support_labels: Any,
    query_labels: Any,
    losses: Any,
    outputs: Any,
    slopes: Any,
    rate_slopes: Any,
) -> None:
    """Sums over tasks into `slopes` [p] and `rate_slopes` [steps or 0, p]; losses and outputs.

    start [p]: for each layer the weight [in, out] and the shift [out], one after the other.
    rates [steps, p]; weights [steps or 1]: of the query loss after each step.  sx [tasks, s, in];
    sy, qy [tasks, n, out] for SQUARES, int64 labels [tasks, n] for ENTROPY.
    """
    tasks, s = sx.shape[0], sx.shape[1]
    q, steps, size, depth = qx.shape[1], len(rates), len(start), len(functions)
    total = 0
    for width in widths:
        total += width
    dtype = start.dtype
    point = np.empty((steps + 1, size), dtype)
    found = np.empty((steps, size), dtype)
    later = np.empty(size, dtype)
    along = np.empty(size, dtype)
    judged = np.zeros((steps + 1, size), dtype)
    curved = np.empty(size, dtype)
    turned = np.empty(size, dtype)
    values, signals = np.empty((steps, s * total), dtype), np.empty((steps, s * total), dtype)
    moves, turns = np.empty(s * total, dtype), np.empty(s * total, dtype)
    rise = np.empty(s * total, dtype)
    query, signal = np.empty(q * total, dtype), np.empty(q * total, dtype)
    for t in range(tasks):
        point[0] = start
        _transpose(point[0], widths, turned)
        if steps == 0:
            _forward(qx[t], point[0], widths, functions, query)
            losses[t] = _loss(loss, query, q, widths, qy[t], query_labels[t], signal)
            _backward(query, signal, q, turned, widths, functions, judged[0])
            later[:] = judged[0]
        else:
            losses[t] = 0
        for step in range(steps):
            value, wave = values[step], signals[step]
            _forward(sx[t], point[step], widths, functions, value)
            _loss(loss, value, s, widths, sy[t], support_labels[t], wave)
            _backward(value, wave, s, turned, widths, functions, found[step])
            for i in range(size):
                point[step + 1, i] = point[step, i] - rates[step, i] * found[step, i]
            _transpose(point[step + 1], widths, turned)
            if weights[step] != 0 or step + 1 == steps:
                _forward(qx[t], point[step + 1], widths, functions, query)
                one = _loss(loss, query, q, widths, qy[t], query_labels[t], signal)
                losses[t] += weights[step] * one
                _backward(query, signal, q, turned, widths, functions, judged[step + 1])
                for i in range(size):
                    judged[step + 1, i] *= weights[step]
        if steps:
            later[:] = judged[steps]
        last = widths[depth]
        for i in range(q):
            for c in range(last):
                outputs[t, i, c] = query[q * (total - last) + i * last + c]
        for step in range(steps - 1, -1, -1):
            if len(rate_slopes):
                for i in range(size):
                    rate_slopes[step, i] -= later[i] * found[step, i]
            if second:
                for i in range(size):
                    along[i] = -rates[step, i] * later[i]
                value, wave = values[step], signals[step]
                _tangent(value, s, point[step], along, widths, functions, moves, rise)
                _loss_tangent(loss, value, moves, s, widths, turns)
                _transpose(point[step], widths, turned)
                _transpose(along, widths, curved)
                _curve(value, wave, moves, rise, turns, s, turned, curved, widths, functions, later)
            if step and weights[step - 1] != 0:
                for i in range(size):
                    later[i] += judged[step, i]
        for i in range(size):
            slopes[i] += later[i]


@compiled
def _multiply(x: Any, weight: Any, out: Any) -> None:
    """out += x weight; what is zero, as half of what a rectifier leaves, is skipped."""
    n, before, zero = x.shape[0], x.shape[1], x.dtype.type(0)
    after = weight.shape[1]
    for i in range(n):
        for k in range(before):
            factor = x[i, k]
            if factor != zero:
                for c in range(after):
                    out[i, c] += factor * weight[k, c]


@compiled
def _multiply_transposed(x: Any, y: Any, out: Any) -> None:
    """out += x^T y, likewise."""
    n, before, zero = x.shape[0], x.shape[1], x.dtype.type(0)
    after = y.shape[1]
    for i in range(n):
        for k in range(before):
            factor = x[i, k]
            if factor != zero:
                for c in range(after):
                    out[k, c] += factor * y[i, c]


@compiled
def _transpose(flat: Any, widths: Any, out: Any) -> None:
    """The weights of all layers transposed, each in its place; the shifts are left out."""
    at = 0
    for layer in range(len(widths) - 1):
        before, after = widths[layer], widths[layer + 1]
        for k in range(before):
            for c in range(after):
                out[at + c * before + k] = flat[at + k * after + c]
        at += before * after + after


@compiled
def _forward(x: Any, flat: Any, widths: Any, functions: Any, value: Any) -> None:
    """All values of one pass, layer after layer, each [n, width]; the first are the inputs."""
    n, zero, one = x.shape[0], x.dtype.type(0), x.dtype.type(1)
    for i in range(n):
        for k in range(widths[0]):
            value[i * widths[0] + k] = x[i, k]
    at, place = 0, 0
    for layer in range(len(functions)):
        before, after = widths[layer], widths[layer + 1]
        below = value[place : place + n * before].reshape((n, before))
        place += n * before
        here = value[place : place + n * after].reshape((n, after))
        weight = flat[at : at + before * after].reshape((before, after))
        at += before * after
        for i in range(n):
            for c in range(after):
                here[i, c] = flat[at + c]
        at += after
        _multiply(below, weight, here)
        kind = functions[layer]
        if kind == RELU:
            for i in range(n):
                for c in range(after):
                    here[i, c] = max(here[i, c], zero)
        elif kind == TANH:
            for i in range(n):
                for c in range(after):
                    here[i, c] = np.tanh(here[i, c])
        elif kind == SIGMOID:
            for i in range(n):
                for c in range(after):
                    here[i, c] = one / (one + np.exp(-here[i, c]))


@compiled
def _bent(kind: int, y: Any, x: Any) -> None:
    """x times f', where f is y."""
    zero, one = y.dtype.type(0), y.dtype.type(1)
    n, width = y.shape
    if kind == RELU:
        for i in range(n):
            for c in range(width):
                x[i, c] = x[i, c] if y[i, c] > zero else zero
    elif kind == TANH:
        for i in range(n):
            for c in range(width):
                x[i, c] *= one - y[i, c] * y[i, c]
    elif kind == SIGMOID:
        for i in range(n):
            for c in range(width):
                x[i, c] *= y[i, c] * (one - y[i, c])


@compiled
def _bending(kind: int, y: Any, rise: Any, signal: Any, x: Any) -> None:
    """x plus f'' / f' times the rise and the signal, where f is y."""
    one = y.dtype.type(1)
    n, width = y.shape
    if kind == TANH:
        for i in range(n):
            for c in range(width):
                x[i, c] -= (y[i, c] + y[i, c]) * rise[i, c] * signal[i, c]
    elif kind == SIGMOID:
        for i in range(n):
            for c in range(width):
                x[i, c] += (one - y[i, c] - y[i, c]) * rise[i, c] * signal[i, c]


@compiled
def _loss(kind: int, value: Any, n: int, widths: Any, wanted: Any, labels: Any, signal: Any) -> Any:
    """The loss of the last values; its gradient in them goes where they stand in `signal`."""
    last = widths[-1]
    first = n * (widths.sum() - last)
    loss = value.dtype.type(0)
    for i in range(n):
        at = first + i * last
        if kind == SQUARES:
            for c in range(last):
                apart = value[at + c] - wanted[i, c]
                loss += apart * apart / (n * last)
                signal[at + c] = 2 * apart / (n * last)
        else:
            top = value[at]
            for c in range(1, last):
                top = max(top, value[at + c])
            total = value.dtype.type(0)
            for c in range(last):
                signal[at + c] = np.exp(value[at + c] - top)
                total += signal[at + c]
            for c in range(last):
                signal[at + c] /= total * n
            signal[at + labels[i]] -= value.dtype.type(1) / n
            loss += (top + np.log(total) - value[at + labels[i]]) / n
    return loss


@compiled
def _loss_tangent(kind: int, value: Any, move: Any, n: int, widths: Any, turn: Any) -> None:
    """How the gradient in the last values changes when they move."""
    last = widths[-1]
    first = n * (widths.sum() - last)
    for i in range(n):
        at = first + i * last
        if kind == SQUARES:
            for c in range(last):
                turn[at + c] = 2 * move[at + c] / (n * last)
        else:
            top = value[at]
            for c in range(1, last):
                top = max(top, value[at + c])
            total, mean = value.dtype.type(0), value.dtype.type(0)
            for c in range(last):
                chance = np.exp(value[at + c] - top)
                turn[at + c] = chance
                total += chance
                mean += chance * move[at + c]
            for c in range(last):
                turn[at + c] *= (move[at + c] - mean / total) / (total * n)


@compiled
def _backward(
    value: Any,
    signal: Any,
    n: int,
    turned: Any,
    widths: Any,
    functions: Any,
    slopes: Any,
) -> None:
    """The gradient in all parameters; `signal` becomes the gradient before each function.

    turned: the parameters, weights transposed.
    """
    at, place = len(slopes), n * widths.sum()
    slopes[:] = 0
    for layer in range(len(functions) - 1, -1, -1):
        before, after = widths[layer], widths[layer + 1]
        place -= n * after
        here = signal[place : place + n * after].reshape((n, after))
        _bent(functions[layer], value[place : place + n * after].reshape((n, after)), here)
        at -= after
        for i in range(n):
            for c in range(after):
                slopes[at + c] += here[i, c]
        at -= before * after
        lower = place - n * before
        below = value[lower:place].reshape((n, before))
        _multiply_transposed(below, here, slopes[at : at + before * after].reshape((before, after)))
        if layer:
            under = signal[lower:place].reshape((n, before))
            under[:] = 0
            _multiply(here, turned[at : at + before * after].reshape((after, before)), under)


@compiled
def _tangent(
    value: Any,
    n: int,
    flat: Any,
    along: Any,
    widths: Any,
    functions: Any,
    move: Any,
    rise: Any,
) -> None:
    """How all values move when the parameters move; `rise`: before each function."""
    at, place = 0, 0
    for layer in range(len(functions)):
        before, after = widths[layer], widths[layer + 1]
        below = value[place : place + n * before].reshape((n, before))
        moving = move[place : place + n * before].reshape((n, before))
        place += n * before
        here = rise[place : place + n * after].reshape((n, after))
        weight = flat[at : at + before * after].reshape((before, after))
        change = along[at : at + before * after].reshape((before, after))
        at += before * after
        for i in range(n):
            for c in range(after):
                here[i, c] = along[at + c]
        at += after
        _multiply(below, change, here)
        if layer:
            _multiply(moving, weight, here)
        moved = move[place : place + n * after].reshape((n, after))
        moved[:] = here
        _bent(functions[layer], value[place : place + n * after].reshape((n, after)), moved)


@compiled
def _curve(
    value: Any,
    signal: Any,
    move: Any,
    rise: Any,
    turn: Any,
    n: int,
    turned: Any,
    curved: Any,
    widths: Any,
    functions: Any,
    slopes: Any,
) -> None:
    """Add the product of the Hessian with the direction whose transposed weights are `curved`."""
    at, place = len(slopes), n * widths.sum()
    for layer in range(len(functions) - 1, -1, -1):
        before, after = widths[layer], widths[layer + 1]
        place -= n * after
        here = turn[place : place + n * after].reshape((n, after))
        still = signal[place : place + n * after].reshape((n, after))
        rising = rise[place : place + n * after].reshape((n, after))
        above = value[place : place + n * after].reshape((n, after))
        _bent(functions[layer], above, here)
        _bending(functions[layer], above, rising, still, here)
        at -= after
        for i in range(n):
            for c in range(after):
                slopes[at + c] += here[i, c]
        at -= before * after
        lower = place - n * before
        below = value[lower:place].reshape((n, before))
        into = slopes[at : at + before * after].reshape((before, after))
        _multiply_transposed(below, here, into)
        if layer:
            _multiply_transposed(move[lower:place].reshape((n, before)), still, into)
            under = turn[lower:place].reshape((n, before))
            under[:] = 0
            _multiply(here, turned[at : at + before * after].reshape((after, before)), under)
            _multiply(still, curved[at : at + before * after].reshape((after, before)), under)
