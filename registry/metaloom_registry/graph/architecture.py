"""What a module's graph depends on besides the values of its tensors, as a key.

Two modules of one architecture are traced to one graph.  The key holds the tree of modules with
their classes, the plain attributes of each, and what the code of classes outside torch reads:
that code, what it closes over, and the plain globals it names.  Where something is neither a
tensor of the module nor plain, as with hooks or objects in attributes, there is no key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import nn

from metaloom_registry.graph.document import write_graph
from metaloom_registry.graph.module import GraphModule

_OWN = frozenset(vars(nn.Module()))
_HOOKS = tuple(name for name in _OWN if name.endswith("_hooks"))
_ATOMS = (type(None), bool, int, str, bytes)
_CONSTANTS = (torch.dtype, torch.device, torch.layout, torch.memory_format, BuiltinFunctionType)
_TRUSTED = frozenset(("torch", "math", "operator", "typing", "collections", "functools", "numpy"))
"""Packages whose code is taken not to change while a process runs."""


class _Unknown(Exception):
    """Something that no key can tell from others."""


def architecture(module: nn.Module) -> Hashable | None:
    """A key that modules share whose graphs are the same; None where that cannot be told.

    It is made of values, and holds the classes and functions it names, so none can take the place
    of another.
    """
    try:
        return torch.get_default_dtype(), tuple(_parts(module))
    except (_Unknown, RecursionError, ValueError):  # the last where code closes over nothing yet
        return None


def _parts(module: nn.Module) -> Iterator[Hashable]:
    first: dict[int, str] = {}
    seen: dict[int, Hashable] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        if id(part) in first:
            yield path, first[id(part)]
            continue
        first[id(part)] = path
        if any(vars(part).get(name) for name in _HOOKS):
            raise _Unknown
        if type(part) is GraphModule:
            yield path, write_graph(part.graph.value)
            continue
        attributes = {name: value for name, value in vars(part).items() if name not in _OWN}
        yield path, type(part), _code(type(part), seen), _plain(attributes, seen)


def _code(cls: type, seen: dict[int, Hashable]) -> Hashable:
    """What the methods of a class and of those it inherits from read, up to those of torch."""
    found: list[Hashable] = [cls]
    for owner in cls.__mro__:
        if owner is object or _trusted(owner.__module__):
            continue
        for name, value in vars(owner).items():
            if isinstance(value, staticmethod | classmethod):
                value = value.__func__
            if isinstance(value, property):
                found += [_plain(part, seen) for part in (value.fget, value.fset)]
            elif isinstance(value, FunctionType) or not name.startswith("__"):
                found.append((name, _plain(value, seen)))
    return tuple(found)


def _plain(value: Any, seen: dict[int, Hashable]) -> Hashable:
    """A value as part of a key. Raises _Unknown where it is neither plain nor code."""
    if isinstance(value, _ATOMS):
        return type(value), value
    if isinstance(value, float | complex):
        return type(value), repr(value)  # 0.0 and -0.0 are equal, and NaN is not itself
    if isinstance(value, list | tuple):
        return type(value), tuple(_plain(item, seen) for item in value)
    if isinstance(value, Mapping):
        items = ((_plain(key, seen), _plain(item, seen)) for key, item in value.items())
        return type(value), tuple(items)
    if isinstance(value, set | frozenset):
        return type(value), frozenset(_plain(item, seen) for item in value)
    if isinstance(value, partial):
        return partial, _plain((value.func, value.args, value.keywords), seen)
    if isinstance(value, (*_CONSTANTS, type)):
        return value
    if isinstance(value, FunctionType):
        return value if _trusted(value.__module__) else _function(value, seen)
    raise _Unknown


def _function(function: FunctionType, seen: dict[int, Hashable]) -> Hashable:
    if id(function) not in seen:
        seen[id(function)] = function
        cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
        seen[id(function)] = (
            function,
            function.__code__,
            _plain((cells, function.__defaults__, function.__kwdefaults__), seen),
            tuple(_globals(function.__code__, function.__globals__, seen)),
        )
    return seen[id(function)]


def _globals(
    code: CodeType, namespace: Mapping[str, Any], seen: dict[int, Hashable]
) -> Iterator[Hashable]:
    """What code finds under the names it uses, in its module and in modules named there."""
    names = [*code.co_names]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals(constant, namespace, seen)
            names += constant.co_names
    for name in names:
        value = namespace.get(name)
        if not isinstance(value, ModuleType):
            yield name, _plain(value, seen)
        elif not _trusted(value.__name__):
            yield (
                name,
                tuple(
                    (other, _plain(vars(value)[other], seen))
                    for other in names
                    if other in vars(value)
                ),
            )


def _trusted(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in _TRUSTED
