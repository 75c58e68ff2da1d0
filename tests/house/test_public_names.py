"""The public names of the three packages: listed once, importable, documented."""

import ast
import inspect
import pkgutil
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

PACKAGES = ("metaloom", "metaloom_metalearn", "metaloom_registry")


def for_type_checkers(package: ModuleType) -> dict[str, str]:
    """The names that the `if TYPE_CHECKING` block of a package imports, and the module of each."""
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.asname or "": statement.module or ""
        for block in blocks
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def at_run_time(package: ModuleType) -> dict[str, str]:
    """The names that the lazy import of a package lists, and the module of each."""
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 2]
    assert len(calls) == 1, f"{package.__name__} should call lazy_names once"
    modules = ast.literal_eval(calls[0].args[1])
    return {
        name: f"{package.__name__}.{module}" for module, names in modules.items() for name in names
    }


def documented(module: ModuleType) -> set[str]:
    """The names of a module that are assigned or wrapped by a decorator, with a docstring."""
    assert module.__file__ is not None
    body = ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
    functions = (statement for statement in body if isinstance(statement, ast.FunctionDef))
    names = {one.name for one in functions if one.decorator_list and ast.get_docstring(one)}
    for statement, following in pairwise(body):
        targets = (
            [statement.target]
            if isinstance(statement, ast.AnnAssign)
            else statement.targets
            if isinstance(statement, ast.Assign)
            else []
        )
        is_text = (
            isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        )
        if is_text:
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("name", PACKAGES)
def test_type_checkers_and_the_interpreter_see_the_same_public_names(name):
    package = import_module(name)

    assert for_type_checkers(package) == at_run_time(package)
    assert package.__all__ == sorted(at_run_time(package))


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_can_be_imported(name):
    package = import_module(name)

    missing = [public for public in package.__all__ if not hasattr(package, public)]

    assert missing == []


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_is_hidden_by_a_module(name):
    package = import_module(name)

    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}

    assert modules & set(package.__all__) == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_has_a_docstring(name):
    package = import_module(name)
    bare = []
    for public, home in at_run_time(package).items():
        value = getattr(package, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            written = inspect.getdoc(value) or ""
            # What dataclasses and protocols inherit or generate is nobody's words.
            if not written or written.startswith(f"{public}("):
                bare.append(public)
        elif public not in documented(import_module(home)):
            bare.append(public)

    assert bare == []
