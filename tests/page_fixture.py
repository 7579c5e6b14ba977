"""A made-up incident of fraud-v3 as a notebook, a run record and a context, to test the page and to look at it.

``python tests/page_fixture.py FOLDER`` writes it as a page, to look at.
"""

from __future__ import annotations

import base64
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

ONSET = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)
END = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
BASE = "application/vnd.rbnb."
STAGES = (
    ("header", "Header"),
    ("detection", "Detection"),
    ("triage", "Triage"),
    ("reproduce", "Reproduce"),
    ("root_cause", "Root cause"),
    ("containment", "Containment"),
    ("remediation", "Remediation"),
    ("monitoring", "Monitoring"),
    ("governance", "Governance"),
    ("decision_record", "Decision record"),
    ("learning", "Learning"),
)


def markdown(text, stage=None):
    """Return a markdown cell."""
    return {"cell_type": "markdown", "metadata": {"rbnb": {"stage": stage}} if stage else {}, "source": text}


def code(source, *outputs, stage=None, count=1):
    """Return an executed code cell."""
    return {
        "cell_type": "code",
        "metadata": {"rbnb": {"stage": stage}} if stage else {},
        "source": source,
        "execution_count": count,
        "outputs": list(outputs),
    }


def display(mime, data, metadata=None):
    """Return one display output, with the text/plain that every front end falls back to."""
    return {
        "output_type": "display_data",
        "data": {mime: data, "text/plain": "(fallback)"},
        "metadata": metadata or {},
    }


def table(title, columns, rows, note=None):
    """Return a table output; columns are ``name:kind`` or ``name:kind:unit``."""
    split = [column.split(":") for column in columns]
    keys = [dict(zip(("name", "kind", "unit"), parts, strict=False)) for parts in split]
    return display(f"{BASE}table+json", {"title": title, "columns": keys, "rows": rows, "note": note})


def note(level, text):
    """Return a note output."""
    return display(f"{BASE}note+json", {"level": level, "text": text})


def commands(title, *items):
    """Return a commands output of (label, command, note)."""
    keys = ("label", "command", "note")
    return display(f"{BASE}commands+json", {"title": title, "items": [dict(zip(keys, i, strict=False)) for i in items]})


def facts(title, *items):
    """Return a facts output of (label, value, kind, link)."""
    keys = ("label", "value", "kind", "link")
    return display(f"{BASE}facts+json", {"title": title, "items": [dict(zip(keys, i, strict=False)) for i in items]})


def figure(svg, alt, caption):
    """Return a figure output, with its metadata where Jupyter puts it."""
    return display("image/svg+xml", svg, {"image/svg+xml": {"alt": alt, "caption": caption}})


def latency():
    """Return times and p50, p95, p99 with a jump at the onset in the tail, and two missing buckets."""
    rng = np.random.default_rng(7)
    times = [END - timedelta(minutes=5 * k) for k in range(120, 0, -1) if k not in (70, 71)]
    hours = np.array([(t - ONSET).total_seconds() / 3600 for t in times])
    wave = 1 + 0.12 * np.sin(hours / 24 * 2 * np.pi)
    jump = hours >= 0
    noise = rng.normal(1, 0.04, len(times))
    p50 = 46 * wave * noise * np.where(jump, 1.08, 1)
    p95 = 141 * wave * rng.normal(1, 0.05, len(times)) * np.where(jump, 4.9, 1)
    p99 = 228 * wave * rng.normal(1, 0.06, len(times)) * np.where(jump, 4.95, 1)
    return times, {"p99": p99, "p95": p95, "p50": p50}, 228 * wave


