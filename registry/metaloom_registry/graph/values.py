"""What is known of a value before it is computed: a tensor's dtype and shape, or an integer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, prod
from typing import TypeAlias

from metaloom_registry.errors import Refused

BYTES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8,
    "complex64": 8, "complex128": 16,
}  # fmt: skip
"""Every dtype of the format and the bytes of one element."""

FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = {"float32": "complex64", "float64": "complex128"}
"""Real dtype -> the complex dtype whose parts are of it."""
STORED = tuple(name for name in BYTES if name != "complex128")
"""The dtypes that safetensors can hold."""
REAL = {"complex64": "float32", "complex128": "float64"}
MAX_RANK = 8
MAX_INTEGER = 1 << 40
"""The largest size an integer value of a graph may have; beyond it nothing fits into memory."""

_ORDER = ("bool", "uint8", "int8", "int16", "int32", "int64", *FLOATS, *REAL)


@dataclass(frozen=True, slots=True)
class Spec:
    """The dtype and shape of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def extent(self) -> int:
        """The product of its sizes, those of 0 left out: what strides are computed from."""
        return prod(size or 1 for size in self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * BYTES[self.dtype]

    @property
    def floating(self) -> bool:
        return self.dtype in FLOATS

    @property
    def complex(self) -> bool:
        return self.dtype in REAL

    @property
    def inexact(self) -> bool:
        """Whether its elements are floats or complex numbers."""
        return self.floating or self.complex

    def like(self, shape: Sequence[int], dtype: str | None = None) -> Spec:
        """A tensor of this dtype (or the one given) and that shape."""
        return Spec(dtype or self.dtype, tuple(shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


Value: TypeAlias = Spec | int
"""What a graph computes with: tensors, and integers that are sizes."""


_HIGHEST = {
    "uint8": 255, "int8": 127, "int16": 32767, "int32": (1 << 31) - 1, "int64": (1 << 63) - 1,
    "float16": 65504.0, "bfloat16": 3.3895313892515355e38,
    "float32": 3.4028234663852886e38, "complex64": 3.4028234663852886e38,
}  # fmt: skip


def holds(dtype: str, *numbers: float | None) -> None:
    """Raise Refused where a number is beyond what a dtype holds; floats hold infinities."""
    highest = _HIGHEST.get(dtype)
    for number in numbers:
        if number is None or highest is None:
            continue
        lowest = 0 if dtype == "uint8" else -highest - (isinstance(highest, int))
        infinite = number in (inf, -inf) and not isinstance(highest, int)
        wanted(infinite or lowest <= number <= highest, f"{number:g} is no number of {dtype}")


def wanted(condition: bool, message: str) -> None:
    """Raise Refused with the message unless the condition holds."""
    if not condition:
        raise Refused(message)


def axis(dimension: int, rank: int) -> int:
    """A dimension counted from the front. Raises Refused where the tensor has none such."""
    wanted(-rank <= dimension < rank, f"dimension {dimension} of a tensor of rank {rank}")
    return dimension % rank


def axes(dimensions: Sequence[int], rank: int) -> tuple[int, ...]:
    """Several dimensions counted from the front. Raises Refused where one is named twice."""
    found = tuple(axis(d, rank) for d in dimensions)
    wanted(len(set(found)) == len(found), f"a dimension twice in {list(dimensions)}")
    return found


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an elementwise result (numpy's rule). Raises Refused where shapes misfit."""
    result: list[int] = []
    for position in range(1, max((len(s) for s in shapes), default=0) + 1):
        sizes = {s[-position] for s in shapes if len(s) >= position} - {1}
        wanted(len(sizes) <= 1, f"shapes {' and '.join(map(str, shapes))} do not broadcast")
        result.append(sizes.pop() if sizes else 1)
    return tuple(reversed(result))


def promoted(*specs: Spec) -> str:
    """The dtype of an elementwise result: the widest of the highest category.

    Tensors without dimensions count only where their category (bool, integer, float, complex) is
    above that of all the others.  A complex result has parts as wide as the widest float's.
    """
    shaped = [s.dtype for s in specs if s.shape]
    scalar = [s.dtype for s in specs if not s.shape]
    if not shaped:
        return _widest(scalar)
    best = _widest(shaped)
    if scalar and _category(_widest(scalar)) > _category(best):
        widest = _widest(scalar)
        if widest not in REAL or best not in FLOATS:
            return widest
        wanted(best != "float16", "complex numbers and float16; cast one of them")
        return COMPLEX.get(best, "complex64")
    return best


def _category(dtype: str) -> int:
    return 3 if dtype in REAL else 2 if dtype in FLOATS else 0 if dtype == "bool" else 1


def _widest(dtypes: Sequence[str]) -> str:
    best = dtypes[0]
    for dtype in dtypes[1:]:
        pair = {best, dtype}
        if pair == {"float16", "bfloat16"}:
            best = "float32"
        elif pair == {"uint8", "int8"}:
            best = "int16"
        elif pair == {"float64", "complex64"}:
            best = "complex128"
        else:
            best = max(best, dtype, key=_ORDER.index)
    return best
