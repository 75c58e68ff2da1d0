"""learn2learn's wrappers as blocks: the module that was meta-learned, without its wrapper."""

from __future__ import annotations

import copy
from typing import Any

from safetensors.torch import save
from torch import nn

from metaloom_registry import Consent, Imported, Json, Refused

WRAPPERS = ("MAML", "GBML", "MetaSGD")
RATES_FILE = "learning_rates.safetensors"
"""Where a block keeps the learning rates that MetaSGD learned, one a number of the module."""


class WrapperImporter:
    """Takes the module out of a `MAML`, `GBML` or `MetaSGD`.

    What adapts it is told in the facts under `learn2learn`: the algorithm, its learning rate, or
    the mean rate of each parameter where MetaSGD learned rates, all of which go into a file beside
    the graph.  learn2learn need not be imported for this; whoever has a wrapper did so.
    """

    def accepts(self, source: object) -> bool:
        return wrapper_kind(source) is not None

    def read(self, source: object, consent: Consent) -> Imported:
        """The module inside, with numbers of its own; an adapted clone as it is now.

        Raises Refused where there is no module inside.
        """
        name = wrapper_kind(source)
        wrapper: Any = source
        if name is None or not isinstance(wrapper.module, nn.Module):
            raise Refused(
                f"{type(source).__name__} is no {', '.join(WRAPPERS)} of learn2learn with a module"
            )
        module = detached(wrapper.module)
        told: dict[str, Json] = {
            "algorithm": name,
            "first_order": bool(getattr(wrapper, "first_order", False)),
        }
        files = {}
        if name == "MetaSGD":
            told["mean_rates"], files[RATES_FILE] = _rates(wrapper)
        else:
            told["learning_rate"] = float(wrapper.lr)
        if name == "GBML":
            told["transform"] = type(wrapper.transform).__name__
        return Imported(
            module, facts={"learn2learn": told}, files=files, tags=("learn2learn", name.lower())
        )


IMPORTER = WrapperImporter()


def detached(module: nn.Module) -> nn.Module:
    """A copy of the module; parameters that are functions of others are their values."""
    held: dict[int, Any] = {}
    held |= {id(p): nn.Parameter(p.detach().clone(), p.requires_grad) for p in module.parameters()}
    held |= {id(b): b.detach().clone() for b in module.buffers()}
    return copy.deepcopy(module, held)


def wrapper_kind(source: object) -> str | None:
    """Which of the wrappers an object is, by the name and home of its class."""
    for kind in type(source).__mro__:
        if kind.__name__ in WRAPPERS and kind.__module__.startswith("learn2learn."):
            return kind.__name__
    return None


def _rates(wrapper: Any) -> tuple[dict[str, Json], bytes]:
    """The learned rates by the name of the parameter: their means, and all of them."""
    names = [name for name, _ in wrapper.module.named_parameters()]
    rates = dict(zip(names, (rate.detach() for rate in wrapper.lrs), strict=True))
    means: dict[str, Json] = {name: float(rate.mean()) for name, rate in rates.items()}
    return means, save({name: rate.cpu().contiguous().clone() for name, rate in rates.items()})