def figures():
    """Return the five figures of the incident by name."""
    from rbnb import plots

    times, series, usual = latency()
    rng = np.random.default_rng(3)
    window = (END - timedelta(hours=2), END)
    jump = np.array([t >= ONSET for t in times])
    store = 11 * rng.normal(1, 0.08, len(times)) * np.where(jump, 68, 1)
    cpu = 0.46 + rng.normal(0, 0.03, len(times))
    pool = 8 + rng.normal(0, 0.9, len(times)) + np.where(jump, 51, 0)
    load = rng.uniform(1800, 5200, 900)
    load_now = rng.uniform(3600, 5600, 24)
    return {
        "latency": plots.latency_over_time(
            times, series, (usual * 0.82, usual, usual * 1.22), ONSET, None, window, 250, "ms", baseline_of="p99"
        ),
        "stages": plots.stage_excess(
            ["queue", "features", "inference", "post"], [9, 88, 121, 13], [12, 987, 127, 14], "ms"
        ),
        "segments": plots.segment_ranking(
            ["zone=b", "zone=b & channel=app", "host=scorer-b2", "host=scorer-b1", "region=eu-west"],
            [0.86, 0.52, 0.31, 0.29, 0.07],
            [(0.81, 0.90), (0.47, 0.57), (0.26, 0.35), (0.24, 0.34), (-0.02, 0.16)],
            [0.41, 0.25, 0.14, 0.13, 0.33],
        ),
        "metrics": plots.metric_panel(
            [
                ("feature-store zone b: read p99, ms", times, store, 8, 15),
                ("scorer zone b: connections in use", times, pool, 5, 11),
                ("scorer zone b: CPU, share", times, cpu, 0.35, 0.6),
            ],
            ONSET,
            window,
        ),
        "load": plots.load_comparison(
            load, 180 + load * 0.012 + rng.normal(0, 14, 900), load_now, 1090 + load_now * 0.01, "ms"
        ),
    }


PROSE = {
    "header": "**Objective.** Say what is affected, who owns it and whom to call.\n\n"
    "**Safety.** Reads the model file only; changes nothing.",
    "detection": "**Objective.** Establish whether latency left its usual range, when, and for whom.\n\n"
    "**Calls.** `case.detect()` reads per-bucket quantiles, errors and throughput from the request log.\n\n"
    "**Expected outcome.** Each signal with its threshold, interval and the number of requests it rests on; an onset "
    "or a statement that there is none.\n\n**Safety.** Reads only.",
    "triage": "**Objective.** Genuine, transient, infrastructure, healthy or inconclusive, with the evidence on each "
    "side.\n\n| step | when |\n|---|---|\n| page | 14.4 × on 1 h **and** 5 min |\n| ticket | 1 × on 3 d |",
    "containment": "**Objective.** Stop the harm, reversibly.\n\n**Rollback.** Every command below names the one that "
    "undoes it.\n\n**Safety check.** Nothing here is run by the notebook: a person decides and approves first.",
}


