"""MLflow models of blocks, one of them served by `mlflow models serve` and asked."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import pyfunc
from torch import nn

from metaloom.exchange.served import _load_pyfunc
from metaloom_registry import InvalidTask, Refused

pandas = pytest.importorskip("pandas")
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def model(block, tmp_path_factory) -> Path:
    return block.export(tmp_path_factory.mktemp("mlflow") / "small.mlflow")


@pytest.fixture
def address(model: Path, tmp_path: Path) -> Iterator[str]:
    """A server of the model on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    command = [
        *(str(BIN / "mlflow"), "models", "serve", "-m", str(model), "--env-manager", "local"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server, tmp_path / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + 200
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(log.read_text())


def ask(address: str, question: Any) -> Any:
    request = urllib.request.Request(
        f"{address}/invocations",
        json.dumps(question).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"]


@pytest.mark.timeout(300)
def test_a_served_block_answers_what_the_block_computes(address, net, images):
    for rows in (1, 6):
        given = ask(address, {"inputs": images[:rows].tolist()})

        torch.testing.assert_close(torch.tensor(given), net(images[:rows]).detach())


def test_nothing_of_a_model_is_pickled_or_code(model):
    suffixes = {path.suffix for path in model.rglob("*") if path.is_file()}

    assert suffixes <= {"", ".json", ".safetensors", ".txt", ".yaml"}
    assert "loader_module: metaloom.exchange.served" in (model / "MLmodel").read_text()
    needs = (model / "requirements.txt").read_text()
    assert "torch==" in needs
    assert "+cpu" not in needs


def test_a_model_loads_in_this_process_with_its_schema(model, net, images):
    loaded = pyfunc.load_model(str(model))

    assert loaded.metadata.signature.inputs.inputs[0].shape == (-1, 1, 12, 12)
    assert loaded.metadata.signature.outputs.inputs[0].shape == (-1, 5)
    np.testing.assert_allclose(loaded.predict(images.numpy()), net(images).detach(), atol=1e-6)


def test_a_program_takes_one_column_an_argument(doubling, tmp_path):
    loaded = pyfunc.load_model(str(doubling.export(tmp_path / "add6", "mlflow")))

    rows = pandas.DataFrame({"input": [[1, 2], [30]]})
    assert loaded.predict(rows) == [[7, 8], [36]]


def test_several_arrays_go_in_and_come_out_by_name(hub, tmp_path):
    class Two(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return a + b, a.argmax(1)

    block = hub.publish("me/two", Two(), "vec[3] -> vec[3] -> (vec[3], label[3])")
    loaded = pyfunc.load_model(str(block.export(tmp_path / "two.mlflow")))

    one = np.eye(3, dtype=np.float32)
    given = loaded.predict({"input_0": one, "input_1": one})

    np.testing.assert_array_equal(given["output_0"], one * 2)
    np.testing.assert_array_equal(given["output_1"], [0, 1, 2])


def test_a_missing_input_is_named(model, block, hub, tmp_path):
    served = _load_pyfunc(str(model / "data" / "block"))

    with pytest.raises(InvalidTask, match=r"'input' is missing; given are \['image'\]"):
        served.predict({"image": np.zeros((1, 1, 12, 12), np.float32)})


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("(lam $0)", "has no place in an MLflow schema"),
        ("(lam (lam (prototypes $1 $0)))", "learns from examples first"),
    ],
)
def test_a_program_that_cannot_be_asked_is_refused(hub, tmp_path, program, message):
    block = hub.publish(f"me/asked{len(program)}", program)

    with pytest.raises(Refused, match=message):
        block.export(tmp_path / "asked", "mlflow")
    assert list(tmp_path.iterdir()) == []
