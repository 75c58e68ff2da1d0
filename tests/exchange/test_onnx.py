"""ONNX files, which another runtime computes the same from."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from metaloom.exchange import onnx_file
from metaloom.exchange.arrays import leaf_names, unflattened
from metaloom_registry import (
    MissingExtra,
    Refused,
    export_module,
    exported_program,
    load_graph,
)


@pytest.fixture(scope="module")
def file(block, tmp_path_factory):
    return block.export(tmp_path_factory.mktemp("onnx") / "small.onnx")


def test_another_runtime_computes_the_same_from_it_at_any_batch_size(file, net, images):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    for rows in (1, 2, 6):
        [given] = session.run(["output"], {"input": images[:rows].numpy()})
        np.testing.assert_allclose(given, net(images[:rows]).detach().numpy(), atol=1e-5)


def test_it_is_one_file_that_onnx_checks_and_that_tells_no_path(file):
    model = onnx.load(file, load_external_data=False)
    onnx.checker.check_model(model, full_check=True)

    assert [entry.name for entry in model.graph.input] == ["input"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 0
    assert b"site-packages" not in file.read_bytes()
    assert [path.name for path in file.parent.iterdir()] == ["small.onnx"]


def test_inputs_and_outputs_are_called_by_their_places(tmp_path):
    class Two(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return a + b, a * 2

    exported = export_module(Two(), "vec[3] -> vec[3] -> (vec[3], vec[3])")
    path = tmp_path / "two.onnx"
    onnx_file.write_onnx(load_graph(exported.graph, exported.weights), path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    given = {"input_0": np.ones((2, 3), np.float32), "input_1": np.full((2, 3), 4, np.float32)}
    first, second = session.run(["output_0", "output_1"], given)
    assert (first == 5).all()
    assert (second == 2).all()


def test_a_file_that_computes_something_else_is_refused_and_not_written(
    block, tmp_path, monkeypatch
):
    loaded = block.load()
    changed = block.load()
    with torch.no_grad():
        changed.get_parameter("head.bias").add_(1.0)
    program = exported_program(changed)
    monkeypatch.setattr(onnx_file, "exported_program", lambda module: program)

    with pytest.raises(Refused, match="computes something else than the block: output 0"):
        onnx_file.write_onnx(loaded, tmp_path / "wrong.onnx")
    assert not (tmp_path / "wrong.onnx").exists()


def test_what_does_not_convert_is_refused_with_the_reason(block, tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no ONNX function for fft")

    monkeypatch.setattr(torch.onnx, "export", fail)

    with pytest.raises(Refused, match=r"does not convert to ONNX: .*no ONNX function for fft"):
        block.export(tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_without_onnx_the_extra_is_named(block, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)

    with pytest.raises(MissingExtra, match=r"pip install 'metaloom\[onnx\]'"):
        block.export(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("trees", "names"),
    [
        ((1,), ["input"]),
        ((1, 2), ["input_0", "input_1"]),
        (((1, 2),), ["input_0", "input_1"]),
        (({"b": 1, "a": 2},), ["input_a", "input_b"]),
        ((1, {"a": (2, 3)}), ["input_0", "input_1_a_0", "input_1_a_1"]),
    ],
)
def test_each_tensor_of_a_tree_has_a_name(trees, names):
    assert leaf_names(trees, "input") == names
    values = list(range(len(names)))
    assert leaf_names(unflattened(trees, values), "input") == names