def notebook(*, payload="b", charts=None):
    """Return an executed latency_spike notebook; `payload` takes the place of the zone's name."""
    charts = figures() if charts is None else charts
    place = f"zone={payload}"

    def drawn(name):
        return [figure(charts[name].svg, charts[name].alt, charts[name].caption)] if name in charts else []

    def prose(key):
        number = [name for name, _ in STAGES].index(key) + 1
        text = PROSE.get(key, "**Objective.** As the runbook says.\n\n**Safety.** Reads only.")
        return markdown(f"## {number} · {dict(STAGES)[key]}\n\n{text}", key)

    cells = [
        markdown("# Latency spike\n\nA runbook: each stage names its objective, its calls and what to expect."),
        code('model = "fraud-v3"\nat = "2026-11-22T16:00:00Z"\nwindow = "2h"'),
        code("from rbnb.case import open_case\n\ncase = open_case(model, at=at, window=window)", count=2),
        prose("header"),
        code(
            "case.header()",
            facts(
                "The model",
                ("Model", "fraud-v3 3.4.1"),
                ("Environment", "production"),
                ("Owner", "payments-ml"),
                ("Peak load", "mon–fri 17:00–21:00 UTC"),
                ("On call", "payments-ml-primary"),
                ("Severity", "SEV2"),
                ("Dashboard", "Latency overview", "text", "https://dashboards.example/fraud-v3"),
            ),
            stage="header",
            count=3,
        ),
        prose("detection"),
        code(
            "case.detect()",
            *drawn("latency"),
            table(
                "Signals against their thresholds",
                [
                    "Signal:text",
                    "Where:text",
                    "Value:number",
                    "Usual:number",
                    "Unit:text",
                    "95 % interval:text",
                    "Requests:number",
                    "Threshold:text",
                    "Status:status",
                ],
                [
                    ["latency p99", place, 1140.2, 231, "ms", "1,092–1,187", 486210, "> 250 ms", "breach"],
                    ["latency p95", place, 688.0, 142, "ms", "671–703", 486210, "> 2 × usual", "breach"],
                    ["latency p50", "", 49.7, 46.1, "ms", "49.4–50.0", 486210, "> 1.3 × usual", "ok"],
                    ["error rate", "", 0.0016, 0.0011, "share", "0.0012–0.0021", 486210, "> 0.001", "warning"],
                    ["payload size", "", None, None, "bytes", None, 0, "–", "undefined"],
                ],
                "A threshold is held against the lower end of the interval.",
            ),
            table(
                "Burn of the error budget",
                ["Window:text", "Burn rate:number:×", "Budget spent:share", "Started:time", "Status:status"],
                [
                    ["5 min and 1 h", 31.4, 0.0436, "2026-11-22T15:00:00Z", "breach"],
                    ["30 min and 6 h", 11.2, 0.0933, "2026-11-22T10:00:00Z", "breach"],
                    ["6 h and 3 d", 1.9, 0.19, "2026-11-19T16:00:00Z", "warning"],
                ],
            ),
            stage="detection",
            count=4,
        ),
        prose("triage"),
        code(
            "case.triage()",
            note("breach", f"Infrastructure: a dependency explains 86 % of the excess, all of it in {place}."),
            *drawn("load"),
            stage="triage",
            count=5,
        ),
        prose("reproduce"),
        code(
            "case.reproduce()",
            commands(
                "Run it again",
                ("The same run", "rbnb run latency_spike --model fraud-v3 --at 2026-11-22T16:00:00Z --window 2h"),
            ),
            stage="reproduce",
            count=6,
        ),
        prose("root_cause"),
        code("case.stages()", *drawn("stages"), *drawn("segments"), stage="root_cause", count=7),
        code(
            "case.causes()",
            *drawn("metrics"),
            table(
                "Changes before the onset",
                ["At:time", "What:text", "Who:text", "Fits in time:status", "Explains:bar", "Verdict:status"],
                [
                    ["2026-11-22T13:42:00Z", "deploy fraud-v3 3.4.1", "payments-ml", "ok", 0.02, "refuted"],
                    ["2026-11-22T14:03:10Z", "feature-store: compaction", "platform", "ok", 0.86, "supported"],
                    ["2026-11-21T09:10:00Z", "config: batch size 32", "payments-ml", "warning", None, "open"],
                ],
            ),
            {"output_type": "stream", "name": "stdout", "text": "read 486,210 rows in 0.21 s\n"},
            stage="root_cause",
            count=8,
        ),
        prose("containment"),
        code(
            "case.containment()",
            commands(
                "Shift traffic away from zone b",
                ("Dry run", f"rbnb act INC-20261122-01 shift_traffic --from {payload!r} --dry-run"),
                ("Do it", "rbnb decide INC-20261122-01 shift_traffic", "needs 1 approval by payments-ml-approvers"),
                ("Undo it", "rbnb act INC-20261122-01 shift_traffic --roll-back"),
            ),
            note("warning", "Zone a and c would carry 69 % more traffic each; both have room for 120 %."),
            stage="containment",
            count=9,
        ),
    ]
    for count, (key, _) in enumerate(STAGES[6:], start=10):
        cells += [
            prose(key),
            code(f"case.{key}()", facts("", ("State", "open"), ("Review", "PT30M")), stage=key, count=count),
        ]
    cells[-1]["outputs"].append(
        display("application/scrapbook.scrap.json+json", {"name": "verdict", "data": "HIDDEN-SCRAP"})
    )
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def record(**changes):
    """Return the run record of the incident, with fields changed."""
    base = {
        "record_version": "1.1",
        "incident": "INC-20261122-01",
        "run": "01-latency_spike",
        "template": {"name": "latency_spike", "version": "1.0.0", "digest": "sha256:" + "9c1f" * 16},
        "model": {"name": "fraud-v3", "version": "3.4.1"},
        "parameters": {"model": "fraud-v3", "at": "2026-11-22T16:00:00Z", "window": "2h", "severity": "SEV2"},
        "status": "completed",
        "verdict": "infrastructure",
        "because": ["a dependency explains 86 % of the excess", "all of it in zone b", "same excess at equal load"],
        "severity": {"level": "SEV2", "reasons": ["SLO burn 31 × on 1 h and 5 min", "41 % of requests affected"]},
        "onset": "2026-11-22T14:05:00Z",
        "ended": None,
        "ongoing": True,
        "headline": ["p99 231 → 1,140 ms since 14:05 UTC, still going on; 41 % of requests, all in zone b"],
        "plain": {
            "what": "Card payments are being checked for fraud more slowly than they should. About 4 in 10 checks are "
            "affected, all of them handled in one data centre (zone b). Decisions themselves are not changed.",
            "since": "Sunday 22 November, 14:05 UTC, almost two hours ago. It is still going on.",
            "how_bad": "The slowest 1 in 100 checks take about 5 times as long as usual: 1.1 seconds instead of 0.2. "
            "The promise to customers is 0.25 seconds.",
            "next": "The proposal is to send traffic around zone b. One person on call has to approve it; it can be "
            "undone within a minute.",
            "colour": "red",
        },
        "causes": [
            {
                "rank": 1,
                "kind": "dependency",
                "name": "feature store slow in zone b",
                "where": "zone=b",
                "score": 0.93,
                "status": "supported",
                "evidence": "Read p99 rose from 11 to 748 ms at 14:05; nothing it calls is out of its usual range.",
                "at": "2026-11-22T14:05:00Z",
                "explains": 0.86,
            },
            {
                "rank": 2,
                "kind": "change",
                "name": "deploy fraud-v3 3.4.1",
                "where": "",
                "score": 0.21,
                "status": "refuted",
                "evidence": "Zone a runs it too and is not slow; inference time did not change.",
                "at": "2026-11-22T13:42:00Z",
                "explains": 0.02,
            },
            {
                "rank": 3,
                "kind": "load",
                "name": "traffic +6 %",
                "where": "",
                "score": 0.08,
                "status": "refuted",
                "evidence": "The same excess at equal load.",
                "at": None,
                "explains": None,
            },
        ],
        "segments": [{"where": "zone=b", "explains": 0.86, "interval": [0.81, 0.9], "n": 199346, "traffic": 0.41}],
        "findings": [
            {"signal": "latency_p99", "where": "zone=b", "value": 1140.2, "unit": "ms", "status": "breach"},
            {"signal": "latency_p95", "where": "zone=b", "value": 688.0, "unit": "ms", "status": "breach"},
            {"signal": "latency_p50", "where": "", "value": 49.7, "unit": "ms", "status": "ok"},
            {"signal": "error_rate", "where": "", "value": 0.0016, "unit": "share", "status": "warning"},
            {"signal": "payload_size", "where": "", "value": None, "unit": "bytes", "status": "undefined"},
        ],
        "branch": [
            {"node": "dependency", "question": "does a dependency explain it?", "saw": {"x": 0.86}, "took": "yes"}
        ],
        "proposal": {
            "action": "shift_traffic",
            "because": "A reversible way to take the slow zone out of the path; the other zones have room.",
            "values": {"from": "zone b"},
            "approvals": 1,
            "where": "zone=b",
            "escalate_to": "platform-storage on-call",
        },
        "not_measured": [{"what": "payload size", "why": "no column is mapped to payload_size in the model file"}],
        "materials": [
            {
                "source": "predictions",
                "table": "predictions/*.parquet",
                "window": {"start": "2026-11-08T16:00:00Z", "end": "2026-11-22T16:00:00Z"},
                "rows": 3412008,
                "digest": "sha256:" + "4be2" * 16,
            },
            {
                "source": "metrics",
                "table": "metrics.parquet",
                "window": None,
                "rows": 90720,
                "digest": "sha256:" + "77aa" * 16,
            },
        ],
        "products": [{"path": "evidence/segments.parquet", "sha256": "12ab" * 16, "bytes": 18244}],
        "environment": {
            "python": "3.11.2",
            "platform": "linux x86_64",
            "packages": {"rbnb": "0.1.0", "pandas": "3.0.6"},
        },
        "started": "2026-11-22T16:01:12Z",
        "finished": "2026-11-22T16:01:16Z",
        "error": None,
    }
    return {**base, **changes}


