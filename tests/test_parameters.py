"""Templates are found by name and their parameters are read without running them."""

from __future__ import annotations

import json

import pytest
from run_fixture import code, prose, template

from rbnb.errors import ConfigError, NameRefusedError, NotFoundError, ParameterError
from rbnb.templates import (
    check_parameters,
    find_templates,
    load_template,
    parse_assignment,
    read_template,
    stages_of_cells,
)

DECLARED = """\
# what to look at
model: str = "fraud-v3"  # which model
window_minutes: int = 120  # how far back to look [5..1440]
share: float = 0.05  # smallest share worth naming [0..1]
at_least: float = 2  # no upper end [0..]
severity: str = "auto"  # how bad it is {auto|SEV1|SEV2}
region: str | None = None  # one region only
limit: int | None = None  # at most so many
quick: bool = False
hash_in_text: str = "a # b"  # is no comment
long: str = (
    "one "
    "two"
)  # help at the end
"""


@pytest.fixture
def declared(tmp_path):
    """A template that declares everything the grammar has."""
    return read_template(template(tmp_path, "1", parameters=DECLARED))


def test_every_declaration_is_read(declared):
    """Name, type, default, help, range and choices come from the notebook's text alone."""
    by_name = {parameter.name: parameter for parameter in declared.parameters}
    assert list(by_name)[:3] == ["model", "window_minutes", "share"]
    assert by_name["model"].help == "which model"
    assert (by_name["window_minutes"].low, by_name["window_minutes"].high) == (5, 1440)
    assert by_name["window_minutes"].help == "how far back to look"
    assert (by_name["at_least"].low, by_name["at_least"].high) == (0, None)
    assert by_name["at_least"].default == 2.0
    assert isinstance(by_name["at_least"].default, float)
    assert by_name["severity"].choices == ("auto", "SEV1", "SEV2")
    assert by_name["region"].optional
    assert by_name["hash_in_text"].default == "a # b"
    assert (by_name["long"].default, by_name["long"].help) == ("one two", "help at the end")


def test_what_is_not_given_keeps_its_default(declared):
    """Checking returns every parameter, given or not, in the declared type."""
    checked = check_parameters(declared, {"share": 1, "region": "eu"})
    assert checked["share"] == 1.0
    assert isinstance(checked["share"], float)
    assert checked["region"] == "eu"
    assert checked["window_minutes"] == 120
    assert list(checked) == [parameter.name for parameter in declared.parameters]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"modell": "x"}, "did you mean model?"),
        ({"zzz": 1}, "its parameters: model"),
        ({"model": 7}, "is text"),
        ({"model": None}, "is text"),
        ({"window_minutes": "120"}, "a whole number, 5 to 1440"),
        ({"window_minutes": 120.0}, "a whole number"),
        ({"window_minutes": True}, "a whole number"),
        ({"window_minutes": 4}, "5 to 1440"),
        ({"share": 1.01}, "0 to 1"),
        ({"share": float("nan")}, "0 to 1"),
        ({"share": float("inf")}, "0 to 1"),
        ({"at_least": -1}, "at least 0"),
        ({"at_least": 10**400}, "a number"),
        ({"limit": 2**63}, "a whole number or none"),
        ({"limit": 10**5000}, "a whole number or none"),
        ({"severity": "SEV9"}, "one of auto, SEV1, SEV2"),
        ({"quick": 1}, "true or false"),
        ({"quick": "true"}, "true or false"),
        ({"model": "x" * 5000}, "is text"),
        ({"model": "\ud800"}, "is text"),
        ({"model": ["x"]}, "is text"),
        ({"model": b"x"}, "is text"),
        ({"region": {"a": 1}}, "is text or none"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(declared, given, says):
    """An unknown name, a wrong type or a value out of range is an error that says what may be given."""
    with pytest.raises(ParameterError) as refused:
        check_parameters(declared, given)
    assert says in refused.value.hint
    assert len(refused.value.message) < 250


def test_a_numpy_scalar_becomes_plain_python(declared):
    """A number that comes from a table is taken as the number it is."""
    numpy = pytest.importorskip("numpy")
    checked = check_parameters(declared, {"window_minutes": numpy.int64(30), "share": numpy.float64(0.5)})
    assert type(checked["window_minutes"]) is int
    assert type(checked["share"]) is float


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("model=007", "007"),
        ("model=1e10", "1e10"),
        ("model=", ""),
        ("model=a=b", "a=b"),
        ("model=true", "true"),
        ("region=none", "none"),
        ("window_minutes=007", 7),
        ("limit=none", None),
        ("limit=-3", -3),
        ("share=.5", 0.5),
        ("share=1e-3", 0.001),
        ("quick=true", True),
        ("quick=False", False),
    ],
)
def test_text_is_read_by_the_declared_type(declared, assignment, value):
    """What is typed after -p is never guessed at: a text stays the text, zeros in front and all."""
    name, read = parse_assignment(assignment, declared)
    assert name == assignment.split("=")[0]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    "assignment",
    [
        *("model", "modell=x", "=1", "", "window_minutes=1_000", "window_minutes=12.0", "window_minutes="),
        *("window_minutes=٣٠", "quick=1", "quick=yes", "share=nan", "share=inf", "share=0x1", "share=1,5"),
    ],
)
def test_text_that_is_no_such_value_is_refused(declared, assignment):
    """An abbreviation, a number in another notation or a name that is not declared is an error."""
    with pytest.raises(ParameterError) as refused:
        parse_assignment(assignment, declared)
    assert refused.value.hint


