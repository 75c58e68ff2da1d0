"""Lists, a whole batch at once: the items of all rows in one value, and how many each row has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from metaloom_lists.batched import row_sums
from metaloom_lists.sequences import MAX_ITEMS
from metaloom_metalearn import BatchedValue, Ragged, concatenate, device_of, put, rows_of, take
from metaloom_registry import EvaluationError

Function: TypeAlias = Callable[[Any], Any]


def _sliced(xs: Ragged, start: Tensor, stop: Tensor) -> Ragged:
    """From each row the items at `start` up to before `stop`, both within the row's bounds."""
    kept = Ragged(None, (stop - start).clamp(min=0))
    places = (xs.offsets() + start)[kept.owners()] + kept.positions()
    return Ragged(take(xs.items, places), kept.lengths)


def _kept(xs: Ragged, keep: Tensor) -> Ragged:
    """The items where `keep`, bool [items], is true."""
    lengths = torch.zeros_like(xs.lengths).index_add(0, xs.owners(), keep.long())
    return Ragged(take(xs.items, keep.nonzero()[:, 0]), lengths)


def _place(i: Tensor, lengths: Tensor) -> Tensor:
    """A place as Python's slices take it: from the end below 0, and within the list."""
    return torch.minimum(torch.where(i < 0, (i + lengths).clamp(min=0), i), lengths)


def _nothing(xs: Ragged) -> bool:
    """Whether no row has an item: then no function is called, as there is nothing to call it on."""
    return xs.items is None or rows_of(xs.items) == 0


def _bounded(lengths: Tensor) -> Tensor:
    if bool((lengths > MAX_ITEMS).any()):
        raise EvaluationError(
            f"a list of {int(lengths.max())} items is longer than the {MAX_ITEMS} allowed"
        )
    return lengths.clamp(min=0)


def empty() -> Ragged:
    return Ragged(None, torch.zeros(1, dtype=torch.int64))


def singleton(x: BatchedValue) -> Ragged:
    rows = rows_of(x)
    return Ragged(
        x, torch.ones(1 if rows is None else rows, dtype=torch.int64, device=device_of(x))
    )


def cons(x: BatchedValue, xs: Ragged) -> Ragged:
    return concat(Ragged(x, torch.ones_like(xs.lengths)), xs)


def append(x: BatchedValue, xs: Ragged) -> Ragged:
    return concat(xs, Ragged(x, torch.ones_like(xs.lengths)))


def concat(xs: Ragged, ys: Ragged) -> Ragged:
    both = concatenate([xs, ys])
    rows = torch.arange(xs.rows(), device=xs.lengths.device)
    alternating = torch.stack([rows, rows + xs.rows()], dim=1).flatten()
    return Ragged(take(both.items, both.places(alternating)), _bounded(xs.lengths + ys.lengths))


def flattened(xss: Ragged) -> Ragged:
    if xss.items is None:
        return Ragged(None, xss.lengths)
    lengths = torch.zeros_like(xss.lengths).index_add(0, xss.owners(), xss.items.lengths)
    return Ragged(xss.items.items, _bounded(lengths))


def counted(n: Tensor) -> Ragged:
    places = Ragged(None, _bounded(n))
    return Ragged(places.positions(), places.lengths)


def repeated(n: Tensor, x: BatchedValue) -> Ragged:
    places = Ragged(None, _bounded(n))
    return Ragged(take(x, places.owners()), places.lengths)


def is_empty(xs: Ragged) -> Tensor:
    return xs.lengths == 0


def length(xs: Ragged) -> Tensor:
    return xs.lengths


def _refuse_empty(xs: Ragged, what: str) -> None:
    if bool((xs.lengths == 0).any()):
        raise EvaluationError(f"an empty list has no {what}")


def head(xs: Ragged) -> BatchedValue:
    _refuse_empty(xs, "head")
    return take(xs.items, xs.offsets())


def last(xs: Ragged) -> BatchedValue:
    _refuse_empty(xs, "last item")
    return take(xs.items, xs.offsets() + xs.lengths - 1)


def tail(xs: Ragged) -> Ragged:
    return _sliced(xs, torch.ones_like(xs.lengths), xs.lengths)


def init(xs: Ragged) -> Ragged:
    return _sliced(xs, torch.zeros_like(xs.lengths), xs.lengths - 1)


def index(i: Tensor, xs: Ragged) -> BatchedValue:
    if bool(((i >= xs.lengths) | (i < -xs.lengths)).any()):
        raise EvaluationError("a list has no item at the place that is asked for")
    return take(xs.items, xs.offsets() + torch.where(i < 0, i + xs.lengths, i))


def taken(n: Tensor, xs: Ragged) -> Ragged:
    return _sliced(xs, torch.zeros_like(n), _place(n, xs.lengths))


def dropped(n: Tensor, xs: Ragged) -> Ragged:
    return _sliced(xs, _place(n, xs.lengths), xs.lengths)


def sliced(i: Tensor, j: Tensor, xs: Ragged) -> Ragged:
    return _sliced(xs, _place(i, xs.lengths), _place(j, xs.lengths))


