"""The risk of an incident: harm, who is affected, likelihood, severity, mitigations, what remains.

Rules: what the run measured is taken from its findings with n and interval; what it did not measure is None and is
named as not known, never 0; likelihood comes from the run only where the harm was still going on at its end, and else
from a person; the grid that turns likelihood and severity into a level is a file, `policies/risk.yaml`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from rbnb.config import Settings, parse_settings, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rbnb.config import Owners
    from rbnb.model import Finding, SegmentShare

__all__ = ["LIKELIHOODS", "NOBODY", "RiskGrid", "assess", "load_risk", "reviewer_name"]

Likelihood = Literal["very_low", "low", "moderate", "high", "very_high"]
LIKELIHOODS = ("very_low", "low", "moderate", "high", "very_high")
_SEVERITIES = ("SEV1", "SEV2", "SEV3", "SEV4")
#: How many slices are named.
_MOST = 5

NOBODY = "nobody is named in rbnb.toml"


class RiskGrid(Settings):
    """`policies/risk.yaml`."""

    name: Literal["risk"]
    version: str
    source: str
    likelihood: dict[Likelihood, str]
    levels: dict[Likelihood, str]
    grid: dict[Literal["SEV1", "SEV2", "SEV3", "SEV4"], dict[Likelihood, Likelihood]]
    reviewers: dict[Annotated[str, Field(min_length=1)], Literal["security", "privacy", "ethics"]]

    @model_validator(mode="after")
    def _whole(self) -> RiskGrid:
        for severity in _SEVERITIES:
            row: Mapping[Any, str] = self.grid.get(severity, {})  # type: ignore[call-overload]
            if missing := [name for name in LIKELIHOODS if name not in row]:
                raise ValueError(f"grid.{severity} must say what {', '.join(missing)} comes to")
        return self

    def level(self, likelihood: str | None, severity: str | None) -> str | None:
        """Return the level of risk, or None where one of the two is not known."""
        rows: Mapping[Any, Mapping[Any, str]] = self.grid
        return rows.get(severity, {}).get(likelihood)

    def reviewer(self, signal: str) -> str:
        """Return which kind of reviewer a check is for, "" for none in particular; the first pattern that fits wins."""
        return next((kind for pattern, kind in self.reviewers.items() if fnmatchcase(signal, pattern)), "")


def load_risk(path: Path) -> RiskGrid:
    """Read the grid.

    Raises
    ------
    ConfigError
        If the file is unreadable, a key is unknown, or a cell of the grid is missing.
    """
    return parse_settings(RiskGrid, read_yaml(path), path)


def reviewer_name(owners: Owners, kind: str, *names: str) -> str:
    """Return who reviews a check or an item, or that nobody is named.

    Parameters
    ----------
    kind
        ``security``, ``privacy``, ``ethics``, or "".
    *names
        Of the signal or item: who is named for one of them comes first.
    """
    own = next((owners.checks[name] for name in names if name in owners.checks), "")
    return own or (str(getattr(owners, kind)) if kind else "") or NOBODY


def assess(
    *,
    grid: RiskGrid,
    harm: str,
    affected: str,
    findings: Sequence[Finding],
    segments: Sequence[SegmentShare],
    severity: str | None,
    ongoing: bool | None,
    mitigations: Sequence[str],
) -> dict[str, Any]:
    """Return the risk as a run can tell it.

    Parameters
    ----------
    harm
        What this failure means; "" where nothing was found.
    affected
        The signal that tells who is affected.
    ongoing
        Whether it was still going on at the end of the window.
    mitigations
        What is proposed or was done.

    Returns
    -------
    dict
        The record's ``risk``; `not_known` names what the run does not tell.
    """
    likelihood = "very_high" if harm and ongoing else None
    found: dict[str, Any] = {
        "harm": harm,
        "affected": _measured(findings, affected),
        "duration": _measured(findings, "duration"),
        "segments": [one.where for one in segments if one.where][:_MOST],
        "likelihood": likelihood,
        "likelihood_because": "it was still going on at the end of the window" if likelihood else "",
        "severity": severity,
        "level": grid.level(likelihood, severity) if harm else None,
        "mitigations": list(mitigations),
        "residual": None,
    }
    telling = ("affected", "duration", "likelihood", "level", "residual")
    return found | {"not_known": [name for name in telling if found[name] is None] if harm else []}


def _measured(findings: Sequence[Finding], signal: str) -> dict[str, Any] | None:
    """Return a signal's number everywhere, else where it is worst, with n and interval; None if it has none."""
    known = [one for one in findings if one.signal == signal and one.value is not None]
    if not known:
        return None
    one = next((one for one in known if not one.where), known[0])
    return {
        "signal": one.signal,
        "where": one.where,
        "value": one.value,
        "unit": one.unit,
        "n": one.n,
        "interval": list(one.interval) if one.interval else None,
    }