def context(**changes):
    """Return what the page is told besides: the ledger's head, the model's people, links."""
    base = {
        "ledger": {"entries": 3, "head": "sha256:" + "e07d" * 16},
        "model": {
            "title": "Card-fraud scoring",
            "environment": "production",
            "owner": "payments-ml",
            "on_call": {
                "rotation": "payments-ml-primary",
                "escalation": ["payments-ml-lead after 15 min", "head-of-payments after 60 min"],
            },
        },
        "links": {"Dashboard": "https://dashboards.example/fraud-v3", "Repository": "https://code.example/fraud-v3"},
    }
    return {**base, **changes}


def main(folder):
    """Write the page, one of a broken run and one of an inconclusive run, and the figures, to look at."""
    from rbnb.report import render_run

    folder.mkdir(parents=True, exist_ok=True)
    charts = figures()
    for name, chart in charts.items():
        (folder / f"{name}.svg").write_text(chart.svg, encoding="utf-8")
        sys.stdout.write(f"{name}: {len(chart.svg)} bytes\n  {chart.alt}\n  {chart.caption}\n")
    (folder / "page.html").write_text(
        render_run(notebook(charts=charts), record(), context=context()), encoding="utf-8"
    )
    (folder / "broken.html").write_text(
        render_run(broken_notebook(charts), broken_record(), context=context()), encoding="utf-8"
    )
    (folder / "inconclusive.html").write_text(
        render_run(notebook(charts={}), inconclusive_record(), context=context()), encoding="utf-8"
    )


