"""Signals held against thresholds: the number and its uncertainty go in, a status comes out.

Rules:

- A limit is compared with the careful end of the 95 % interval, so that a small sample does not page:
  the lower end for "above", the upper end for "below". `compare: value` takes the value itself, for
  checks where doubt should count against the data.
- To be on the limit is to have reached it.
- What was not measured, is not finite or rests on too few observations is ``undefined`` (or what the
  threshold says an undefined value counts as), with its reason; it is never 0 and never silently ok.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rbnb.errors import ConfigError
from rbnb.model import Finding
from rbnb.policy.texts import close_to, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rbnb.model import FindingStatus, Signal
    from rbnb.policy.grammar import Policy, Threshold

__all__ = ["effective_thresholds", "judge", "overrides_for"]

_NUMBERS = ("warning", "breach", "minimum_n")


def judge(
    signals: Sequence[Signal],
    policy: Policy,
    overrides: Mapping[str, float],
    *,
    overrides_from: str = "the model file",
) -> list[Finding]:
    """Return one finding a signal, in their order.

    Parameters
    ----------
    signals
        What was measured.
    policy
        Whose thresholds apply; a signal it does not know is context, and ok.
    overrides
        A model's own numbers (see `effective_thresholds`).
    overrides_from
        The file they stand in, for the error message.

    Raises
    ------
    ConfigError
        If an override names no threshold of the policy, or is no usable number.
    """
    thresholds = effective_thresholds(policy, overrides, overrides_from=overrides_from)
    return [_finding(s, thresholds.get(s.name), policy.thresholds.get(s.name)) for s in signals]


def overrides_for(
    policy: Policy,
    overrides: Mapping[str, float],
    others: Callable[[], Iterable[Policy]],
    *,
    overrides_from: str = "the model file",
) -> dict[str, float]:
    """Return the overrides that concern one policy; ``data_drift/rows_current`` concerns that runbook only.

    Parameters
    ----------
    others
        Loads the other runbooks' policies; asked only if a name is not one of this policy's.

    Raises
    ------
    ConfigError
        If no policy has a threshold of that name.
    """
    found: dict[str, float] = {}
    elsewhere: dict[str, Policy] | None = None
    for key, number in overrides.items():
        runbook, slash, rest = key.rpartition("/")
        if (not slash or runbook == policy.name) and rest.partition(".")[0] in policy.thresholds:
            found[rest] = number
            continue
        if elsewhere is None:
            elsewhere = {other.name: other for other in others()}
        candidates = [elsewhere[runbook]] if runbook in elsewhere else [] if slash else [*elsewhere.values()]
        if not any(rest.partition(".")[0] in other.thresholds for other in candidates):
            raise _no_such(key, policy, overrides_from)
    return found


def effective_thresholds(
    policy: Policy, overrides: Mapping[str, float], *, overrides_from: str = "the model file"
) -> dict[str, Threshold]:
    """Return the policy's thresholds with a model's own numbers put in.

    An override is ``latency_p99.breach``, ``latency_p99.warning``, ``latency_p99.minimum_n``, or
    ``latency_p99`` for its breach.

    Raises
    ------
    ConfigError
        If an override names no threshold, is not a finite number, or lets breach come before warning.
    """
    thresholds = dict(policy.thresholds)
    for key, number in overrides.items():
        name, _, which = key.partition(".")
        which = which or "breach"
        if name not in thresholds or which not in _NUMBERS:
            raise _no_such(key, policy, overrides_from)
        _check_number(key, which, number, overrides_from)
        value = int(number) if which == "minimum_n" else float(number)
        thresholds[name] = thresholds[name].model_copy(update={which: value})
    for name, threshold in thresholds.items():
        # a breach moved past the policy's own warning is fine: breach is looked at first
        if f"{name}.warning" in overrides and threshold.out_of_order():
            problem = f"warning must be reached before breach ({_limits(threshold, '')})"
            raise ConfigError(overrides_from, f"thresholds.{name}.warning", problem)
    return thresholds


def _no_such(key: str, policy: Policy, overrides_from: str) -> ConfigError:
    known = [*policy.thresholds, *(f"{name}.{which}" for name in policy.thresholds for which in _NUMBERS)]
    name, _, which = key.partition(".")
    if name in policy.thresholds and which:
        hint = f"a threshold has {', '.join(_NUMBERS)}"
    else:
        hint = close_to(key if which else name, known if which else policy.thresholds)
    return ConfigError(overrides_from, f"thresholds.{key}", f"policy {policy.name} has no such threshold", hint=hint)


def _check_number(key: str, which: str, number: float, overrides_from: str) -> None:
    good = isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
    if not good or (which == "minimum_n" and (number < 1 or number != int(number))):
        wanted = "a whole number, 1 or more" if which == "minimum_n" else "a finite number"
        raise ConfigError(overrides_from, f"thresholds.{key}", f"must be {wanted} (it says {number!r})")


def _finding(signal: Signal, threshold: Threshold | None, written: Threshold | None) -> Finding:
    if threshold is None:
        status: FindingStatus = "ok" if signal.defined else "undefined"
        reason = signal.reason if signal.defined else _why_undefined(signal, None)
        text = "none (context)"
    else:
        status, reason = _judged(signal, threshold)
        text = _threshold_text(signal, threshold, written)
    return Finding(
        signal=signal.name,
        where=signal.where,
        value=signal.value if signal.defined else None,
        unit=signal.unit,
        interval=signal.interval,
        n=signal.n,
        threshold=text,
        status=status,
        reason=reason,
        reference=signal.reference,
        method=signal.method,
    )


def _judged(signal: Signal, threshold: Threshold) -> tuple[FindingStatus, str]:
    missing = _why_undefined(signal, threshold)
    if missing or signal.value is None:
        counts = "" if threshold.undefined == "undefined" else f" (counts as {threshold.undefined}: {threshold.why})"
        return threshold.undefined, missing + counts
    status = threshold.level(_careful_end(signal, signal.value, threshold))
    if status == "ok" and threshold.level(signal.value) == "breach":
        low, high = signal.interval or (signal.value, signal.value)
        span = f"{show(low, signal.unit)} to {show(high, signal.unit)}"
        doubt = f"the value reaches breach, but its 95 % interval {span} does not: too few observations to be sure"
        return threshold.doubtful, "; ".join(text for text in (doubt, signal.reason) if text)
    return status, signal.reason


def _careful_end(signal: Signal, value: float, threshold: Threshold) -> float:
    if threshold.compare == "value" or signal.interval is None:
        return value
    return min(signal.interval) if threshold.direction == "above" else max(signal.interval)


def _why_undefined(signal: Signal, threshold: Threshold | None) -> str:
    """Return why there is nothing to judge, or an empty string."""
    if not signal.defined:
        return signal.reason or ("it was not measured" if signal.value is None else "the number is not finite")
    if threshold is None:
        return ""
    if threshold.minimum_n is not None and signal.n < threshold.minimum_n:
        return f"it rests on {signal.n} observations, and {threshold.minimum_n} are needed"
    uses_interval = threshold.compare == "interval" and signal.interval is not None
    if uses_interval and not all(math.isfinite(end) for end in signal.interval or ()):
        return "its interval has no end to compare with"
    return ""


def _threshold_text(signal: Signal, threshold: Threshold, written: Threshold | None) -> str:
    text = _limits(threshold, signal.unit)
    if threshold.compare == "interval" and signal.interval is not None:
        end = "lower" if threshold.direction == "above" else "upper"
        text += f", by the {end} end of the interval"
    return f"{text}; set in the model file" if threshold != written else text


def _limits(threshold: Threshold, unit: str) -> str:
    sign = "≥" if threshold.direction == "above" else "≤"
    limits = (("breach", threshold.breach), ("warning", threshold.warning))
    return ", ".join(f"{name} {sign} {show(limit, unit)}" for name, limit in limits if limit is not None)
