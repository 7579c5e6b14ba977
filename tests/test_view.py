"""What a cell shows: the same facts as data, as text and as HTML, and nothing from data is live."""

import json

import pytest

from rbnb.view import Commands, Facts, Note, Table, columns, shown_number

EVIL = "<script>alert(1)</script>\"'&"
VIEWS = [
    Table(EVIL, columns("a", "b|number|ms"), ((EVIL, 1.0), (None, float("nan"))), EVIL),
    Facts(({"label": EVIL, "value": EVIL}, {"label": "n", "value": 3}), EVIL),
    Note(EVIL, "warning"),
    Commands(EVIL, ({"label": EVIL, "command": EVIL, "note": EVIL},)),
]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: type(view).__name__)
def test_every_view_says_the_same_in_three_ways_and_none_is_live(view):
    """Data for rbnb's page, text for a terminal, escaped HTML for JupyterLab."""
    bundle = view._repr_mimebundle_()
    (data,) = [value for key, value in bundle.items() if key.startswith("application/vnd.rbnb.")]
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert EVIL in bundle["text/plain"]
    assert "<script" not in bundle["text/html"]
    assert "&lt;script&gt;" in bundle["text/html"]


@pytest.mark.parametrize("view", [Table("", columns("a"), ()), Facts(()), Commands("")])
def test_nothing_to_show_is_shown_as_nothing(view):
    """Empty views are no error."""
    assert view._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize(
    ("value", "told"), [(1140.4, "1,140"), (0.0312, "0.0312"), (0.0, "0"), (-250.2, "-250"), (1e-9, "1.00e-09")]
)
def test_a_number_has_as_many_digits_as_a_reader_needs(value, told):
    """Neither fewer nor more."""
    assert shown_number(value) == told


def test_undefined_is_a_dash_and_never_a_zero():
    """What was not measured does not look measured."""
    text = Table("t", columns("v|number", "s|share"), ((None, None), (float("inf"), 0.5)))._repr_mimebundle_()[
        "text/plain"
    ]
    assert text.splitlines()[2].split() == ["–", "–"]
    assert text.splitlines()[3].split() == ["–", "50.0%"]
