"""The numbers of a graph: a safetensors file, checked by hand before any of it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import torch
from safetensors.torch import save
from torch import Tensor

from metaloom_registry.canonical import load_strict
from metaloom_registry.errors import ParseError, Refused
from metaloom_registry.graph.document import Graph
from metaloom_registry.graph.reading import MAX_STATE, SMALL, SMALL_KEPT, check_state_name
from metaloom_registry.graph.values import FLOATS, MAX_RANK, REAL, Spec

MAX_HEADER = 4 * 1024 * 1024
MAX_BYTES = 16 << 30

_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "C64": "complex64",
}  # fmt: skip
_MAX_SIZE = 1 << 31


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor lies: dtype and shape, and its first byte after the header."""

    spec: Spec
    start: int


def write_weights(tensors: Mapping[str, Tensor]) -> bytes:
    """The safetensors file of some named tensors; the same tensors give the same bytes."""
    plain: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in storages or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()  # of memory that another has too; safetensors refuses it
        storages.add(tensor.untyped_storage().data_ptr())
        plain[name] = tensor
    return save(plain)


def read_header(weights: bytes) -> tuple[Mapping[str, Entry], int]:
    """The tensors a safetensors file declares, and where its data begin.

    Raises Refused unless the header is small, strict JSON, and names tensors of known dtypes that
    together cover the data exactly once.
    """
    if len(weights) > MAX_BYTES:
        raise Refused(f"the weights have {len(weights)} bytes; at most {MAX_BYTES} are read")
    if len(weights) < 8:
        raise Refused(f"the weights have {len(weights)} bytes: no safetensors file")
    length = int.from_bytes(weights[:8], "little")
    if length > min(MAX_HEADER, len(weights) - 8):
        raise Refused(
            f"the weights are no safetensors file: they claim a header of {length} bytes, where "
            f"{len(weights) - 8} follow and at most {MAX_HEADER} are allowed"
        )
    header, size = weights[8 : 8 + length], len(weights) - 8 - length
    read = _entries if length > SMALL else _remembered_entries
    return read(header, size), 8 + length


@lru_cache(SMALL_KEPT)
def _remembered_entries(header: bytes, size: int) -> Mapping[str, Entry]:
    """The entries of a small header, which weights of one architecture share."""
    return MappingProxyType(_entries(header, size))


def _entries(written: bytes, size: int) -> dict[str, Entry]:
    """The tensors a header declares, in so many bytes of data. Raises Refused."""
    try:
        header = load_strict(written, "the header of the weights")
    except ParseError as error:
        raise Refused(str(error)) from None
    if not isinstance(header, dict):
        raise Refused("the header of the weights is not an object")
    if header.pop("__metadata__", {"format": "pt"}) != {"format": "pt"}:
        raise Refused("the weights carry metadata other than {'format': 'pt'}; write none")
    if len(header) > MAX_STATE:
        raise Refused(f"the weights have {len(header)} tensors; at most {MAX_STATE} are read")
    entries = {name: _entry(name, item) for name, item in header.items()}
    _check_cover(entries, size)
    return entries


def check_weights(graph: Graph, weights: bytes) -> Mapping[str, Entry]:
    """The entry of each tensor the graph owns, counted from the first byte of the file.

    Raises Refused where the file holds another tensor, lacks one, or one has another dtype or
    shape.
    """
    entries, begin = read_header(weights)
    owned = {s.name: Spec(s.dtype, s.shape) for s in graph.state if s.kind != "shared"}
    if entries.keys() != owned.keys():
        extra, missing = sorted(set(entries) - set(owned)), sorted(set(owned) - set(entries))
        raise Refused(
            f"the weights have tensors the graph does not own {str(extra)[:120]} "
            f"or lack some that it owns {str(missing)[:120]}"
        )
    for name, spec in owned.items():
        if entries[name].spec != spec:
            raise Refused(f"the weights hold {name} as {entries[name].spec}; the graph has {spec}")
    return {name: Entry(entry.spec, begin + entry.start) for name, entry in entries.items()}


