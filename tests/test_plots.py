"""The figures: the same bytes for the same data, safe, small, and honest about what is missing."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import numpy as np
import page_fixture
import pytest

from rbnb import plots
from rbnb.plots.scales import thin, time_ticks, with_gaps

END = datetime(2026, 11, 22, 16, tzinfo=UTC)
ONSET = END - timedelta(hours=2)
HOSTILE = "\u202eb\x00\x1b[31m\ud800</text><script>alert(1)</script> $\\frac{1$ & \"'"


def _minutes(n, step=5):
    return [END - timedelta(minutes=step * k) for k in range(n, 0, -1)]


def _hostile_figures():
    times = _minutes(12)
    ones = [1.0] * 12
    return [
        plots.latency_over_time(times, {HOSTILE: ones}, None, None, None, None, 2.0, HOSTILE, measure=HOSTILE),
        plots.stage_excess([HOSTILE, "b"], [1, 2], [3, 4], HOSTILE),
        plots.segment_ranking([HOSTILE], [0.9], [(0.8, 1.0)], [0.4]),
        plots.metric_panel([(HOSTILE, times, ones, 0, 2)], ONSET, None),
        plots.load_comparison(ones, ones, ones, ones, HOSTILE, load_unit=HOSTILE),
    ]


def _texts(figure):
    return [element.text for element in ET.fromstring(figure.svg).iter() if element.tag.endswith("}text")]  # noqa: S314


@pytest.fixture(scope="module")
def figures():
    """The five figures of the made-up incident."""
    return page_fixture.figures()


def test_the_same_data_gives_the_same_bytes(figures):
    """A figure can be compared by digest: nothing in it depends on when or in which process it was drawn."""
    script = (
        "import page_fixture as f, hashlib;"
        "print([hashlib.sha256(c.svg.encode()).hexdigest() for c in f.figures().values()])"
    )
    again = subprocess.run(
        [sys.executable, "-c", script],
        cwd=page_fixture.Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == str([hashlib.sha256(c.svg.encode()).hexdigest() for c in figures.values()])


def test_every_figure_is_small_and_has_words(figures):
    """A figure costs the page at most 40 KB and always says in words what it shows and how to read it."""
    for name, figure in figures.items():
        assert len(figure.svg.encode()) <= 40_000, name
        assert len(figure.alt) > 40, name
        assert figure.caption, name


def test_three_weeks_of_buckets_stay_small_and_keep_the_spike():
    """A long series is thinned to a small figure in which its one spike is still there."""
    x = np.arange(6048.0)
    y = np.full(6048, 100.0)
    y[3333] = 900.0
    assert thin(x, y)[1].max() == 900.0
    items = [(f"series {k}", _minutes(6048), y, 90, 110) for k in range(7)]
    assert len(plots.metric_panel(items, ONSET, None).svg.encode()) <= 40_000
    cloud = np.random.default_rng(1).uniform(1, 100, 5000)
    assert len(plots.load_comparison(cloud, cloud, cloud, cloud).svg.encode()) <= 40_000


def test_missing_buckets_are_gaps():
    """No line is drawn across a bucket that is missing, be it absent or null."""
    x, y = with_gaps(np.array([0.0, 60, 120, 300, 360]), np.array([1.0, 2, 3, 4, 5]))
    assert np.isnan(y).sum() == 1
    assert x[np.isnan(y)][0] > 120
    figure = plots.latency_over_time(_minutes(9), {"p99": [1, 2, None, 4, None, 6, 7, 8, 9]}, None, None, None, None)
    lines = re.findall(r'<path d="(M[^"]*)" clip-path="[^"]*" style="fill: none; stroke: #d55e00', figure.svg)
    assert any(line.count("M") >= 2 for line in lines), "two stretches, each begun anew"
    assert "<use" in figure.svg, "the lone bucket is a dot"


def test_the_incident_and_the_limit_are_labelled(figures):
    """A reader sees when it began, in UTC with its day, the limit with its unit, and which line is which."""
    texts = _texts(figures["latency"])
    assert {"onset 14:05", "SLO 250 ms", "p99", "p95", "p50", "Latency, ms (log scale)"} <= set(texts)
    assert any(re.fullmatch(r"Sun 22 Nov UTC", text) for text in texts)


def test_an_ended_incident_is_shaded_to_its_end():
    """The shaded stretch begins at the onset and ends where the incident did, and says so."""
    figure = plots.latency_over_time(
        _minutes(48), {"p99": [100] * 20 + [400] * 20 + [100] * 8}, None, END - timedelta(minutes=140),
        END - timedelta(minutes=40), (END - timedelta(hours=2), END),
    )  # fmt: skip
    assert "ended 15:20" in _texts(figure)
    assert "ended 15:20" in figure.caption


def test_without_an_onset_nothing_looks_like_an_incident():
    """A quiet series shows the window examined and no onset."""
    figure = plots.latency_over_time(_minutes(24), {"p99": [100] * 24}, None, None, None, (ONSET, END))
    assert "window examined" in _texts(figure)
    assert "onset" not in figure.svg
    assert "No onset was found" in figure.caption


def test_the_stage_with_the_excess_and_the_segment_are_told_in_numbers(figures):
    """Who cannot see the figure still learns which stage carries the excess and which segment explains it."""
    assert "features 88 → 987 ms · 99\u202f% of the excess" in figures["stages"].alt
    assert "zone=b: explains 86\u202f% · 41\u202f% of requests" in figures["segments"].alt


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.latency_over_time([], {}, None, None, None, None),
        lambda: plots.latency_over_time(_minutes(2), {"p99": [None, float("nan")]}, None, None, None, None),
        lambda: plots.latency_over_time(_minutes(1), {"p99": [5]}, (1, 2, 3), ONSET, END, (ONSET, END), 250),
        lambda: plots.latency_over_time(_minutes(3), {"p99": [0, 0, 0]}, None, ONSET, None, None),
        lambda: plots.stage_excess([], [], []),
        lambda: plots.stage_excess(["queue"], [None], [None]),
        lambda: plots.segment_ranking([], [], [], []),
        lambda: plots.segment_ranking(["a=b"], [None], [None], [None]),
        lambda: plots.metric_panel([], None, None),
        lambda: plots.metric_panel([("cpu", _minutes(3), [None] * 3, None, None)], ONSET, None),
        lambda: plots.load_comparison([], [], [1], [None]),
        lambda: plots.load_comparison([1], [float("inf")], [1], [2]),
    ],
)
def test_little_or_no_data_is_drawn_without_failing(draw):
    """Empty, null, infinite and single values give a figure that can be shown, never an error or a warning."""
    figure = draw()
    ET.fromstring(figure.svg)  # noqa: S314 - our own
    assert figure.alt


def test_text_from_data_does_nothing_in_a_figure():
    """A label may hold markup, TeX, control characters and surrogates: it is shown as text and the SVG stays whole."""
    for figure in _hostile_figures():
        root = ET.fromstring(figure.svg)  # noqa: S314 - our own
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        assert tags <= {"svg", "defs", "style", "g", "path", "use", "text", "clipPath", "rect"}
        for element in root.iter():
            for name, value in element.attrib.items():
                local = name.rpartition("}")[2]
                assert not local.startswith("on")
                assert local != "href" or value.startswith("#")
        assert "‹U+202E›" in figure.svg
        assert not re.search("[\x00-\x08\x1b\u202e\ud800]", figure.svg + figure.alt + figure.caption)


def test_a_naive_time_is_refused():
    """A time without a zone is not guessed to be UTC."""
    with pytest.raises(ValueError, match="naive"):
        plots.latency_over_time([datetime(2026, 11, 22)], {"p99": [1]}, None, None, None, None)  # noqa: DTZ001


def test_times_may_be_numpy_or_datetime():
    """Aware datetimes and numpy's datetime64 of the same instants give the same figure."""
    times = _minutes(24)
    plain = np.array([t.replace(tzinfo=None) for t in times], dtype="datetime64[us]")
    one, two = (plots.latency_over_time(t, {"p99": range(1, 25)}, None, ONSET, None, None) for t in (times, plain))
    assert one == two


def test_days_are_named_where_they_change():
    """On an axis of two days each day is named where it begins."""
    ticks = time_ticks(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp(), END.timestamp())
    assert [day for _, _, day in ticks if day] == ["Sat 21 Nov", "Sun 22 Nov"]


def test_drawing_leaves_matplotlib_as_it_was():
    """A figure changes no setting of the analyst who goes on in the same kernel, and opens no pyplot."""
    script = (
        "import matplotlib as m, page_fixture as f, sys; before = m.rcParams.copy(); f.figures();"
        "assert before == m.rcParams.copy(); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], cwd=page_fixture.Path(__file__).parent, check=True)


def test_importing_the_package_does_not_import_matplotlib():
    """Who does not draw does not wait for matplotlib."""
    script = "import rbnb.plots, sys; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
