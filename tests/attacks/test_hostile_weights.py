"""Files of weights made to run code, to exhaust the machine, or to be read in two ways."""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
import zipfile

import pytest
import torch
from torch import nn

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.graph import load_graph

FLOATS = struct.Struct("<8f")


def test_a_renamed_pickle_is_refused(refuses_weights):
    refuses_weights(pickle.dumps({"layer.weight": [1.0]}), "no safetensors file")


def test_a_checkpoint_of_torch_is_refused(refuses_weights):
    file = io.BytesIO()
    torch.save(nn.Linear(3, 2).state_dict(), file)
    refuses_weights(file.getvalue(), "no safetensors file")


def test_a_zip_archive_is_refused(refuses_weights):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../evil", "x")
    refuses_weights(file.getvalue(), "no safetensors file")


@pytest.mark.parametrize("size", [1 << 63, (1 << 64) - 1, 1 << 40, 1000])
def test_a_header_that_claims_to_be_huge_is_refused(size, refuses_weights):
    refuses_weights(struct.pack("<Q", size) + b"{}" + bytes(100), "claim a header of")


@pytest.mark.parametrize("data", [b"", b"\x00", bytes(7)])
def test_a_file_without_a_header_is_refused(data, refuses_weights):
    refuses_weights(data, "no safetensors file")


def test_an_empty_header_is_refused(refuses_weights):
    refuses_weights(bytes(8), "header of the weights")


@pytest.mark.parametrize("text", [b"[]", b"null", b"{", b'{"a":1,"a":2}', b"[" * 1000, b"\xff\xfe"])
def test_a_header_that_is_no_object_is_refused(text, make_weights, refuses_weights):
    refuses_weights(make_weights(text), "header of the weights")


def test_overlapping_tensors_are_refused(header, make_weights, refuses_weights):
    header["layer.bias"]["data_offsets"] = [16, 24]
    refuses_weights(make_weights(header, bytes(24)), "'layer.bias' overlaps")


def test_a_gap_that_could_hide_data_is_refused(header, make_weights, refuses_weights):
    header["layer.bias"]["data_offsets"] = [32, 40]
    refuses_weights(make_weights(header, bytes(40)), "leaves a gap")


def test_data_after_the_last_tensor_are_refused(make_weights, refuses_weights):
    refuses_weights(make_weights(None, FLOATS.pack(*range(8)) + b"#!/bin/sh"), "cover 32 bytes")


def test_a_truncated_file_is_refused(make_weights, refuses_weights):
    refuses_weights(make_weights()[:-1], "cover 32 bytes of 31")


@pytest.mark.parametrize(
    ("shape", "offsets"),
    [
        ([1 << 40, 1 << 40], [0, 24]),
        ([2, -3], [0, 24]),
        ([2, 3.0], [0, 24]),
        ([True, 3], [0, 24]),
        ([2] * 9, [0, 24]),
        ("23", [0, 24]),
        ([2, 3], [24, 0]),
        ([2, 3], [0, 1 << 62]),
        ([2, 3], [0, 24, 48]),
        ([2, 3], None),
        ([1 << 20, 1 << 20], [0, 24]),
    ],
)
def test_shapes_and_offsets_that_misfit_are_refused(
    shape, offsets, header, make_weights, refuses_weights
):
    header["layer.weight"] = {"dtype": "F32", "shape": shape, "data_offsets": offsets}
    refuses_weights(make_weights(header), "tensor 'layer.weight'")


@pytest.mark.parametrize("dtype", ["F8_E4M3", "float32", "object", None, 7, {}])
def test_other_dtypes_are_refused(dtype, header, make_weights, refuses_weights):
    header["layer.weight"]["dtype"] = dtype
    refuses_weights(make_weights(header), "has the dtype")


def test_more_tensors_than_a_module_has_are_refused(make_weights, refuses_weights):
    many = {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)}
    refuses_weights(make_weights(json.dumps(many).encode(), b""), "weights")


def test_a_tensor_the_graph_does_not_own_is_refused(header, make_weights, refuses_weights):
    header["extra"] = {"dtype": "F32", "shape": [0], "data_offsets": [32, 32]}
    refuses_weights(make_weights(header), "does not own")


def test_a_missing_tensor_is_refused(header, make_weights, refuses_weights):
    header["renamed"] = header.pop("layer.bias")
    refuses_weights(make_weights(header), r"lack some that it owns \['layer.bias'\]")


def test_a_tensor_of_another_shape_is_refused(header, make_weights, refuses_weights):
    header["layer.weight"]["shape"] = [3, 2]
    refuses_weights(make_weights(header), r"layer.weight as float32\[3,2\]")


@pytest.mark.parametrize("name", ["__class__", "../x", "layer/weight", "wеight"])
def test_odd_names_are_refused(name, header, make_weights, refuses_weights):
    header[name] = header.pop("layer.weight")
    refuses_weights(make_weights(header), "is not a name")


def test_metadata_that_could_carry_anything_are_refused(header, make_weights, refuses_weights):
    header["__metadata__"] = {"format": "pt", "code": "import os"}
    refuses_weights(make_weights(header), "metadata")


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_parameters_that_are_no_numbers_are_refused(number, make_weights, refusing, document):
    data = FLOATS.pack(0, 1, number, 3, 4, 5, 6, 7)
    with refusing("NaN or infinity in layer.weight"):
        load_graph(dump_canonical(document), make_weights(None, data))