def read_weights(graph: Graph, weights: bytes, *, checked: bool = False) -> dict[str, Tensor]:
    """The tensors a graph owns, by name, each with memory of its own.

    checked: these very bytes were accepted before, so the numbers are not looked at again.

    Raises Refused as `check_weights`, for NaN anywhere, infinities in parameters, and truth values
    other than 0 and 1.
    """
    entries = check_weights(graph, weights)
    view = bytearray(weights) if entries else bytearray()
    found = {}
    for name, entry in entries.items():
        dtype = getattr(torch, entry.spec.dtype)
        count = entry.spec.elements
        if count == 0:
            found[name] = torch.empty(entry.spec.shape, dtype=dtype)
            continue
        flat = torch.frombuffer(view, dtype=dtype, count=count, offset=entry.start)
        found[name] = flat.clone().view(entry.spec.shape)
    if not checked and not _all_finite(view, entries):
        kinds = {state.name: state.kind for state in graph.state}
        for name, tensor in found.items():
            if tensor.is_floating_point() or tensor.is_complex():
                _check_finite(tensor, name, infinities=kinds[name] != "parameter")
    return found


def _all_finite(view: bytearray, entries: Mapping[str, Entry]) -> bool:
    """Whether no float is NaN or infinite; in one look at each run of tensors of one dtype.

    Raises Refused for truth values other than 0 and 1: what torch does with them is undefined.
    """
    runs: list[tuple[str, int, int]] = []
    for entry in sorted(entries.values(), key=lambda entry: entry.start):
        name, start, stop = entry.spec.dtype, entry.start, entry.start + entry.spec.bytes
        if runs and runs[-1][0] == name and runs[-1][2] == start:
            runs[-1] = (name, runs[-1][1], stop)
        else:
            runs.append((name, start, stop))
    for name, start, stop in runs:
        if name == "bool" and stop > start:
            flat = torch.frombuffer(view, dtype=torch.uint8, count=stop - start, offset=start)
            if int(flat.max()) > 1:
                raise Refused("the weights hold truth values that are neither 0 nor 1")
        if (name in FLOATS or name in REAL) and stop > start:
            dtype = getattr(torch, REAL.get(name, name))
            flat = torch.frombuffer(
                view, dtype=dtype, count=(stop - start) // dtype.itemsize, offset=start
            )
            low, high = torch.aminmax(flat)  # NaN anywhere makes both NaN
            if not bool(torch.isfinite(low) & torch.isfinite(high)):
                return False
    return True


def _check_finite(tensor: Tensor, name: str, *, infinities: bool) -> None:
    wrong = torch.isnan(tensor) if infinities else ~torch.isfinite(tensor)
    if wrong.any():
        raise Refused(
            f"the weights hold NaN{'' if infinities else ' or infinity'} in {name} "
            f"({int(wrong.sum())} of {tensor.numel()}); a block of such numbers is of no use"
        )


def _entry(name: str, item: object) -> Entry:
    what = f"the weights' tensor {name[:60]!r}"
    check_state_name(name, "the weights")
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise Refused(f"{what} is not described by dtype, shape and data_offsets alone")
    dtype = _DTYPES.get(item["dtype"]) if isinstance(item["dtype"], str) else None
    if dtype is None:
        raise Refused(f"{what} has the dtype {str(item['dtype'])[:40]!r}, which is not one of ours")
    shape, offsets = item["shape"], item["data_offsets"]
    if not isinstance(shape, list) or len(shape) > MAX_RANK or not _sizes(shape, _MAX_SIZE):
        raise Refused(f"{what} has the shape {str(shape)[:60]}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not _sizes(offsets, MAX_BYTES):
        raise Refused(f"{what} lies at {str(offsets)[:60]}")
    spec = Spec(dtype, tuple(shape))
    if offsets[1] - offsets[0] != spec.bytes:
        raise Refused(f"{what} is {spec} of {spec.bytes} bytes, but lies at {offsets}")
    return Entry(spec, offsets[0])


def _sizes(values: list[object], most: int) -> bool:
    return all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= most for v in values)


def _check_cover(entries: Mapping[str, Entry], size: int) -> None:
    end = 0
    for name, entry in sorted(
        entries.items(), key=lambda item: (item[1].start, item[1].spec.bytes)
    ):
        if entry.start != end:
            word = "overlaps the one before it" if entry.start < end else "leaves a gap before it"
            raise Refused(f"the weights' tensor {name!r} {word}")
        end += entry.spec.bytes
    if end != size:
        raise Refused(f"the weights' tensors cover {end} bytes of {size}")