@pytest.mark.parametrize(
    "line",
    [
        *("x = 1", "import os", "x: int = y", "x: int = int('1')", "x: list = []", "x: int | str = 1", "x: int"),
        *("x: int = '1'", "x: int = 5  # [0..1]", "x: str = 'a'  # {b|c}", "x: str = 'a'  # [0..1]"),
        *("x: int = 1  # {1|2}", "print: int = 1", "_x: int = 1", "é: int = 1", "x.y: int = 1", "x: bool = 0"),
        *("x: int = 1\nx: int = 2", "x: int = (", "x: int = 1  # [9..1]", "x: float = 1e999", "class A: pass"),
        *("x: Optional[int] = 1", "x: int = None"),
    ],
)
def test_a_declaration_that_cannot_be_is_named_by_file_and_place(tmp_path, line):
    """A template's author is told which parameter is wrong before anything runs."""
    path = template(tmp_path, "1", parameters=line)
    with pytest.raises(ConfigError) as refused:
        read_template(path)
    assert refused.value.file == str(path)
    assert refused.value.key.startswith("parameters")


def test_reading_runs_nothing(tmp_path):
    """A template that would do harm when run does none when read."""
    path = template(tmp_path, f"open({str(tmp_path / 'harm')!r}, 'w')", parameters="x: int = 1")
    read_template(path)
    assert not (tmp_path / "harm").exists()


def test_the_workspace_hides_what_is_shipped(tmp_path):
    """Of two templates with one name, the one in the earlier folder is used; the others stay reachable."""
    workspace, shipped = tmp_path / "workspace", tmp_path / "shipped"
    workspace.mkdir()
    shipped.mkdir()
    template(workspace, "1", name="both")
    template(shipped, "2", name="both")
    template(shipped, "3", name="only")
    (shipped / "notes.txt").write_text("not a template")
    found = find_templates([workspace, tmp_path / "absent", shipped])
    assert found == {"both": workspace / "both.ipynb", "only": shipped / "only.ipynb"}
    assert load_template("both", [workspace, shipped]).path == workspace / "both.ipynb"
    with pytest.raises(NotFoundError) as missing:
        load_template("onyl", [workspace, shipped])
    assert missing.value.hint == "did you mean only?"


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    """A template must lie in its folder, also when a link makes it look so."""
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "linked.ipynb").symlink_to(template(tmp_path, "1", name="linked"))
    assert find_templates([folder]) == {}
    with pytest.raises(NameRefusedError):
        load_template("linked", [folder])


@pytest.mark.parametrize(
    "damage",
    [
        lambda nb: nb["metadata"].pop("rbnb"),
        lambda nb: nb["metadata"]["rbnb"].pop("version"),
        lambda nb: nb["metadata"]["rbnb"].update(name="other"),
        lambda nb: nb["metadata"]["rbnb"].update(title=7),
        lambda nb: nb["metadata"]["rbnb"].update(stages="Header"),
        lambda nb: nb["metadata"]["rbnb"].update(stages=["Header", "header"]),
        lambda nb: nb["metadata"]["rbnb"].update(stages=["Absent"]),
        lambda nb: nb["metadata"]["rbnb"].update(stages=["Second", "First"]),
        lambda nb: nb.update(nbformat=3),
        lambda nb: nb.update(cells={}),
        lambda nb: nb["cells"].append({"cell_type": "code"}),
        lambda nb: nb["cells"].append(code("y: int = 1", tags=["parameters"])),
        lambda nb: nb["cells"][0]["metadata"].update(tags="parameters"),
    ],
)
def test_a_template_that_is_none_is_refused(tmp_path, damage):
    """A notebook that does not say what it is, or says something untrue, is an error that names the file."""
    path = template(tmp_path, prose("## 1. First"), prose("## Second"), parameters="x: int = 1")
    read_template(path)
    plain = json.loads(path.read_text())
    damage(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(ConfigError) as refused:
        read_template(path)
    assert refused.value.file == str(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"nbformat": NaN}', b"[" * 100_000])
def test_bytes_that_are_no_notebook_are_refused(tmp_path, content):
    """A damaged file is an error that names the file, never a traceback."""
    path = tmp_path / "small.ipynb"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        read_template(path)


def test_stages_follow_their_headings(tmp_path):
    """Every cell belongs to the last heading that names a stage, whatever number stands before it."""
    cells = ["0", prose("## 1. First\ntext"), "1", prose("## a note"), "2", prose("##  second  ##"), "3"]
    read = read_template(template(tmp_path, *cells, stages=["First", "Second"]))
    assert stages_of_cells(read.notebook["cells"], read.stages) == [None] + ["First"] * 4 + ["Second"] * 2
