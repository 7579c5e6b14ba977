"""What can be imported: a module says what it is for and what it offers, and `import rbnb` costs next to nothing."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import rbnb

PACKAGE = Path(rbnb.__file__).parent
NAMES = sorted(module.name for module in pkgutil.walk_packages([str(PACKAGE)], "rbnb."))
HEAVY = ("IPython", "ibis", "jupyterlab", "matplotlib", "nbclient", "numpy", "pandas", "papermill", "pyarrow")


def tree(name):
    """Return a module's source as a syntax tree, without importing it."""
    path = PACKAGE.joinpath(*name.split(".")[1:])
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def offers_something(name):
    """Whether a module is more than a docstring, and no program that is started by its path."""
    module = tree(name)
    named = [node for node in module.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    reexports = [node for node in module.body if isinstance(node, ast.ImportFrom) and node.module != "__future__"]
    is_program = any(
        isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'" for node in module.body
    )
    return bool(named or reexports) and not (is_program and exports(module) is None)


def exports(module):
    """Return what a module lists under `__all__`, or None."""
    for node in module.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return ast.literal_eval(node.value)
    return None


def test_every_module_was_looked_at():
    """The tests below see every file of the package."""
    files = {path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts}
    assert len(files) == len(NAMES) + 1
    assert len(NAMES) > 50


@pytest.mark.parametrize("name", ["rbnb", *NAMES])
def test_a_module_says_what_it_is_for(name):
    """A reader learns from a module's first lines what it is for."""
    told = ast.get_docstring(tree(name))
    assert told, name
    assert told.splitlines()[0].strip()


@pytest.mark.parametrize("name", ["rbnb", *[name for name in NAMES if offers_something(name)]])
def test_what_a_module_offers_is_there(name):
    """What a module lists as public exists, is listed once, and has no leading underscore."""
    listed = exports(tree(name))
    assert listed is not None, f"{name} has no __all__"
    module = importlib.import_module(name)
    assert [entry for entry in listed if not hasattr(module, entry)] == []
    assert len(set(listed)) == len(listed)
    assert [entry for entry in listed if entry.startswith("_") and entry != "__version__"] == []


@pytest.mark.parametrize("name", ["rbnb", *[name for name in NAMES if offers_something(name)]])
def test_what_is_public_is_documented(name):
    """Every public function and class says in its docstring what it does."""
    listed = set(exports(tree(name)) or [])
    silent = [
        node.name
        for node in tree(name).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in listed and not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["rbnb", "rbnb.cli", "rbnb.workspace", "rbnb.runner"])
def test_importing_is_light(name):
    """Importing rbnb, its command line and its workspace loads nothing heavy; that comes where it is used."""
    code = f"import {name}, sys; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_version_is_the_package_s():
    """`rbnb --version`, `rbnb.__version__` and the installed package agree."""
    from importlib.metadata import version

    assert rbnb.__all__ == ["__version__"]
    assert version("rbnb") == rbnb.__version__


def test_there_is_no_drawer_for_odds_and_ends():
    """A module is named for what it is about; nothing is called utils, helpers, common or misc."""
    odd = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [name for name in NAMES if odd & set(name.split("."))] == []
