"""Files that `torch.save` writes: pickles, which can run code and are not read."""

from __future__ import annotations

from pathlib import Path

from metaloom_registry.errors import Refused

SUFFIXES = (".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth")


def refuse_pickle(path: Path) -> None:
    """Raise Refused, with what to do instead, where a path has the suffix of such a file."""
    if path.suffix in SUFFIXES:
        raise Refused(
            f"{path} is not read: a file of torch.save can run code. Load it where you trust it, "
            'and publish the module from Python: Hub.open().publish("me/net", net, '
            '"image[1,28,28] -> vec[64]")'
        )
