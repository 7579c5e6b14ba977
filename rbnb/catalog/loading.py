"""Reading catalogs: one action a file, or many in one file, and the later replaces the earlier whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from rbnb.catalog.grammar import Action
from rbnb.config import Name, Settings, parse_settings, read_yaml
from rbnb.errors import ConfigError
from rbnb.model import NAME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["FOLDER", "load_catalog"]

#: A file in a folder of this name holds one action, called like the file; any other holds many under `actions`.
FOLDER = "actions"


class _CatalogFile(Settings):
    actions: Annotated[dict[Name, Action], Field(min_length=1)]


def load_catalog(paths: Sequence[Path]) -> dict[str, Action]:
    """Read catalogs; an action in a later file replaces the one of that name whole.

    Parameters
    ----------
    paths
        Files such as ``policies/actions/throttle.yaml`` with one action, or ``policies/actions.yaml`` with many.

    Raises
    ------
    ConfigError
        Naming the file, the key and what is allowed.
    """
    catalog: dict[str, Action] = {}
    for path in paths:
        catalog.update({name: action.placed(name, path) for name, action in _read(path).items()})
    return catalog


def _read(path: Path) -> dict[str, Action]:
    data = read_yaml(path)
    if path.parent.name != FOLDER:
        return parse_settings(_CatalogFile, data, path).actions
    if not NAME.fullmatch(path.stem):
        raise ConfigError(path, "", "an action is called like its file: letters, digits, '.', '_' and '-'")
    return {path.stem: parse_settings(Action, data, path)}
