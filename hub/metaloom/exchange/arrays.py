"""Tensors of a tree by name, as ONNX files and served models have them: flat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def leaf_names(trees: Sequence[Any], what: str) -> list[str]:
    """The name of each leaf in order: `input` for the only one, else `input_0`, `input_1` ...

    Leaves of dictionaries are called by their keys, such as `input_image`.
    """
    paths = list(_paths(tuple(trees), ""))
    if len(paths) == 1:
        return [what]
    if len(trees) == 1:
        paths = [path.removeprefix("_0") for path in paths]
    return [f"{what}{path}" for path in paths]


def _paths(tree: Any, path: str) -> Iterator[str]:
    if isinstance(tree, tuple):
        for place, item in enumerate(tree):
            yield from _paths(item, f"{path}_{place}")
    elif isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from _paths(tree[key], f"{path}_{key}")
    else:
        yield path


def unflattened(trees: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
    """The values in the places of the leaves."""
    remaining = iter(values)
    return tuple(_filled(tree, remaining) for tree in trees)


def _filled(tree: Any, values: Iterator[Any]) -> Any:
    if isinstance(tree, tuple):
        return tuple(_filled(item, values) for item in tree)
    if isinstance(tree, Mapping):
        return {key: _filled(tree[key], values) for key in sorted(tree)}
    return next(values)
