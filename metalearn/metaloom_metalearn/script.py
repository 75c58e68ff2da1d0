"""What makes a Python file a script: JSON values as arguments, and JSON as what it prints.

Programs on plain values need no more than `json.loads` and `json.dumps`; for tuples, sets,
dictionaries and graphs the script reads and writes what JSON has no form for.
"""

from __future__ import annotations

from collections.abc import Callable

from metaloom_registry import Constructed, Type, Variable, uncurried
from metaloom_registry.types import INT, KEYED, TEXT, dict_of, list_of, parts, tuple_of

Write = Callable[[str, Type, int], str]

_PLAIN = """

if __name__ == "__main__":
    import json
    import sys

    print(json.dumps({name}(*map(json.loads, sys.argv[1:]))))
"""

_TYPED = """

if __name__ == "__main__":
    import json
    import sys

    {given} = map(json.loads, sys.argv[1:])
    output = {name}({read})
    print(json.dumps({written}))
"""


def script(name: str, type_: Type) -> str:
    """The lines that run the function of this name and type on the arguments of the command."""
    given, want = uncurried(type_)
    if not any(isinstance(p, Constructed) and p.name in {"tuple", *KEYED} for p in parts(type_)):
        return _PLAIN.format(name=name)
    names = [f"input{i + 1}" for i in range(len(given))]
    return _TYPED.format(
        name=name,
        given=f"{', '.join(names)}{',' if len(names) == 1 else ''}",
        read=", ".join(_read(one, t, 0) for one, t in zip(names, given, strict=True)),
        written=_written("output", want, 0),
    )


def _is_name(key: Type) -> bool:
    """Whether JSON writes keys of the type as names; those of an open type are taken to be."""
    return key in (TEXT, INT) or isinstance(key, Variable)


def _read(value: str, type_: Type, depth: int) -> str:
    """The expression that reads a value of JSON as Python has it."""
    if not isinstance(type_, Constructed) or not type_.arguments:
        return value
    key, x = type_.arguments[0], f"x{depth}"
    if type_.name == "store":
        return _read(value, key, depth)
    if type_.name == "graph":
        row = f"dict.fromkeys(x{depth}, 1) if isinstance(x{depth}, list) else x{depth}"
        nodes = f"{{k{depth}: {row} for k{depth}, x{depth} in {value}.items()}}"
        if not _is_name(key):
            edges = list_of(tuple_of(key, key, INT))
            pairs = _read(f'{value}["edges"]', edges, depth + 1)
            return (
                f"{{{_read(x, key, depth + 1)}: "
                f"{{v: w for u, v, w in {pairs} if u == {_read(x, key, depth + 1)}}} "
                f'for {x} in {value}["nodes"]}}'
            )
        return _read(nodes, dict_of(key, dict_of(key, INT)), depth + 1)
    return _rebuilt(value, type_, depth, _read)


def _written(value: str, type_: Type, depth: int) -> str:
    """The expression that writes a value as JSON has it."""
    if not isinstance(type_, Constructed) or not type_.arguments:
        return value
    key = type_.arguments[0]
    if type_.name == "store":
        return _written(value, key, depth)
    if type_.name == "set":
        return _written(f"sorted({value})", list_of(key), depth)
    if type_.name == "graph":
        return _written(value, dict_of(key, dict_of(key, INT)), depth)
    if type_.name == "dict" and not _is_name(key):
        pairs = list_of(tuple_of(*type_.arguments))
        return _written(f"list({value}.items())", pairs, depth)
    return _rebuilt(value, type_, depth, _written)


def _rebuilt(value: str, type_: Constructed, depth: int, part: Write) -> str:
    """The value with each part of it read or written, itself where that changes nothing."""
    k, x = f"k{depth}", f"x{depth}"
    inner = type_.arguments
    if type_.name == "tuple":
        held = [part(f"{x}[{i}]", t, depth + 1) for i, t in enumerate(inner)]
        if part is _written and held == [f"{x}[{i}]" for i in range(len(inner))]:
            return value
        return f"(lambda {x}: ({', '.join(held)}))({value})"
    if type_.name == "dict":
        changed = part(x, inner[1], depth + 1)
        if part is _read and not _is_name(inner[0]):
            return f"{{{_read(k, inner[0], depth + 1)}: {changed} for {k}, {x} in {value}}}"
        key = f"int({k})" if part is _read and inner[0] == INT else k
        if (key, changed) == (k, x):
            return value
        return f"{{{key}: {changed} for {k}, {x} in {value}.items()}}"
    changed = part(x, inner[0], depth + 1)
    if type_.name == "set":
        return f"{{{changed} for {x} in {value}}}"
    return value if changed == x else f"[{changed} for {x} in {value}]"
