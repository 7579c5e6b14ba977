"""Runbook templates: where they are, what they are called, which stages and parameters they have.

A template is a notebook. Its metadata say what it is::

    "rbnb": {"name": "latency_spike", "version": "1.0.0", "title": "Latency spike", "stages": ["Header", ...]}

a stage begins at the markdown cell headed by its name (``## Header`` or ``## 1. Header``), and the cell
tagged ``parameters`` declares what may be given; `rbnb.templates.parameters` has its grammar.

Rules: reading runs nothing. A name is checked before it meets a path, and the file found must lie in
its folder, also through links. Folders are searched in order, so a workspace's template hides a shipped
one. The digest is of the raw bytes that were read, so that what is run can be held against it.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rbnb.errors import ConfigError, NameRefusedError, NotFoundError
from rbnb.model import NAME, checked_name
from rbnb.templates.parameters import Parameter, check_values, declared_parameters, parse_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "Parameter",
    "Template",
    "check_parameters",
    "find_templates",
    "load_template",
    "parse_assignment",
    "read_template",
    "source_of",
    "stages_of_cells",
    "tagged",
]

_LARGEST_FILE = 8 * 2**20
_HEADING = re.compile(r"\s*##\s+(?:\d+\.?\s+)?(?P<title>.*?)\s*#*\s*(?:\n|$)")


@dataclass(frozen=True, slots=True)
class Template:
    """A template as read: `digest` is the sha256 of its raw bytes, `notebook` its parsed JSON."""

    name: str
    path: Path
    version: str
    title: str
    digest: str
    parameters: tuple[Parameter, ...]
    stages: tuple[str, ...]
    notebook: dict[str, Any]


def find_templates(folders: Iterable[Path]) -> dict[str, Path]:
    """Return every template by name; where two folders have one name, the earlier folder wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in sorted(folder.glob("*.ipynb")):
            if NAME.fullmatch(path.stem) and path.is_file() and _lies_in(path, folder):
                found.setdefault(path.stem, path)
    return found


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def load_template(name: str, folders: Iterable[Path]) -> Template:
    """Find and read the template called `name`.

    Raises
    ------
    NameRefusedError
        If the name could be a path, or leads out of its folder.
    NotFoundError
        If no folder has it.
    ConfigError
        If the file is no template.
    """
    folders = tuple(folders)
    checked_name("template", name)
    for folder in folders:
        path = folder / f"{name}.ipynb"
        if not path.is_file():
            continue
        if not _lies_in(path, folder):
            raise NameRefusedError(
                f"the template {name!r} leads out of {folder}", hint="put the notebook itself into the folder"
            )
        return read_template(path)
    raise NotFoundError("template", name, find_templates(folders))


def read_template(path: Path, content: bytes | None = None) -> Template:
    """Read one template file; `content` is its bytes, where they were read already.

    Raises
    ------
    ConfigError
        If it is no notebook, does not say what it is, or declares a parameter that cannot be.
    """
    if content is None:
        content = _bytes(path)
    notebook = _notebook(path, content)
    about = notebook["metadata"].get("rbnb")
    if not isinstance(about, dict):
        raise ConfigError(path, "metadata.rbnb", "is missing", hint="a template says its name, version, title, stages")
    words = {key: _word(path, about, key) for key in ("name", "version", "title")}
    if words["name"] != path.stem:
        raise ConfigError(path, "metadata.rbnb.name", f"says {words['name']!r} but the file is called {path.name}")
    stages = _stages(path, about)
    _check_headings(path, notebook["cells"], stages)
    return Template(
        **words,
        path=path,
        digest=hashlib.sha256(content).hexdigest(),
        parameters=_parameters(path, notebook["cells"]),
        stages=stages,
        notebook=notebook,
    )