def reverse(xs: Ragged) -> Ragged:
    owners = xs.owners()
    places = (xs.offsets() + xs.lengths - 1)[owners] - xs.positions()
    return Ragged(take(xs.items, places), xs.lengths)


def _order(xs: Ragged, keys: Tensor) -> Tensor:
    """int64 [items]: the places of the items, row after row, by key within each, stable."""
    by_key = torch.argsort(keys, stable=True)
    return by_key[torch.argsort(xs.owners()[by_key], stable=True)]


def ordered(xs: Ragged) -> Ragged:
    if xs.items is None:
        return xs
    return Ragged(take(xs.items, _order(xs, xs.items)), xs.lengths)


def unique(xs: Ragged) -> Ragged:
    if xs.items is None:
        return xs
    order = _order(xs, xs.items)
    owners, items = xs.owners()[order], xs.items[order]
    first = torch.ones_like(items, dtype=torch.bool)
    first[1:] = (owners[1:] != owners[:-1]) | (items[1:] != items[:-1])
    keep = torch.zeros_like(first)
    keep[order[first]] = True
    return _kept(xs, keep)


def contains(x: Tensor, xs: Ragged) -> Tensor:
    if xs.items is None:
        return torch.zeros_like(x, dtype=torch.bool)
    return _kept(xs, xs.items == x[xs.owners()]).lengths > 0


def total(xs: Ragged) -> Tensor:
    if xs.items is None:
        return torch.zeros_like(xs.lengths)
    return row_sums(xs.items, xs.owners(), xs.rows())


def minimum(xs: Ragged) -> Tensor:
    _refuse_empty(xs, "minimum")
    if _nothing(xs):
        return xs.lengths
    return torch.zeros_like(xs.lengths).scatter_reduce(
        0, xs.owners(), xs.items, "amin", include_self=False
    )


def maximum(xs: Ragged) -> Tensor:
    _refuse_empty(xs, "maximum")
    if _nothing(xs):
        return xs.lengths
    return torch.zeros_like(xs.lengths).scatter_reduce(
        0, xs.owners(), xs.items, "amax", include_self=False
    )


def zipped(xs: Ragged, ys: Ragged) -> Ragged:
    start, lengths = torch.zeros_like(xs.lengths), torch.minimum(xs.lengths, ys.lengths)
    one, other = _sliced(xs, start, lengths), _sliced(ys, start, lengths)
    if one.items is None or other.items is None:
        return Ragged(None, lengths)
    return Ragged((one.items, other.items), lengths)


def mapped(f: Function, xs: Ragged) -> Ragged:
    """One call of `f` on the items of all rows."""
    if _nothing(xs):
        return Ragged(None, xs.lengths)
    return Ragged(take(f, xs.owners())(xs.items), xs.lengths)


def mapped_indexed(f: Function, xs: Ragged) -> Ragged:
    if _nothing(xs):
        return Ragged(None, xs.lengths)
    return Ragged(take(f, xs.owners())(xs.positions())(xs.items), xs.lengths)


def filtered(p: Function, xs: Ragged) -> Ragged:
    return xs if _nothing(xs) else _kept(xs, mapped(p, xs).items)


def filtered_indexed(p: Function, xs: Ragged) -> Ragged:
    return xs if _nothing(xs) else _kept(xs, mapped_indexed(p, xs).items)


def number(p: Function, xs: Ragged) -> Tensor:
    return filtered(p, xs).lengths


def zipped_with(f: Function, xs: Ragged, ys: Ragged) -> Ragged:
    pairs = zipped(xs, ys)
    if _nothing(pairs):
        return Ragged(None, pairs.lengths)
    one, other = pairs.items
    return Ragged(take(f, pairs.owners())(one)(other), pairs.lengths)


def ordered_by(f: Function, xs: Ragged) -> Ragged:
    if _nothing(xs):
        return xs
    return Ragged(take(xs.items, _order(xs, mapped(f, xs).items)), xs.lengths)


def fold(f: Function, initial: BatchedValue, xs: Ragged) -> BatchedValue:
    """Position after position, on the rows that have an item there; any batched total will do."""
    result = initial
    longest = 0 if _nothing(xs) else int(xs.lengths.max())
    for position in range(longest):
        rows = (xs.lengths > position).nonzero()[:, 0]
        items = take(xs.items, xs.offsets()[rows] + position)
        if len(rows) == xs.rows():
            result = f(result)(items)
        else:
            result = put(result, rows, take(f, rows)(take(result, rows))(items))
    return result


def scan(f: Function, xs: Ragged) -> Ragged:
    if _nothing(xs):
        return xs
    start = (xs.lengths > 0).nonzero()[:, 0]
    totals = take(xs.items, xs.offsets()[start])
    result = xs.items
    for position in range(1, int(xs.lengths.max())):
        going = (xs.lengths[start] > position).nonzero()[:, 0]
        start, totals = start[going], take(totals, going)
        places = xs.offsets()[start] + position
        totals = take(f, start)(totals)(take(xs.items, places))
        result = put(result, places, totals)
    return Ragged(result, xs.lengths)
