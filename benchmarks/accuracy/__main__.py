"""Run the grid and write the report: ``python -m benchmarks.accuracy [--seeds develop|final] [--modes …]``.

Outcomes are appended to bench-results/ as they come, so that a run that was stopped goes on where it was
(``--resume``), and the report can be written again from them without running anything (``--report``).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.accuracy.report import table_of_modes, write_report
from benchmarks.accuracy.run import Outcome, available, examine
from benchmarks.accuracy.scenarios import MODES, SEEDS, Scenario, grid
from benchmarks.accuracy.score import correct

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOT = Path(__file__).resolve().parents[2]
RESULTS = _ROOT / "bench-results"
_LARGE = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; return 0 unless nothing could be measured."""
    # threads of one scenario would only wait for those of the other
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    given = _parser().parse_args(arguments)
    modes = [mode for mode in given.modes if available(mode)]
    _say(*(f"{mode} is not there and is left out" for mode in given.modes if mode not in modes))
    scenarios = [one for one in grid(given.seeds, tuple(modes)) if given.only in one.key and one.rows <= given.most]
    scenarios = scenarios[:: max(1, len(scenarios) // given.scenarios)] if given.scenarios else scenarios
    kept = RESULTS / f"accuracy-{given.seeds}.jsonl"
    done = _read(kept) if given.resume or given.report else {}
    if not given.report:
        _run(scenarios, kept, done, given.processes)
    outcomes = [done[one.key] for one in scenarios if one.key in done]
    if not outcomes:
        _say("nothing was measured")
        return 1
    _say(table_of_modes(outcomes))
    if given.flights or given.write:
        _flights(given.flights)
    if given.write:
        _say(f"wrote {write_report(outcomes, given.seeds, RESULTS / 'flights.json')}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description="How often rbnb is right.")
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="develop", help="which range of seeds")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--scenarios", type=int, default=0, help="about so many, evenly chosen; 0 is all")
    parser.add_argument("--only", default="", help="only scenarios whose key holds this text")
    parser.add_argument("--most", type=int, default=1_000_000, help="only scenarios of at most so many rows")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="keep what bench-results/ holds of these seeds")
    parser.add_argument("--report", action="store_true", help="run nothing, report what bench-results/ holds")
    parser.add_argument("--flights", action="store_true", help="measure the real flights too")
    parser.add_argument("--write", action="store_true", help="write docs/accuracy.md")
    return parser


def _run(scenarios: list[Scenario], kept: Path, done: dict[str, Outcome], processes: int) -> None:
    """Run what is not done yet, shuffled, so that what is done is like the whole at any time; the largest last."""
    kept.parent.mkdir(exist_ok=True)
    if not done:
        kept.unlink(missing_ok=True)
    waiting = [one for one in scenarios if one.key not in done]
    random.Random(1).shuffle(waiting)
    waiting.sort(key=lambda one: one.rows >= _LARGE)
    began = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=60) as pool, kept.open("a") as file:
        for number, outcome in enumerate(pool.imap_unordered(examine, waiting), start=1):
            file.write(json.dumps(asdict(outcome)) + "\n")
            file.flush()
            done[Scenario(**outcome.scenario).key] = outcome
            _say(_line(number, len(waiting), outcome, time.monotonic() - began))


def _line(number: int, of: int, outcome: Outcome, seconds: float) -> str:
    mark = "  " if correct(outcome) else "XX"
    key = Scenario(**outcome.scenario).key
    first = "/".join(outcome.causes[0][:3]) if outcome.causes else ""
    said = outcome.error or f"{outcome.verdict} ({outcome.leaf}) {first}"
    pointed = f" -> {','.join(outcome.referrals)}" if outcome.referrals else ""
    return f"{number:3d}/{of} {seconds:5.0f} s {mark} {key}: {said}{pointed}"


def _read(path: Path) -> dict[str, Outcome]:
    if not path.is_file():
        return {}
    found = [Outcome(**json.loads(line)) for line in path.read_text().splitlines()]
    return {Scenario(**one.scenario).key: one for one in found}


def _flights(measure: bool) -> None:  # noqa: FBT001 - a switch of the command line
    from benchmarks.accuracy import flights

    kept = RESULTS / "flights.json"
    if measure or not kept.is_file():
        kept.write_text(json.dumps(flights.measured(), indent=1) + "\n")


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
