"""The second opinion: Evidently asked apart, on a sample; where it differs and why; and that it can harm nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from rbnb.case.second_opinion import LIMIT, SecondOpinion, ask, findings_by_feature, opinion_views, read_answer
from rbnb.data import ModelData
from rbnb.inventory import load_model_file
from rbnb.model import Cause, Finding
from rbnb.opinion.facts import Facts, certainty, facts_of
from rbnb.opinion.reasons import REASONS, Ours, Probes, compare
from rbnb.opinion.report import Said, inert

ROOT = Path(__file__).parent.parent
RBNB = Path(sys.executable).with_name("rbnb")
END = datetime(2026, 11, 2, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script>"


def finding(name, status, signal="psi", value=0.3, threshold="at most 0.2", reason=""):
    """Return a finding about a feature."""
    return Finding(signal, f"feature={name}", value, "psi", None, 1000, threshold, status, reason)


#: What rbnb is made to say of the columns below.
FINDINGS = [
    finding("quiet", "ok", value=0.01),
    finding("shifted", "breach"),
    finding("nulls", "breach", "null_share", 0.4),
    finding("infinite", "breach", "non_finite_share"),
    finding("outlier", "ok", value=0.0),
    finding("cat", "breach", "category_fold", 2.0),
    finding("area", "ok", value=0.0),
    finding("evil", "ok"),
    finding("flag", "ok"),
    finding("constant", "undefined", value=None, reason="every value is the same"),
]


def log(step="1min"):
    """Return a log of 15 days in which the features of the last day are as their names say."""
    rng = np.random.default_rng(0)
    times = pd.date_range(END - timedelta(days=15), END, freq=step, inclusive="left")
    n, now = len(times), np.asarray(times >= END - timedelta(days=1))
    frame = pd.DataFrame({"ts": times, "latency_ms": 50.0, "id": np.arange(n).astype(str)})
    category = rng.choice(list("abcdefghij"), n)
    category[now & (category == "j") & (rng.random(n) < 0.5)] = "a"
    frame = frame.assign(
        quiet=rng.normal(size=n),
        shifted=rng.normal(size=n) + now,
        nulls=np.where(now & (rng.random(n) < 0.4), np.nan, rng.normal(size=n)),
        infinite=np.where(now & (rng.random(n) < 0.01), np.inf, rng.normal(size=n)),
        outlier=np.where(np.arange(n) == n - 5, 1e7, rng.normal(size=n)),
        empty=np.where(now, np.nan, 1.0),
        flag=rng.random(n) < 0.3,
        constant=1.0,
        text=np.where(now, "x", "1"),
        cat=category,
        area=rng.integers(0, 400, n).astype(str),
        evil=np.where(rng.random(n) < 0.5, HOSTILE, "b"),
    )
    return frame.assign(nullable=pd.array(rng.integers(0, 50, n), dtype="Int64"))


NUMERICAL = [
    "quiet",
    "shifted",
    "nulls",
    "infinite",
    "outlier",
    "empty",
    "flag",
    "constant",
    "text",
    "gone",
    "nullable",
]


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """The logs of a model with those features, and the window and reference of a run."""
    root = tmp_path_factory.mktemp("opinion")
    (root / "models").mkdir()
    log().to_parquet(root / "log.parquet", index=False)
    mapped = {
        "table": "../log.parquet",
        "columns": {"timestamp": "ts", "latency_ms": "latency_ms", "request_id": "id"},
        "features": {"numerical": NUMERICAL, "categorical": ["cat", "area", "evil"]},
    }
    (root / "models" / "svc.yaml").write_text(yaml.safe_dump({"name": "svc", "logs": {"predictions": mapped}}))
    data = ModelData(load_model_file(root / "models" / "svc.yaml"), root / "models")
    _, scope = data.scope(clock=END, at="", window="1d", bucket="auto", reference="", leave_out="")
    return data, scope


@pytest.fixture(scope="module")
def asked(logs, tmp_path_factory):
    """The second opinion on those features, and the folder it left; made once, by the real Evidently."""
    folder = tmp_path_factory.mktemp("run") / "evidence" / "second_opinion"
    opinion = ask(*logs, findings_by_feature(FINDINGS), folder)
    assert opinion.available, opinion.why
    return opinion, folder


def of(opinion, column):
    """Return what was said of one column."""
    (found,) = [one for one in opinion.details if one["column"] == column]
    return found


def test_every_column_is_answered_for_and_no_broken_one_takes_another_down(asked):
    """Empty, mistyped and missing columns are said to have failed; the others have method, value and answer."""
    opinion, _ = asked
    assert [one["column"] for one in opinion.details if one["drifted"] is None] == ["empty", "text", "gone"]
    assert "no value at all" in of(opinion, "empty")["because"]
    assert "no such column" in of(opinion, "gone")["because"]
    assert opinion.columns == len(NUMERICAL) + 3
    for one in opinion.details:
        if one["drifted"] is not None:
            assert one["method"]
            assert isinstance(one["value"], float)
            assert one["threshold"] is not None


@pytest.mark.parametrize(
    ("column", "agree", "flagged_by", "reason"),
    [
        ("quiet", True, "nobody", ""),
        ("shifted", True, "both", ""),
        ("flag", True, "nobody", ""),
        ("evil", True, "nobody", ""),
        ("nulls", False, "rbnb", "nulls_dropped"),
        ("infinite", False, "rbnb", "infinite"),
        ("outlier", False, "evidently", "outliers"),
        ("cat", False, "rbnb", "one_category"),
        ("area", False, "evidently", "chance"),
        ("constant", False, "nobody", "not_judged"),
        ("nullable", False, "nobody", "not_judged"),
        ("gone", False, "nobody", "unusable"),
    ],
)
def test_the_reason_is_the_one_that_was_built_in(asked, column, agree, flagged_by, reason):
    """For each trap that Evidently is known for, the run says who flags the column and names that trap."""
    found = of(asked[0], column)
    assert (found["agree"], found["flagged_by"], found["reason"]) == (agree, flagged_by, reason)


def test_the_numbers_are_in_the_reason(asked):
    """A reader sees how much, not only what."""
    assert "nulls went from 0.0% to " in of(asked[0], "nulls")["because"]
    assert "the category 'j' went from " in of(asked[0], "cat")["because"]
    assert "without them it is" in of(asked[0], "outlier")["because"]


def test_the_files_stand_beside_the_notebook_and_hold_no_script_of_the_data(asked):
    """Report, JSON and samples are kept; a category that tries to end Evidently's script does not get there."""
    _, folder = asked
    names = {"columns.json", "current.parquet", "reference.parquet", "same_hours.parquet"}
    assert {p.name for p in folder.iterdir()} == names | {"evidently.json", "evidently.html", "opinion.json"}
    html = (folder / "evidently.html").read_text(encoding="utf-8")
    assert HOSTILE not in html
    assert "<script>alert" not in html
    json.loads((folder / "evidently.json").read_bytes(), parse_constant=pytest.fail)
    assert HOSTILE in set(pd.read_parquet(folder / "current.parquet")["evil"]), "the sample is as the log has it"
    assert all(len(pd.read_parquet(path)) <= 1.2 * LIMIT for path in folder.glob("*.parquet"))


