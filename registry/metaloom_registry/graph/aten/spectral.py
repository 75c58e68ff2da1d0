"""ATen's complex numbers and Fourier transforms in our ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_registry.errors import Refused
from metaloom_registry.graph.draft import Arguments, Draft

Translation = Callable[[Draft, Arguments], Any]


def _along_one(op: str) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        sizes = None if a["n"] is None else [a["n"]]
        return g.node(op, [a["self"]], sizes=sizes, dims=[a["dim"]], norm=a["norm"] or "backward")

    return translate


def _along_many(op: str) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        x, sizes, dims = a["self"], a["s"], a["dim"]
        if dims is None:
            count = x.rank if sizes is None else len(sizes)
            dims = list(range(x.rank - count, x.rank))
        if sizes is not None and any(isinstance(size, int) and size == -1 for size in sizes):
            raise Refused("a Fourier transform with the size -1; leave s out")
        return g.node(op, [x], sizes=sizes, dims=dims, norm=a["norm"] or "backward")

    return translate


def _one(op: str) -> Translation:
    return lambda g, a: g.node(op, [a["self"]])


def _polar(g: Draft, a: Arguments) -> Any:
    real = g.node("multiply/1", [a["abs"], g.node("cos/1", [a["angle"]])])
    imaginary = g.node("multiply/1", [a["abs"], g.node("sin/1", [a["angle"]])])
    return g.node("complex/1", [real, imaginary])


_TRANSFORMS = {
    "fft": "fourier/1",
    "ifft": "inverse_fourier/1",
    "rfft": "real_fourier/1",
    "irfft": "inverse_real_fourier/1",
}

SPECTRAL: dict[str, Translation] = {
    **{f"aten.fft_{name}.default": _along_one(op) for name, op in _TRANSFORMS.items()},
    **{
        f"aten.fft_{name}{many}.default": _along_many(op)
        for name, op in _TRANSFORMS.items()
        for many in ("2", "n")
    },
    "aten.complex.default": lambda g, a: g.node("complex/1", [a["real"], a["imag"]]),
    "aten.polar.default": _polar,
    "aten.real.default": _one("real/1"),
    "aten.imag.default": _one("imaginary/1"),
    "aten.conj.default": _one("conjugate/1"),
    "aten._conj.default": _one("conjugate/1"),
    "aten.conj_physical.default": _one("conjugate/1"),
    "aten.resolve_conj.default": lambda g, a: a["self"],
    "aten.view_as_real.default": _one("complex_to_pair/1"),
    "aten.view_as_complex.default": _one("pair_to_complex/1"),
}
