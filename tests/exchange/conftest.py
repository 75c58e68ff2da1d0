"""A small trained network, and hubs to take it from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tests.exchange.hub_server import TOKEN, running
from tests.exchange.hub_server import Hub as ModelServer
from torch import nn

from metaloom import Block, Hub
from metaloom.exchange import Remote
from metaloom_registry import catalogue
from metaloom_registry.workers import Pool

SIGNATURE = "image[1,12,12] -> logits[5]"


class SmallNet(nn.Module):
    """Convolution, batch norm, dropout and a linear layer."""

    def __init__(self, hidden: int = 4, classes: int = 5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, hidden, 3)
        self.norm = nn.BatchNorm2d(hidden)
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(hidden * 4, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.norm(self.conv(x)))
        pooled = nn.functional.adaptive_avg_pool2d(hidden, 2)
        return self.head(self.drop(pooled.flatten(1)))


def trained(hidden: int = 4) -> SmallNet:
    """A network with statistics of its own."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = SmallNet(hidden)
        for _ in range(3):
            net(torch.rand(8, 1, 12, 12))
    return net.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 1, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def net() -> SmallNet:
    return trained()


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """One set of workers that try strangers' blocks, for all hubs of these tests."""
    workers = Pool()
    yield workers
    workers.close()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Iterator[Hub]:
    """A library that all tests share; what is published there is never changed."""
    with opened(tmp_path_factory.mktemp("exchange") / "ours", pool) as ours:
        yield ours


@pytest.fixture
def other(tmp_path: Path, pool: Pool) -> Iterator[Hub]:
    """An empty library."""
    with opened(tmp_path / "theirs", pool) as theirs:
        yield theirs


def opened(folder: Path, pool: Pool) -> Hub:
    return Hub(folder, catalogue.Registry.open(folder, pool=pool), None)


@pytest.fixture(scope="session")
def block(hub: Hub) -> Block:
    return hub.publish("me/small", trained(), SIGNATURE, license="MIT", card="Small.")


@pytest.fixture(scope="session")
def doubling(hub: Hub) -> Block:
    """A program that uses another program."""
    hub.publish("me/add3", "(lam (map (lam (add 3 $0)) $0))")
    return hub.publish("me/add6", "(lam (me/add3 (me/add3 $0)))", license="MIT")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """The house forbids the network; this server is of this machine."""
    yield from _reached(monkeypatch, elsewhere=False)


@pytest.fixture
def server_and_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    """A server whose tensors are at another host."""
    yield from _reached(monkeypatch, elsewhere=True)


def _reached(monkeypatch: pytest.MonkeyPatch, *, elsewhere: bool) -> Iterator[ModelServer]:
    constants = pytest.importorskip("huggingface_hub.constants", reason="the extra is missing")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # it speaks git LFS, not Xet
    with running(elsewhere) as hub:
        yield hub


@pytest.fixture
def remote(server: ModelServer, tmp_path: Path) -> Remote:
    return Remote(server.url, TOKEN, tmp_path / "cache")