def test_the_view_names_the_page_and_warns_and_embeds_nothing(asked):
    """What the notebook shows is our own table; the page is a file name with a warning."""
    table, note = opinion_views(asked[0])
    shown = json.dumps([table._repr_mimebundle_(), note._repr_mimebundle_()])
    assert "agree on 4 of 14 columns, differ on 5, cannot be compared on 5" in table.title
    assert "evidence/second_opinion/evidently.html" in note.text
    assert "untrusted" in note.text
    assert "<script" not in shown
    assert len(shown) < 20_000
    assert not table.rows[0][-1].startswith("agree"), "differences come first"


def test_the_record_is_as_documented(asked):
    """What goes into run.json has the fields of the schema, and no more."""
    schema = json.loads((ROOT / "docs" / "run-record.schema.json").read_bytes())["$defs"]
    record = json.loads(json.dumps(asked[0].record(), allow_nan=False))
    assert record.keys() == schema["second_opinion"]["properties"].keys()
    assert all(one.keys() == schema["difference"]["properties"].keys() for one in record["differ"])
    assert record["agree"] + len(record["differ"]) == record["columns"]
    assert SecondOpinion(why="x").record().keys() == record.keys()


def test_a_run_keeps_it_beside_the_notebook_and_embeds_nothing(tmp_path):
    """In a real run the files are products with digests, the record holds the summary, and no page holds the HTML."""
    notebook = json.loads((ROOT / "notebook_templates" / "latency_spike.ipynb").read_bytes())
    (cell,) = [c for c in notebook["cells"] if "case.tree()" in "".join(c["source"])]
    cell["source"] = "".join(cell["source"]).replace("case.tree()", "case.tree()\ncase.second_opinion(True)")
    for name in ("mine", "models"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine" / "latency_spike.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    (tmp_path / "rbnb.toml").write_text('[workspace]\ntemplates = "mine"\n')
    log("5min").to_parquet(tmp_path / "log.parquet", index=False)
    mapped = {
        "table": "../log.parquet",
        "columns": {"timestamp": "ts", "latency_ms": "latency_ms", "request_id": "id"},
        "features": {"numerical": ["quiet"], "categorical": ["evil"]},
    }
    model = {"name": "svc", "logs": {"predictions": mapped}, "recording": {"until": END.isoformat()}}
    (tmp_path / "models" / "svc.yaml").write_text(yaml.safe_dump(model))
    command = [RBNB, "run", "latency_spike", "--model", "svc", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    told = record["second_opinion"]
    assert (told["available"], told["columns"], told["agree"]) == (True, 2, 0), "latency_spike judges no features"
    assert {one["reason"] for one in told["differ"]} == {"not_judged"}
    kept = {one["path"] for one in record["products"] if one["path"].startswith("evidence/second_opinion/")}
    assert {Path(path).name for path in kept} >= {"evidently.json", "evidently.html", "opinion.json", "columns.json"}
    (folder,) = (tmp_path / "reports").glob("INC-*/runs/*")
    for name in ("notebook.ipynb", "notebook.html"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "Second opinion by Evidently 0.7" in text
        assert "evidently.html" in text
        assert "plotly" not in text.lower()
        assert "<script" not in text.lower()
        assert len(text) < 1_000_000


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("raise ModuleNotFoundError(\"No module named 'evidently'\")", "No module named 'evidently'"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("import time; time.sleep(60)", "longer than 3 s"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "a second opinion calls nobody"),
        ("x = bytearray(1 << 40)", "MemoryError"),
        (
            "import os; assert 'AWS_SECRET' not in os.environ and os.environ['DO_NOT_TRACK'] == '1', 'told'; 1 / 0",
            "Zero",
        ),
    ],
    ids=["absent", "killed", "hangs", "calls out", "hungry", "curious"],
)
def test_whatever_happens_to_it_the_run_goes_on(logs, tmp_path, monkeypatch, module, why):
    """Not installed, killed, hanging, reaching for the network, for memory or for secrets: said, and survived."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "evidently.py").write_text(module, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    monkeypatch.setenv("AWS_SECRET", "s3cret")
    opinion = ask(*logs, findings_by_feature(FINDINGS), tmp_path / "out", seconds=3 if "sleep" in module else 60)
    assert not opinion.available
    assert why in opinion.why
    (note,) = opinion_views(opinion)
    assert note.text.startswith("Second opinion not available: ")


@pytest.mark.parametrize(
    "answer", ["", "[]", "{}", '{"tool": 1, "columns": [{}]}', '{"columns": {"a": 1}, "tool": "x"}', "[" * 100_000]
)
def test_an_answer_of_another_shape_is_none(tmp_path, answer):
    """What the process left is data of a known shape, or is not used."""
    (tmp_path / "opinion.json").write_text(answer)
    opinion = read_answer(tmp_path / "opinion.json")
    assert not opinion.available
    assert "cannot be read" in opinion.why


def test_a_model_without_features_has_no_second_opinion(workspace, tmp_path):
    """Said at once, and no process is started."""
    opened = workspace()
    data = ModelData(opened.model("svc"), opened.places.models)
    _, scope = data.scope(clock=END, at="", window="2h", bucket="auto", reference="", leave_out="")
    assert ask(data, scope, {}, tmp_path / "out").why == "the model file maps no features"
    assert not (tmp_path / "out").exists()


SMALL = Said("ks p_value", 0.001, 0.05, drifted=True)
FAR = Said("Wasserstein distance (normed)", 0.3, 0.1, drifted=True)
CLOSE = Said("Wasserstein distance (normed)", 0.06, 0.1, drifted=False)
NEARLY_NOTHING = Said("Wasserstein distance (normed)", 0.01, 0.1, drifted=False)
PLAIN = Facts("numerical", (1000, 1000), (0.0, 0.0), 0.0, (0.0, 0.0))


@pytest.mark.parametrize(
    ("status", "said", "probes", "by", "reason", "words"),
    [
        ("ok", SMALL, Probes(other_method=NEARLY_NOTHING), "evidently", "certainty_or_size", "certain, but small"),
        ("breach", NEARLY_NOTHING, Probes(other_method=SMALL), "rbnb", "certainty_or_size", "certain, but below"),
        ("ok", FAR, Probes(same_hours=NEARLY_NOTHING), "evidently", "same_hours", "does not flag it either"),
        ("breach", NEARLY_NOTHING, Probes(same_hours=FAR), "rbnb", "same_hours", "flags it too"),
        ("breach", NEARLY_NOTHING, Probes(trimmed=FAR), "rbnb", "outliers", "widen the scale"),
        ("breach", CLOSE, Probes(), "rbnb", "limits", "limit 0.1; rbnb: psi 0.3"),
        ("warning", CLOSE, Probes(), "rbnb", "limits", "the limits differ"),
        ("breach", NEARLY_NOTHING, Probes(), "rbnb", "not_explained", "nothing that was counted or tried"),
        ("ok", FAR, Probes(same_hours=FAR, trimmed=FAR), "evidently", "not_explained", "nothing"),
        ("ok", FAR, Probes(shuffled=FAR, same_hours=NEARLY_NOTHING), "evidently", "chance", "mixed and dealt again"),
        ("ok", FAR, Probes(shuffled=NEARLY_NOTHING), "evidently", "not_explained", "nothing"),
        ("undefined", FAR, Probes(), "evidently", "not_judged", "Evidently flags it"),
        ("", NEARLY_NOTHING, Probes(), "nobody", "not_judged", "does not flag"),
        ("breach", Said(error="ValueError: empty"), Probes(), "rbnb", "unusable", "ValueError: empty"),
    ],
)
def test_a_reason_holds_only_if_its_experiment_turned_the_answer(status, said, probes, by, reason, words):
    """Each reason rests on an experiment or a count that shows it; without one it is not explained."""
    found = compare("x", Ours(status, "psi 0.3"), said, PLAIN, probes)
    assert (found.agree, found.flagged_by, found.reason) == (False, by, reason)
    assert words in found.because
    assert reason in REASONS


def test_a_second_reason_is_told_beside_the_first():
    """Two experiments that both turn the answer are both told; that limits differ is no news beside them."""
    both = compare("x", Ours("breach", "psi 0.3"), CLOSE, PLAIN, Probes(same_hours=FAR, trimmed=FAR))
    assert (both.reason, len(both.more)) == ("same_hours", 1)
    assert "widen the scale" in both.more[0]
    assert compare("x", Ours("breach", "psi 0.3"), CLOSE, PLAIN, Probes(same_hours=FAR)).more == ()
    assert compare("x", Ours("undefined", "few"), FAR, PLAIN, Probes(same_hours=CLOSE)).more == ()


def test_agreement_needs_two_answers():
    """Both flag, or both do not; a column that one has no answer for is never counted as agreement."""
    assert compare("x", Ours("breach"), FAR, PLAIN, Probes()).flagged_by == "both"
    assert compare("x", Ours("ok"), CLOSE, PLAIN, Probes()).agree
    assert not compare("x", Ours("undefined"), Said(error="x"), PLAIN, Probes()).agree


def test_the_worst_finding_of_a_feature_speaks_for_it():
    """Several checks of one feature are one answer; pairs and segments are none; what is only measured is ok."""
    told = findings_by_feature(
        [
            finding("a", "ok"),
            finding("a", "breach", "null_share", 0.5),
            finding("b", "undefined", value=None, reason="too few"),
            finding("c", "ok", threshold="none (context)"),
            finding("c", "undefined", value=None, threshold="none (context)", reason="no scores"),
            finding("a & feature=b", "breach"),
            Finding("psi", "zone=b", 0.3, "psi", None, 10, "at most 0.2", "breach"),
        ]
    )
    assert told["a"]["status"] == "breach"
    assert told["a"]["told"].startswith("null_share 0.5")
    assert told["b"] == {"status": "undefined", "told": "psi: too few"}
    assert told["c"]["status"] == "ok", "something of it was measured, and nothing judged"
    assert told.keys() == {"a", "b", "c"}


def test_a_hypothesis_speaks_for_a_feature_as_well():
    """A supported one flags it; a refuted one is kept as what was examined, and takes no flag away."""
    causes = [
        Cause("covariate", f"{name} moved", f"feature={name}", 0.5, status, "because")
        for name, status in (("a", "supported"), ("b", "refuted"), ("c", "refuted"), ("d", "open"), ("e", "supported"))
    ]
    findings = [finding(n, "ok", threshold="none (context)") for n in "abd"] + [finding("c", "breach")]
    told = findings_by_feature(findings, causes, looked_at=["f"])
    assert told["a"] == told["e"] | {"told": "a moved: because"}
    assert told["e"]["status"] == "supported"
    assert told["b"] == {"status": "ok", "told": "psi 0.3", "examined": "b moved: because"}
    assert told["c"]["status"] == "breach"
    assert told["d"] == {"status": "ok", "told": "psi 0.3"}
    assert told["f"]["status"] == "ok"
    found = compare("b", Ours(**told["b"]), FAR, PLAIN, Probes(same_hours=NEARLY_NOTHING))
    assert found.reason == "examined"
    assert "turned it down: b moved: because" in found.because


def test_certainty_equals_the_textbook():
    """The distance of two shares in standard errors is that of scipy's chi-square on the same table."""
    from scipy.stats import chi2_contingency

    table = [[30, 970], [70, 1430]]
    expected = chi2_contingency(table, correction=False).statistic
    assert certainty(30, 1000, 70, 1500) ** 2 == pytest.approx(expected)
    assert certainty(0, 10, 0, 10) == 0


def test_facts_count_what_they_say():
    """Nulls and infinities are shares of all rows of a side; a side may be empty."""
    found = facts_of("numerical", pd.Series([1.0, np.nan, np.inf, 2.0]), pd.Series([], dtype=float))
    assert found.nulls == (0.25, 0.0)
    assert found.infinite == (0.25, 0.0)
    assert facts_of("categorical", pd.Series([None, "a"]), pd.Series(["a", "b"])).category is None


def test_categories_lose_their_brackets_and_stay_distinct():
    """Two categories that would look the same without brackets are still two, and nulls stay nulls."""
    made = inert(pd.Series(["<a>", "‹a›", "b", None, "<a>"], dtype=object))
    assert made[0] == made[4] != made[1]
    assert made.nunique() == 3
    assert made.isna().tolist() == [False, False, False, True, False]
    assert not made.dropna().str.contains("[<>]").any()


def test_nothing_of_it_is_imported_unless_asked_for():
    """A case, and rbnb as a whole, knows the second opinion without importing Evidently."""
    code = (
        "import sys, rbnb.case, rbnb.workspace; sys.exit('evidently' in sys.modules or 'rbnb.opinion' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
