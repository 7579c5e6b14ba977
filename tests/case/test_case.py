"""The case, as cells use it: in order or not, with or without rbnb around it, it says what is missing."""

import contextlib
import io

import pytest
from broken_input import good_rows, write_model

from rbnb.case import STAGES, Case
from rbnb.case.scraps import LARGEST, glue
from rbnb.diagnoses.latency import LatencySpike
from rbnb.errors import DataError, UsageError


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A workspace with a good log, in which the notebook runs; outside of any run."""
    write_model(tmp_path)
    good_rows().to_parquet(tmp_path / "log" / "all.parquet", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def case(root):
    """A case over a good log."""
    assert root.is_dir()
    return Case.open("latency_spike", model="svc", seed=1)


def quietly(call, *arguments, **named):
    """Call something that shows, and return what it showed as text."""
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        call(*arguments, **named)
    return shown.getvalue()


def test_before_the_triage_there_is_no_verdict(case):
    """Cells that are run out of order say which one to run first."""
    for attribute in ("decision", "severity"):
        with pytest.raises(UsageError) as refused:
            getattr(case, attribute)
        assert refused.value.hint == "run the triage cell first"
    for stage in ("containment", "governance", "tree"):
        with pytest.raises(UsageError):
            getattr(case, stage)()


def test_a_stage_that_is_none_cannot_be_finished(case):
    """The record holds the eleven stages and no other."""
    with pytest.raises(UsageError) as refused:
        case.finish("conclusion")
    assert all(stage in refused.value.hint for stage in STAGES)


def test_a_stage_is_finished_once(case):
    """A cell that is run again in JupyterLab leaves no second record."""
    assert quietly(case.finish, "header")
    assert quietly(case.finish, "header") == ""


def test_outside_of_a_run_nothing_is_written(case, root):
    """No evidence and no history without a run folder; the workspace stays as it was."""
    before = sorted(root.rglob("*"))
    case.keep("series", case.diagnose(LatencySpike).frame.reset_index())
    assert case.history == []
    assert sorted(root.rglob("*")) == before


def test_inside_a_run_evidence_goes_to_its_folder(case, tmp_path, monkeypatch):
    """And can be read back as it was."""
    import pandas as pd

    (tmp_path / "run").mkdir()
    monkeypatch.setenv("RBNB_RUN_FOLDER", str(tmp_path / "run"))
    frame = case.diagnose(LatencySpike).frame.reset_index()
    case.keep("series", frame)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "run" / "evidence" / "series.parquet"), frame)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"model": "sv"}, UsageError),
        ({"model": "../svc"}, UsageError),
        ({"model": "svc", "window": "soon"}, UsageError),
        ({"model": "svc", "at": "2026-11-01"}, UsageError),
        ({"model": "svc", "at": "2099-01-01T00:00:00Z"}, UsageError),
        ({"model": "svc", "bucket": "7m"}, UsageError),
        ({"model": "svc", "leave_out": "x/y"}, UsageError),
        ({"model": "svc", "reference": "-1d"}, UsageError),
    ],
)
@pytest.mark.usefixtures("root")
def test_under_bare_papermill_a_mistake_is_told_as_well(given, error):
    """Nobody has checked the parameters there, so that opening the case does."""
    with pytest.raises(error) as refused:
        Case.open("latency_spike", **given)
    assert refused.value.hint


def test_a_log_that_is_gone_is_told(root):
    """Also from a cell."""
    (root / "log" / "all.parquet").unlink()
    with pytest.raises(DataError, match="no file matches"):
        Case.open("latency_spike", model="svc")


def test_a_record_that_is_too_large_is_refused():
    """What is large goes to a file and leaves its digest."""
    with pytest.raises(UsageError) as refused:
        glue("stage.header", "x" * (LARGEST + 1))
    assert "case.keep" in refused.value.hint
