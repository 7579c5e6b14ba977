"""Before a run: parameters are settled and pinned, and everything that can be wrong is found."""

import pytest
import yaml
from conftest import LOG_END

from rbnb.errors import ConfigError, ParameterError
from rbnb.planning import Request, prepare, resolve
from rbnb.times import format_time, parse_time


def request(**more):
    """Ask for a run of the quiet model."""
    return Request("latency_spike", "svc", **more)


def test_the_end_of_the_window_is_pinned_so_that_the_same_parameters_give_the_same_run(workspace):
    """What was left open is settled and stands in the parameters; planning them again gives the same plan."""
    first = workspace().plan(request())
    assert first.parameters["at"] == first.parameters["clock"] == format_time(LOG_END)
    again = workspace().plan(request(assignments=[f"{k}={first.parameters[k]}" for k in ("at", "clock")]))
    assert (again.scope, again.parameters) == (first.scope, first.parameters)


def test_an_option_outranks_an_assignment_and_that_the_file(workspace, tmp_path):
    """The nearest to the hand counts."""
    (tmp_path / "p.yaml").write_text("window: 3h\nseed: 5\nbucket: 10m\n")
    asked = request(window="5h", assignments=["window=4h", "seed=6"], parameter_file=tmp_path / "p.yaml")
    plan = workspace().plan(asked)
    assert [plan.parameters[k] for k in ("window", "seed", "bucket")] == ["5h", 6, "10m"]


def test_a_time_in_the_past_is_its_own_clock(workspace):
    """Freshness is judged as it was then."""
    plan = workspace().plan(request(at="2026-11-01T12:00:00Z"))
    assert plan.scope.now == plan.scope.window.end == parse_time("2026-11-01T12:00:00Z")


def test_earlier_trouble_is_left_out_of_the_reference_where_everybody_sees_it(workspace):
    """A stretch inside the reference stands in the parameters; one outside, or one said by hand, is not added."""
    places = workspace().places
    template, given = prepare(places, request())
    inside = (parse_time("2026-10-25T10:00:00Z"), parse_time("2026-10-25T11:00:00Z"))
    outside = (parse_time("2026-09-01T10:00:00Z"), parse_time("2026-09-01T11:00:00Z"))
    plan = resolve(places, template, given, [inside, outside, inside])
    assert plan.parameters["leave_out"] == "2026-10-25T10:00:00Z/2026-10-25T11:00:00Z"
    assert len(plan.scope.leave_out) == 1
    by_hand = {**given, "leave_out": "2026-10-20T10:00:00Z/2026-10-20T11:00:00Z"}
    assert resolve(places, template, by_hand, [inside]).parameters["leave_out"] == by_hand["leave_out"]


@pytest.mark.parametrize("severity", ["SEV5", "sev1", "1", "high"])
def test_a_severity_is_one_of_four(workspace, severity):
    """By option or by assignment."""
    for asked in (request(severity=severity), request(assignments=[f"severity={severity}"])):
        with pytest.raises(ParameterError, match="is not a severity"):
            workspace().plan(asked)


POLICIES = {"response": "must say what", "compliance": "is required", "latency_spike": "is required"}


@pytest.mark.parametrize("name", POLICIES)
def test_a_broken_policy_is_found_before_a_run(workspace, name):
    """Whichever of the files that a run reads it is in."""
    opened = workspace()
    folder = opened.places.root / "policies"
    folder.mkdir()
    (folder / f"{name}.yaml").write_text(
        yaml.safe_dump(
            {"name": name, "version": "1", "levels": {}, "audiences": []} if name == "response" else {"name": name}
        )
    )
    (opened.places.root / "rbnb.toml").write_text('[workspace]\npolicies = "policies"\n')
    with pytest.raises(ConfigError, match=name):
        type(opened).open(opened.places.root).plan(request())
