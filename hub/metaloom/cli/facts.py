"""What a manifest says of a block, in people's units: its measured facts, a line each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaloom_registry import Json

ABILITIES = {
    "train_mode": "train",
    "second_gradient": "be differentiated twice",
    "vmap": "be batched over its parameters",
    "vmap_gradient": "have its gradients batched",
    "functional_train": "give torch.func gradients in training",
    "int32": "take int32",
}
DTYPES = ("float16", "bfloat16", "float32", "float64")
SHOWN = 6
"""Names that are listed before the rest is counted."""

WIDTH = 110


def measured(facts: Mapping[str, Json]) -> list[tuple[str, str]]:
    """What was measured of the block, or can be: a label and a sentence each."""
    return _rows(facts, _MEASURED)


def training(facts: Mapping[str, Json], classes: int) -> list[tuple[str, str]]:
    """What the publisher says of how it was trained."""
    rows = _rows(facts, _TRAINING)
    if classes:
        rows.append(("classes", f"{classes:,} seen; tasks that show one leave the block out"))
    return rows


def others(facts: Mapping[str, Json], known: frozenset[str]) -> list[tuple[str, str]]:
    """The facts that no other line tells of."""
    told = known.union(*(names for _, names, _ in (*_MEASURED, *_TRAINING)))
    return [(name, said(value)) for name, value in sorted(facts.items()) if name not in told]


def said(value: Json) -> str:
    """A fact in a line: what holds of truth values, items of lists, names with their values."""
    if isinstance(value, Mapping):
        words = [
            name if held is True else f"{name} {said(held)}"
            for name, held in value.items()
            if held is not False
        ]
        text = ", ".join(words)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        text = ", ".join(map(said, value))
    else:
        text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDTH else text[: WIDTH - 3] + "..."


def in_bytes(count: float) -> str:
    """A number of bytes, in three digits."""
    return _in_units(count, ("bytes", "kB", "MB", "GB", "TB"))


def _in_units(count: float, units: Sequence[str]) -> str:
    for unit in units[:-1]:
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {units[-1]}"


def _rows(facts: Mapping[str, Json], lines: Sequence[_Line]) -> list[tuple[str, str]]:
    rows = []
    for label, names, tell in lines:
        if any(name in facts for name in names):
            try:
                rows.append((label, tell(facts)))
            except (KeyError, TypeError, ValueError, AttributeError):  # a stranger's facts
                given = {name: facts[name] for name in names if name in facts}
                rows.append((label, said(given)))
    return [(label, text) for label, text in rows if text]


def _size(facts: Any) -> str:
    dtypes = " and ".join(facts.get("dtypes", ()))
    return f"{facts['parameters']:,} parameters{f' of {dtypes}' if dtypes else ''}, " + in_bytes(
        facts["weight_bytes"]
    )


def _cost(facts: Any) -> str:
    cost = facts["cost"]
    others = ", ".join(f"{name} = {size}" for name, size in cost["at"].items() if name != "B")
    flops = _in_units(cost["flops"], ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"))
    return (
        f"{flops}, {in_bytes(cost['peak_bytes'])} of activations at most at once, "
        f"{in_bytes(cost['activation_bytes'])} in all" + (f", where {others}" if others else "")
    )


def _abilities(facts: Any) -> str:
    held = facts["capabilities"]
    can = [word for name, word in ABILITIES.items() if held.get(name)]
    cannot = [word for name, word in ABILITIES.items() if name in held and not held[name]]
    can += [name.replace("_", " ") for name in held if held[name] and name not in _NAMED]
    cannot += [name.replace("_", " ") for name in held if not held[name] and name not in _NAMED]
    text = f"can {_listed(can)}" if can else ""
    if cannot:
        text += f"{'; ' if text else ''}cannot {_listed(cannot, 'or')}"
    return text


def _dtypes(facts: Any) -> str:
    held = facts["capabilities"]
    can = [name for name in DTYPES if held.get(name)]
    cannot = [name for name in DTYPES if name in held and not held[name]]
    return ", ".join(can) + (f"; not {_listed(cannot, 'or')}" if cannot else "")


def _behaviour(facts: Any) -> str:
    held = facts["capabilities"]
    if "deterministic" not in held and "batch_independent" not in held:
        return ""
    return ", ".join(
        (
            "the same each time" if held.get("deterministic") else "draws random numbers",
            "each item by itself"
            if held.get("batch_independent")
            else "an item's output depends on its batch",
        )
    )


def _fingerprint(facts: Any) -> str:
    held = facts["fingerprint"]
    values = held["values"]
    if values is None:
        return f"none on the probe {held['probe']}: an output is not finite"
    first = ", ".join(f"{value:.3g}" for value in values[:4])
    return f"{len(values)} numbers on the probe {held['probe']}: {first}, ..."


def _operations(facts: Any) -> str:
    return _some(facts["ops"])


def _exporter(facts: Any) -> str:
    return ", ".join(f"{name} {version}" for name, version in facts["exporter"].items())


def _inputs(facts: Any) -> str:
    told = facts["input_statistics"]
    lines = [_one_input(one) for one in told["inputs"]]
    if len(lines) > 1:
        lines = [f"{place}: {line}" for place, line in enumerate(lines, 1)]
    return f"{told['items']:,} items, as given; " + "\n".join(lines)


def _one_input(one: Any) -> str:
    if "mean" not in one:
        return f"whole numbers {one['min']} to {one['max']}, {one['distinct']:,} different"
    middle = one["quantiles"]
    return (
        f"mean {one['mean']:.3g}, deviation {one['std']:.3g}, {one['min']:.3g} to "
        f"{one['max']:.3g}, half within {middle['0.25']:.3g} to {middle['0.75']:.3g}"
    )


def _groups(facts: Any) -> str:
    return "\n".join(f"{name}: {_some(members)}" for name, members in facts["groups"].items())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN + 1 else ""
    return ", ".join(names[:SHOWN] if more else names) + more


def _listed(words: Sequence[str], last: str = "and") -> str:
    return f" {last} ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


_Line = tuple[str, tuple[str, ...], Callable[[Any], str]]
_NAMED = {*ABILITIES, *DTYPES, "deterministic", "batch_independent"}
_MEASURED: tuple[_Line, ...] = (
    ("size", ("parameters", "weight_bytes", "dtypes"), _size),
    ("one pass", ("cost",), _cost),
    ("abilities", ("capabilities",), _abilities),
    ("computes in", ("capabilities",), _dtypes),
    ("behaviour", ("capabilities",), _behaviour),
    ("fingerprint", ("fingerprint",), _fingerprint),
    ("operations", ("ops",), _operations),
    ("exported by", ("exporter",), _exporter),
)
_TRAINING: tuple[_Line, ...] = (
    ("inputs", ("input_statistics",), _inputs),
    ("groups", ("groups",), _groups),
)
