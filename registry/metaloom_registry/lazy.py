"""Public names that are imported when they are first used: importing a package costs nothing.

A package lists its public names in its `__init__`, by the module that defines them:

    if TYPE_CHECKING:
        from metaloom_registry.digest import Digest as Digest
    else:
        __getattr__, __dir__, __all__ = lazy_names(__name__, {"digest": ("Digest",)})

The imports are repeated for type checkers, and a test holds the two together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module


def lazy_names(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """The `__getattr__`, `__dir__` and `__all__` of a package (PEP 562).

    `names` maps each module, relative to the package, to the public names it defines.  A name is
    imported once and then kept in the package.  Raises ValueError where two modules claim one name,
    and where a name is also a module's, because importing the module would hide the name.
    """
    modules: dict[str, str] = {}
    for module, exported in names.items():
        for name in exported:
            if name in names:
                raise ValueError(
                    f"{package} has a module {name} and a public name {name}; rename the module"
                )
            if name in modules:
                raise ValueError(
                    f"{package} lists {name} twice, from {modules[name]} and from {module}; "
                    "a public name has one home"
                )
            modules[name] = module
    public = sorted(modules)

    def __getattr__(name: str) -> object:  # noqa: N807 - the hook PEP 562 names
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*vars(sys.modules[package]), *public})

    return __getattr__, __dir__, public
