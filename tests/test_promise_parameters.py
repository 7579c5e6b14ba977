"""P20 and P21: a name is never a path, and a parameter is never code.

P20: names of templates, models and incidents match one pattern in full, and what they lead to lies in
its folder. P21: only declared names reach a notebook, and what is injected is ``name = literal`` with
the value that was given, in its own type.
"""

from __future__ import annotations

import ast
import hashlib
import json
import keyword

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_fixture import GLUE, run, template

from rbnb.errors import NameRefusedError, ParameterError
from rbnb.model import RunStatus, checked_name
from rbnb.templates import check_parameters, find_templates, load_template, read_template

HOSTILE_NAMES = [
    "", " ", ".", "..", "...", "../secret", "../../etc/passwd", "a/../../secret", "/etc/passwd", "/", "a/b", "a//b",
    "./a", "a/", "\\", "..\\secret", "a\\b", "C:\\x", "\\\\host\\share", "~", "~root", "~/x", "-", "-rf", "--help",
    "a\0", "\0", "a\0.ipynb", "a\n", "\na", "a\r", "a\tb", "a b", " a", "a ", "a;b", "a|b", "a&b", "$(id)", "`id`",
    "${HOME}", "%2e%2e%2fsecret", "%252e%252e", "..%2f", "a%00", "http://host/x", "https://host/x.ipynb", "s3://b/k",
    "file:///etc/passwd", "gs://b/k", "{x.__class__}", "{0}", "{model}", "a:b", "a*", "a?", "[a]", "a'b", 'a"b',
    "<a>", "é", "аdmin", "a\u202eb", "\ufeffa", "ａ", "a\u200b", "x" * 65, "x" * 300, "_a", ".hidden",
    ".ipynb", "a,b", "a=b",
]  # fmt: skip


@pytest.fixture
def guarded(tmp_path):
    """A folder of templates with a secret beside it that no name may lead to."""
    folder = tmp_path / "templates"
    folder.mkdir()
    (tmp_path / "templates-sibling").mkdir()
    template(folder, "1", name="good")
    template(tmp_path, "1", name="secret")
    template(tmp_path / "templates-sibling", "1", name="secret")
    (folder / "linked.ipynb").symlink_to(tmp_path / "secret.ipynb")
    (folder / "deep").symlink_to(tmp_path / "templates-sibling")
    return folder


@pytest.mark.parametrize("kind", ["template", "model", "incident", "action"])
@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_refused_for_every_kind(kind, name):
    """A name that could be a path, an option, a command or another name's look-alike is refused."""
    with pytest.raises(NameRefusedError):
        checked_name(kind, name)


def test_no_name_reaches_outside_the_folder(guarded, tmp_path):
    """No hostile name opens a template, and nothing outside the folder is touched in trying."""

    def digest():
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()

    before = digest()
    for name in [*HOSTILE_NAMES, "linked"]:
        with pytest.raises(NameRefusedError):
            load_template(name, [guarded])
    assert digest() == before
    assert list(find_templates([guarded])) == ["good"]


# ------------------------------------------------------------------ P21

DECLARED = "t: str = ''\ni: int = 0\nf: float = 0.0\nb: bool = False\nn: str | None = None\n"


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    """A template with one parameter of each type."""
    return read_template(template(tmp_path_factory.mktemp("declared"), "1", parameters=DECLARED))


@pytest.fixture(scope="module")
def injected(declared):
    """Return the source that papermill would put into the notebook for these parameters."""
    import nbformat
    from papermill.parameterize import parameterize_notebook

    def inject(parameters):
        notebook = nbformat.from_dict(json.loads(json.dumps(declared.notebook)))
        notebook.metadata["papermill"] = {}
        done = parameterize_notebook(notebook, parameters, kernel_name="rbnb", language="python")
        return next(cell.source for cell in done.cells if "injected-parameters" in cell.metadata.get("tags", []))

    return inject


TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
NASTY = st.lists(
    st.sampled_from(["'", '"', "\\", "\n", "\r", "{", "}", "#", "\u2028", "\0", "'''", '"""', "\\N{BEL}", "x"])
)


