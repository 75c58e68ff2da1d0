"""The one place that imports learn2learn: the parts of it that stand on torch alone.

`import learn2learn` runs `learn2learn/__init__.py`, which imports its gym and vision parts, and
fails where gym is not installed or torchvision is missing or broken.  Its algorithms, data, nn,
optim and utils need neither.  So the package is put among Python's modules without running its
`__init__`, and those parts are imported below it.  Where learn2learn was imported before, as a
whole, that is what is given.

Its wheel also installs a top-level package called `tests`; nothing of it is imported here.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

from metaloom_registry import MissingExtra

NAME = "learn2learn"
PARTS = ("utils", "data", "nn", "optim", "algorithms")
"""In the order in which they need each other."""


def learn2learn() -> ModuleType:
    """The package, with its algorithms, data, nn, optim and utils; `gym` and `vision` are left out.

    Later calls give the same module.  Raises MissingExtra where it is not installed, or a part of
    it does not load.
    """
    known = sys.modules.get(NAME)
    if known is not None and all(hasattr(known, part) for part in PARTS):
        return known
    spec = find_spec(NAME)
    if spec is None:
        raise MissingExtra(
            "learn2learn is not installed; `pip install --no-deps learn2learn==0.2.0` brings it "
            "(on Python 3.11 and newer its C sources have to be made anew with Cython)"
        )
    package = module_from_spec(spec)
    sys.modules[NAME] = package
    try:
        for part in PARTS:
            setattr(package, part, import_module(f"{NAME}.{part}"))
        for name, value in vars(package.utils).items():  # its __init__ says `from .utils import *`
            if not name.startswith("_"):
                package.__dict__.setdefault(name, value)
    except Exception as error:  # a broken torchvision raises RuntimeError, not ImportError
        for name in [n for n in sys.modules if n == NAME or n.startswith(f"{NAME}.")]:
            del sys.modules[name]
        raise MissingExtra(
            f"learn2learn is installed and does not load: {type(error).__name__}: {error}; "
            "install it anew with what it needs"
        ) from error
    return package