def broken_notebook(charts=None):
    """Return the notebook of a run that failed in triage."""
    nb = notebook(charts={} if charts is None else charts)
    failed = next(i for i, cell in enumerate(nb["cells"]) if cell["source"] == "case.triage()")
    nb["cells"][failed]["outputs"] = [
        {
            "output_type": "error",
            "ename": "DataError",
            "evalue": "metrics.parquet: the file ends in the middle of a row group",
            "traceback": ["\x1b[0;31mDataError\x1b[0m: metrics.parquet", "  rbnb/data.py:91 in read"],
        }
    ]
    for cell in nb["cells"][failed + 1 :]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    return nb


def broken_record():
    """Return the record of a run that failed in triage."""
    plain = {
        "what": "Not known: the investigation itself stopped before it could say.",
        "since": "Latency left its usual range at 14:05 UTC on 22 November.",
        "how_bad": "Not known.",
        "next": "The person on call repairs the data source and runs the investigation again.",
        "colour": "grey",
    }
    error = {"kind": "DataError", "message": "metrics.parquet: the file ends early", "cell": 11, "stage": "triage"}
    return record(
        status="failed", verdict="inconclusive", plain=plain, error=error, causes=[], proposal=None, ended=None
    )


def inconclusive_record():
    """Return the record of a run that finished without being able to tell."""
    return record(
        verdict="inconclusive",
        because=["only 2 of 24 buckets hold data", "no reference for this hour of the week"],
        onset=None,
        ongoing=None,
        severity={"level": "SEV3", "reasons": []},
        plain={
            "what": "Not known: too little data arrived to tell whether fraud checks are slow.",
            "since": "Not known.",
            "how_bad": "Not known. This is not an all-clear.",
            "next": "The person on call checks why the log is late.",
            "colour": "green",
        },
        causes=[],
        headline=[],
    )


#: One pixel, as nbformat holds it.
PNG = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
).decode()

if __name__ == "__main__":
    main(Path(sys.argv[1]))