@settings(max_examples=400, deadline=None)
@given(
    t=TEXTS | NASTY.map("".join),
    i=st.integers(-(2**63) + 1, 2**63 - 1),
    f=st.floats(allow_nan=False, allow_infinity=False),
    b=st.booleans(),
    n=st.none() | TEXTS,
)
def test_what_is_injected_is_only_the_literals_that_were_given(declared, injected, t, i, f, b, n):
    """The injected cell assigns literals to declared names, each equal to what was given in value and type."""
    values = {"t": t, "i": i, "f": f, "b": b, "n": n}
    checked = check_parameters(declared, values)
    body = ast.parse(injected(checked)).body
    assert all(isinstance(line, ast.Assign) and len(line.targets) == 1 for line in body)
    read = {line.targets[0].id: ast.literal_eval(line.value) for line in body}
    assert read == values
    assert [(name, type(value)) for name, value in read.items()] == [(n, type(v)) for n, v in values.items()]
    assert str(read["f"]) == str(f)  # -0.0 is not 0.0


INJECTIONS = [
    "x=1\nprint('INJECTED')\ny", "y=0;x='INJECTED'#", "a = b", "a;b", "a b", "a\nb", "a\\\nb", "a#",
    "__import__('os')", "t=1;t", "t\n", " t", "t ", "t.__class__", "t[0]", "(t)", "*t", "t,i", "t:=1", "lambda:0",
    "print", "__builtins__", "__name__", "exec", "open", "None", "True", "", "0", "0t", "t\0", "ｔ", "t\u200b", "{t}",
    "%load x", "!id", "?t",
    *sorted(keyword.kwlist)[:10],
]  # fmt: skip

PAYLOADS = [
    '"; open("HARM", "w"); "', "'; open('HARM', 'w'); '", '"""; open("HARM", "w"); """',
    "'''; open('HARM', 'w'); '''", '\\"; open("HARM", "w"); #', "\\'; open('HARM', 'w'); #",
    '\n__import__("os").system("touch HARM")\n', "\r\nopen('HARM','w')", "\u2028open('HARM','w')",
    "\u2029open('HARM','w')", "\x0bopen('HARM','w')", "\x0copen('HARM','w')", "\x85open('HARM','w')",
    "\0open('HARM','w')", "{__import__('os').system('touch HARM')}", "${HOME}", "$(touch HARM)", "`touch HARM`",
    "%%bash\ntouch HARM", "%run HARM", "!touch HARM", "!!touch HARM", "?print", "%autoreload",
    "\\N{LATIN SMALL LETTER A}", "\\x41", "\\u0041", "\\", "\\\\", '\\\\"', "'", '"', "''", '""', "#", "# type: int",
    "f'{1+1}'", "b'x'", "r'x'", "None", "True", "1", "1e5", "nan", "-inf", "__import__('os')", "lambda: 0", "(1,)",
    "[1]", "{1: 2}", "${jndi:ldap://x}", "{{ 7*7 }}", "{% x %}", "<script>", "../../HARM", "https://host/HARM",
    "a\tb", "é", "\U0001f525", "\u202eabc", "\ufeff", " x ", "=1", "@SUM(1)",
]  # fmt: skip


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_name_that_is_code_is_refused(declared, name):
    """Only declared names get through, so no name can carry code into the notebook."""
    with pytest.raises(ParameterError):
        check_parameters(declared, {name: 1})


def test_values_that_look_like_code_arrive_as_the_texts_they_are(tmp_path):
    """Sixty injection strings go through a real run: each arrives unchanged, and none is executed."""
    declarations = "".join(f"p{number}: str = ''\n" for number in range(len(PAYLOADS)))
    body = GLUE + f"glue('arrived', [globals()[f'p{{n}}'] for n in range({len(PAYLOADS)})])"
    path = template(tmp_path, body, parameters=declarations)
    given_values = {f"p{number}": text for number, text in enumerate(PAYLOADS)}
    outcome, folder = run(path, parameters=given_values, required_scraps=("arrived",))
    assert outcome.status is RunStatus.COMPLETED, outcome.failure
    assert outcome.scraps["arrived"] == PAYLOADS
    assert not list(tmp_path.rglob("*HARM*"))
    assert not (folder / "HARM").exists()
