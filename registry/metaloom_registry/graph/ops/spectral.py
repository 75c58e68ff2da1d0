"""Complex numbers and Fourier transforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log2, prod
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Choice, Int, Many, Maybe, Rule, Size
from metaloom_registry.graph.values import COMPLEX, MAX_RANK, REAL, Spec, axes, wanted


def _of_parts(real: Spec, imaginary: Spec) -> Spec:
    wanted(real == imaginary, f"the real part is {real}, the imaginary part {imaginary}")
    wanted(real.dtype in COMPLEX, f"{real} where float32 or float64 is wanted")
    return real.like(real.shape, COMPLEX[real.dtype])


def _part(x: Spec) -> Spec:
    wanted(x.complex, f"{x} where complex numbers are wanted")
    return x.like(x.shape, REAL[x.dtype])


def _complex(x: Spec) -> Spec:
    wanted(x.complex, f"{x} where complex numbers are wanted")
    return x


def _split(x: Spec) -> Spec:
    return _part(x).like((*x.shape, 2))


def _joined(x: Spec) -> Spec:
    wanted(x.dtype in COMPLEX and x.shape[-1:] == (2,), f"{x} where pairs of floats are wanted")
    return x.like(x.shape[:-1], COMPLEX[x.dtype])


def _run_conjugate(x: Tensor) -> Tensor:
    return torch.conj_physical(x)


def _run_part(name: str) -> Callable[[Tensor], Tensor]:
    part = 0 if name == "real" else 1
    return lambda x: torch.view_as_real(x).select(-1, part)


def _resized(x: Spec, sizes: Sequence[int] | None, dims: Sequence[int]) -> list[int]:
    """The shape after the named dimensions were cut or filled up with zeros."""
    wanted(x.dtype in COMPLEX or x.complex, f"{x} where float32, float64 or complex is wanted")
    places = axes(dims, x.rank)
    shape = list(x.shape)
    if sizes is not None:
        wanted(len(sizes) == len(places), f"{len(sizes)} sizes of {len(places)} dimensions")
        for place, size in zip(places, sizes, strict=True):
            shape[place] = size
    wanted(all(0 < shape[place] <= 1 << 31 for place in places), f"{x} along {list(dims)}")
    wanted(x.elements > 0, f"{x} is empty")
    return shape


def _fourier(x: Spec, *, sizes: Sequence[int] | None, dims: Sequence[int], norm: str) -> Spec:
    return x.like(_resized(x, sizes, dims), COMPLEX.get(x.dtype, x.dtype))


def _real_fourier(x: Spec, *, sizes: Sequence[int] | None, dims: Sequence[int], norm: str) -> Spec:
    wanted(x.dtype in COMPLEX, f"{x} where float32 or float64 is wanted")
    shape = _resized(x, sizes, dims)
    shape[dims[-1]] = shape[dims[-1]] // 2 + 1
    return x.like(shape, COMPLEX[x.dtype])


def _inverse_real(x: Spec, *, sizes: Sequence[int] | None, dims: Sequence[int], norm: str) -> Spec:
    wanted(x.complex, f"{x} where complex numbers are wanted")
    shape = _resized(x, sizes, dims)
    if sizes is None:
        shape[dims[-1]] = 2 * (shape[dims[-1]] - 1)
        wanted(shape[dims[-1]] > 0, f"{x} along {list(dims)}")
    return x.like(shape, REAL[x.dtype])


def _flops(inputs: Sequence[Any], outputs: Sequence[Any], a: Mapping[str, Any]) -> int:
    """5 N log2 N for each transform of N numbers."""
    bigger = max(inputs[0], outputs[0], key=lambda spec: spec.elements)
    length = prod(bigger.shape[d] for d in a["dims"])
    return int(5 * bigger.elements * max(1.0, log2(max(length, 2))))


def _scratch(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    return 2 * int(max(inputs[0].bytes, outputs[0].bytes))


def _transform(name: str, doc: str, infer: Any, function: Any) -> Op:
    def run(x: Tensor, *, sizes: Any, dims: Any, norm: str) -> Any:
        return function(x, sizes, dims, norm)

    rules: dict[str, Rule] = {
        "sizes": Maybe(Many(Size(1), 1, MAX_RANK)),
        "dims": Many(Int(-MAX_RANK, MAX_RANK - 1), 1, MAX_RANK),
        "norm": Choice(("backward", "ortho", "forward")),
    }
    return Op(name, 1, doc, ("x",), infer, run, rules, flops=_flops, scratch=_scratch, since=2)


def _op(name: str, doc: str, inputs: tuple[str, ...], infer: Any, run: Any) -> Op:
    return Op(name, 1, doc, inputs, infer, run, since=2)


_CUT = (
    "A list of sizes cuts x along dims, or fills it up with zeros, first; null keeps the sizes. "
    "N is the product of the sizes along dims."
)

OPS = (
    _op(
        "complex",
        "real + i imaginary.",
        ("real", "imaginary"),
        _of_parts,
        torch.complex,
    ),
    _op("real", "The real part.", ("x",), _part, _run_part("real")),
    _op("imaginary", "The imaginary part.", ("x",), _part, _run_part("imaginary")),
    _op("conjugate", "The complex conjugate.", ("x",), _complex, _run_conjugate),
    _op(
        "complex_to_pair",
        "Real and imaginary part along a new last dimension of size 2.",
        ("x",),
        _split,
        torch.view_as_real,
    ),
    _op(
        "pair_to_complex",
        "The numbers whose parts stand along the last dimension, of size 2.",
        ("x",),
        _joined,
        lambda x: torch.view_as_complex(x.contiguous()),
    ),
    _transform(
        "fourier",
        "y[k] = sum over j of x[j] e^(-2 pi i j k / N), along each of dims. norm divides by N "
        f"(forward), by the root of N (ortho) or not (backward). {_CUT}",
        _fourier,
        torch.fft.fftn,
    ),
    _transform(
        "inverse_fourier",
        "x[j] = sum over k of y[k] e^(2 pi i j k / N), along each of dims. norm divides by N "
        f"(backward), by the root of N (ortho) or not (forward). {_CUT}",
        _fourier,
        torch.fft.ifftn,
    ),
    _transform(
        "real_fourier",
        f"fourier of real numbers; of the last of dims the first N // 2 + 1 numbers. {_CUT}",
        _real_fourier,
        torch.fft.rfftn,
    ),
    _transform(
        "inverse_real_fourier",
        "The real numbers whose real_fourier is x. sizes are those of the result; null means "
        "2 (M - 1) along the last of dims, where x has M.",
        _inverse_real,
        torch.fft.irfftn,
    ),
)
