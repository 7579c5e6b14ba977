"""Hypotheses: time and place decide, what refutes is named, and what cannot be told stays open."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import pytest

from rbnb.diagnoses.latency.hypotheses import hypotheses
from rbnb.diagnoses.latency.measure import LatencySettings
from rbnb.model import SegmentShare, Signal
from rbnb.signals.latency.components import ComponentShift

ONSET, BUCKET = 1_800_000, 300


@dataclass
class Log:
    """What a hypothesis asks of the log."""

    segments: tuple = ("zone", "version", "host")
    unit: str = "ms"


@dataclass
class Scope:
    """What a hypothesis asks of the scope."""

    bucket: int = BUCKET


@dataclass
class Measured:
    """Measurements as a run leaves them, made by hand."""

    cells: pd.DataFrame
    segments: list = field(default_factory=list)
    shifts: list = field(default_factory=list)
    symptoms: dict = field(default_factory=dict)
    edges: list = field(default_factory=list)
    changes: pd.DataFrame | None = None
    load: Signal = field(default_factory=lambda: remains(None))
    payload: list = field(default_factory=list)
    traffic: float = 1.0
    found: bool = True
    one_a_bucket: bool = False
    stages: list = field(default_factory=list)
    log: Log = field(default_factory=Log)
    scope: Scope = field(default_factory=Scope)
    settings: LatencySettings = field(default_factory=LatencySettings)
    stretch: tuple = (ONSET, ONSET + 3600)

    @property
    def comparison(self):
        """The one comparison that hypotheses read."""
        return [Signal("throughput", self.traffic, "ratio", 900, "requests over the usual")]


def remains(value, interval=None):
    """Return what remains of the excess at equal load."""
    reason = "" if value is not None else "the load was never seen in the reference"
    return Signal("excess_at_equal_load", value, "share", 12, "equal load", interval, reason=reason)


def cells(slow, *, version=lambda zone, host: "1", usual=50.0, extra=200.0):  # noqa: ARG005 - same signature
    """Return cells of three zones with two hosts each; where `slow` says so requests take longer."""
    rows = []
    for period in ("current", "reference"):
        for zone in "abc":
            for host in (f"{zone}1", f"{zone}2"):
                mean = usual + (extra if period == "current" and slow(zone, host) else 0.0)
                n = 100 if period == "current" else 1000
                where = {"period": period, "zone": zone, "host": host}
                where["version"] = version(zone, host) if period == "current" else "1"
                rows.append(where | {"n": n, "total": n * mean, "squares": n * (mean**2 + 100)})
    return pd.DataFrame(rows)


def share(where, traffic, explains=1.0):
    """Return a slice that explains the excess."""
    return SegmentShare(where, explains, (explains - 0.05, explains + 0.05), int(600 * traffic), traffic, 0.9)


def change(minutes, segment="", kind="deploy"):
    """Return a change so many minutes before the onset."""
    time = ONSET - 60 * minutes
    return pd.DataFrame([{"time": time, "kind": kind, "what": "it", "who": "", "link": "", "segment": segment}])


def shift(component, segment, *, minutes=0):
    """Return a component that moved so many minutes after the onset."""
    return ComponentShift(component, "latency_ms", segment, 50.0, 9.0, ONSET + 60 * minutes, 24)


EVERYBODY = cells(lambda zone, host: True)  # noqa: ARG005
ZONE_B = cells(lambda zone, host: zone == "b")  # noqa: ARG005
IN_B = [share("zone=b", 1 / 3)]


def status(measured, kind):
    """Return the status of the only cause of a kind."""
    (cause,) = [cause for cause in hypotheses(measured) if cause.kind == kind]
    return cause.status


@pytest.mark.parametrize(
    ("minutes", "segment", "expected"),
    [
        (10, "zone=b", "supported"),
        (10, "zone=c", "refuted"),
        (10, "", "refuted"),
        (10, "version=1", "refuted"),
        (10, "tenant=7", "open"),
        (-9, "zone=b", "refuted"),
    ],
)
def test_a_change_must_fit_in_time_and_place(minutes, segment, expected):
    """In the slow zone it is supported; elsewhere, everywhere or after the onset refuted; unknown places stay open."""
    assert status(Measured(ZONE_B, IN_B, changes=change(minutes, segment)), "change") == expected


def test_a_change_that_names_the_same_requests_otherwise_is_supported():
    """A version that runs in the slow zone only is the same place under another name."""
    both = cells(lambda zone, host: zone == "b", version=lambda zone, host: "2" if zone == "b" else "1")  # noqa: ARG005
    found = hypotheses(Measured(both, IN_B, changes=change(5, "version=2")))
    assert [(c.kind, c.status) for c in found] == [("change", "supported"), ("load", "open")]


@pytest.mark.parametrize(
    ("minutes", "segment", "expected"),
    [(5, "version=1", "supported"), (90, "version=1", "open"), (5, "", "open"), (5, "zone=b", "open")],
)
def test_where_everybody_is_slow_a_change_must_reach_everybody_and_come_with_the_onset(minutes, segment, expected):
    """Only a change that all requests run, minutes before the onset, is supported."""
    assert status(Measured(EVERYBODY, changes=change(minutes, segment)), "change") == expected


@pytest.mark.parametrize(
    ("minutes", "expected"), [(0, "supported"), (-14, "supported"), (-200, "open"), (40, "refuted")]
)
def test_a_component_must_move_with_the_onset(minutes, expected):
    """Long before stays open, after is refuted."""
    measured = Measured(ZONE_B, IN_B, shifts=[shift("store/b", "zone=b", minutes=minutes)])
    assert status(measured, "dependency") == expected


def test_a_component_must_serve_those_who_are_slow():
    """One that serves another zone is refuted, one whose requests are not known stays open."""
    for segment, expected in (("zone=c", "refuted"), ("tenant=1", "open"), ("", "open")):
        assert status(Measured(ZONE_B, IN_B, shifts=[shift("store", segment)]), "dependency") == expected


def test_a_shared_component_is_a_cause_only_if_called_and_if_everybody_is_slow():
    """Called and all slow: supported. Not called: open. One zone slow: refuted. Load explains it: open."""
    shared, calls = [shift("db", "")], [("api", "db")]
    load = remains(0.05, (0.0, 0.1))
    assert status(Measured(EVERYBODY, shifts=shared, edges=calls), "dependency") == "supported"
    assert status(Measured(EVERYBODY, shifts=shared), "dependency") == "open"
    assert status(Measured(EVERYBODY, shifts=shared, edges=[("db", "api")]), "dependency") == "open"
    assert status(Measured(ZONE_B, IN_B, shifts=shared, edges=calls), "dependency") == "refuted"
    assert status(Measured(EVERYBODY, shifts=shared, edges=calls, load=load, traffic=2.0), "dependency") == "open"


def test_symptoms_are_not_causes():
    """A component that depends on another one that moved is not listed beside it."""
    measured = Measured(ZONE_B, IN_B, shifts=[shift("service/b", "zone=b"), shift("store/b", "zone=b")])
    measured.symptoms = {"service/b": ["store/b"], "store/b": []}
    names = [cause.name for cause in hypotheses(measured) if cause.kind == "dependency"]
    assert len(names) == 1
    assert names[0].startswith("store/b")


def test_a_host_that_alone_is_slow_is_suspected_unless_something_there_explains_it():
    """Host or zone by its requests alone; not beside a supported component or change there; a tie stays open."""
    host = cells(lambda zone, host: host == "b2")  # noqa: ARG005
    only = [share("host=b2", 1 / 6)]
    assert status(Measured(host, only), "host") == "supported"
    assert status(Measured(ZONE_B, IN_B), "infrastructure") == "supported"
    explained = Measured(ZONE_B, IN_B, shifts=[shift("store/b", "zone=b")])
    assert "infrastructure" not in {cause.kind for cause in hypotheses(explained)}
    version = lambda zone, host: "2" if host == "b2" else "1"  # noqa: E731, ARG005
    tie = cells(lambda zone, host: host == "b2", version=version)  # noqa: ARG005
    assert status(Measured(tie, [*only, share("version=2", 1 / 6)]), "host") == "open"
    region = Measured(ZONE_B, [share("version=1", 1 / 3)])
    assert {cause.kind for cause in hypotheses(region)} == {"load"}


@pytest.mark.parametrize(
    ("value", "interval", "traffic", "expected"),
    [
        (1.0, (0.9, 1.1), 1.3, "refuted"),
        (0.05, (0.0, 0.1), 1.8, "supported"),
        (0.05, (0.0, 0.1), 0.9, "open"),
        (0.5, (0.4, 0.6), 1.8, "open"),
        (1.0, (0.2, 1.8), 1.8, "open"),
        (None, None, 3.0, "open"),
    ],
)
def test_load_is_refuted_where_the_excess_remains_and_supported_where_it_vanishes(value, interval, traffic, expected):
    """With the whole interval, and only if there is more traffic; what was never seen stays open."""
    measured = Measured(EVERYBODY, load=remains(value, interval), traffic=traffic)
    assert status(measured, "load") == expected


@pytest.mark.parametrize(("value", "expected"), [(0.95, "refuted"), (0.1, "supported"), (0.5, "open"), (None, "open")])
def test_payload_is_judged_alike(value, expected):
    """Larger requests are to blame if nothing remains in an equal mix."""
    payload = [Signal("excess_at_equal_payload", value, "share", 900, "m", reason="" if value else "not known")]
    assert status(Measured(EVERYBODY, payload=payload), "payload") == expected


def test_without_anything_found_there_is_nothing_to_explain():
    """No hypotheses; and a bare series has none about a load it does not know."""
    assert hypotheses(Measured(EVERYBODY, found=False, shifts=[shift("db", "")])) == []
    assert hypotheses(Measured(EVERYBODY, one_a_bucket=True)) == []


def test_supported_comes_before_open_before_refuted_and_ranks_count_from_one():
    """Within a status the score decides."""
    measured = Measured(
        ZONE_B, IN_B, changes=pd.concat([change(5, "zone=c"), change(5, "tenant=1"), change(5, "zone=b")])
    )
    found = [cause for cause in hypotheses(measured) if cause.kind == "change"]
    assert [cause.status for cause in found] == ["supported", "open", "refuted"]
    assert [cause.rank for cause in hypotheses(measured)] == list(range(1, len(hypotheses(measured)) + 1))
    assert all(cause.evidence for cause in found)