def check_parameters(template: Template, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every declared parameter with its value: as given where given, else its default.

    Values come back as plain Python of the declared type: a whole number given for a float is one.

    Raises
    ------
    ParameterError
        If a name is not declared, or a value is of the wrong type, out of range, not finite or too long.
    """
    return check_values(template.name, template.parameters, given)


def parse_assignment(assignment: str, template: Template) -> tuple[str, Any]:
    """Read ``name=value`` by the declared type, never by the look of the text.

    For a str the text is the value, so 007 stays 007. ``none`` is None where a number or truth value may be.

    Raises
    ------
    ParameterError
        If there is no ``=``, the name is not declared, or the text is no such value.
    """
    return parse_value(template.name, template.parameters, assignment)


def tagged(cell: Mapping[str, Any], tag: str) -> bool:
    """Whether a cell bears a tag."""
    return tag in cell["metadata"].get("tags", [])


def source_of(cell: Mapping[str, Any]) -> str:
    """Return a cell's text, which a file may hold as one string or as lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def stages_of_cells(cells: Sequence[Mapping[str, Any]], stages: Sequence[str]) -> list[str | None]:
    """Say for each cell which stage it belongs to; cells before the first stage belong to none.

    Examples
    --------
    >>> cells = [{"cell_type": "code", "source": "1"}, {"cell_type": "markdown", "source": "## 1. Header"}]
    >>> stages_of_cells(cells, ["Header"])
    [None, 'Header']
    """
    by_title = {_same(stage): stage for stage in stages}
    now: str | None = None
    places: list[str | None] = []
    for cell in cells:
        heading = _HEADING.match(source_of(cell)) if cell["cell_type"] == "markdown" else None
        if heading:
            now = by_title.get(_same(heading["title"]), now)
        places.append(now)
    return places


def _same(title: str) -> str:
    return " ".join(title.split()).casefold()


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigError(path, "", "is over 8 MiB; a template has no outputs")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read: {error.strerror or error}") from None


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _notebook(path: Path, content: bytes) -> dict[str, Any]:
    try:
        notebook = json.loads(content.decode("utf-8"), parse_constant=_not_json)
    except (ValueError, RecursionError) as error:
        raise ConfigError(path, "", f"is not a notebook: {error}") from None
    if not isinstance(notebook, dict) or notebook.get("nbformat") != 4:
        raise ConfigError(path, "nbformat", "is not 4", hint="save it with a current JupyterLab")
    cells = notebook.get("cells")
    if not isinstance(notebook.get("metadata"), dict) or not isinstance(cells, list):
        raise ConfigError(path, "cells", "or metadata are missing")
    for index, cell in enumerate(cells):
        if not _is_cell(cell):
            raise ConfigError(path, f"cells.{index}", "is not a cell with a type, metadata and a source")
    return notebook


def _is_cell(cell: object) -> bool:
    return (
        isinstance(cell, dict)
        and cell.get("cell_type") in ("code", "markdown", "raw")
        and isinstance(cell.get("metadata"), dict)
        and _is_texts(cell["metadata"].get("tags", []))
        and (isinstance(cell.get("source"), str) or _is_texts(cell.get("source")))
    )


def _is_texts(texts: object) -> bool:
    return isinstance(texts, list) and all(isinstance(text, str) for text in texts)


def _word(path: Path, about: dict[str, Any], key: str) -> str:
    word = about.get(key)
    if not isinstance(word, str) or not word.strip():
        raise ConfigError(path, f"metadata.rbnb.{key}", "must be a text that is not empty")
    return word


def _stages(path: Path, about: dict[str, Any]) -> tuple[str, ...]:
    stages = about.get("stages", [])
    if not _is_texts(stages) or not all(stage.strip() for stage in stages):
        raise ConfigError(path, "metadata.rbnb.stages", "must be a list of texts")
    if len({_same(stage) for stage in stages}) != len(stages):
        raise ConfigError(path, "metadata.rbnb.stages", "names a stage twice")
    return tuple(stages)


def _check_headings(path: Path, cells: list[dict[str, Any]], stages: tuple[str, ...]) -> None:
    order = list(dict.fromkeys(stage for stage in stages_of_cells(cells, stages) if stage))
    if order != list(stages):
        missing = [stage for stage in stages if stage not in order]
        problem = f"no cell is headed '## {missing[0]}'" if missing else "the cells come in another order"
        raise ConfigError(path, "metadata.rbnb.stages", problem)


def _parameters(path: Path, cells: list[dict[str, Any]]) -> tuple[Parameter, ...]:
    declaring = [cell for cell in cells if cell["cell_type"] == "code" and tagged(cell, "parameters")]
    if len(declaring) > 1:
        raise ConfigError(path, "cells", "has more than one cell tagged parameters")
    return declared_parameters(path, source_of(declaring[0])) if declaring else ()
