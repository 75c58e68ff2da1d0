"""A small valid block to attack, and the bounds every refusal must keep."""

from __future__ import annotations

import copy
import json
import resource
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.errors import Refused
from metaloom_registry.graph import load_graph, validate_graph

MAX_SECONDS = 2.0
MAX_KILOBYTES = 500 * 1024

Header = dict[str, Any]


def valid_document() -> dict[str, Any]:
    """A linear map of 3 numbers to 2, and a ReLU."""
    return {
        "format": "metaloom.graph",
        "version": 1,
        "opset": 1,
        "dimensions": [{"name": "B", "low": 1, "high": 1024, "multiple": 1}],
        "inputs": [{"tensor": {"dtype": "float32", "shape": ["B", 3]}}],
        "state": [
            {
                "name": "layer.weight",
                "kind": "parameter",
                "dtype": "float32",
                "shape": [2, 3],
                "requires_grad": True,
            },
            {
                "name": "layer.bias",
                "kind": "parameter",
                "dtype": "float32",
                "shape": [2],
                "requires_grad": True,
            },
        ],
        "nodes": [
            {"op": "linear/1", "inputs": [0, 1, 2], "arguments": {}},
            {"op": "relu/1", "inputs": [3], "arguments": {}},
        ],
        "outputs": {"value": 4},
        "updates": [],
    }


def valid_header() -> Header:
    return {
        "layer.bias": {"dtype": "F32", "shape": [2], "data_offsets": [24, 32]},
        "layer.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    }


def safetensors(header: Any, data: bytes) -> bytes:
    """A safetensors file with any header at all."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


VALID_DATA = struct.pack("<8f", *range(8))


@contextmanager
def refused(match: str) -> Iterator[None]:
    """What is done within is refused with this message, quickly and in little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    with pytest.raises(Refused, match=match):
        yield
    assert time.perf_counter() - start < MAX_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MAX_KILOBYTES


@pytest.fixture
def document() -> dict[str, Any]:
    """The valid document, to be spoiled."""
    return copy.deepcopy(valid_document())


@pytest.fixture
def header() -> Header:
    """The header of the valid weights, to be spoiled."""
    return valid_header()


@pytest.fixture
def refuses_graph() -> Callable[[Any, str], None]:
    """Both ways in refuse a graph, given as document or as bytes."""

    def check(document: Any, match: str) -> None:
        graph = document if isinstance(document, bytes) else dump_canonical(document)
        weights = safetensors(valid_header(), VALID_DATA)
        for way_in in (validate_graph, load_graph):
            with refused(match):
                way_in(graph, weights)

    return check


@pytest.fixture
def refuses_weights() -> Callable[[bytes, str], None]:
    """Both ways in refuse the weights of the valid graph."""

    def check(weights: bytes, match: str) -> None:
        graph = dump_canonical(valid_document())
        for way_in in (validate_graph, load_graph):
            with refused(match):
                way_in(graph, weights)

    return check


@pytest.fixture
def make_weights() -> Callable[..., bytes]:
    def make(header: Any = None, data: bytes = VALID_DATA) -> bytes:
        return safetensors(valid_header() if header is None else header, data)

    return make


@pytest.fixture
def refusing() -> Callable[[str], AbstractContextManager[None]]:
    return refused
