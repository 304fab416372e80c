"""Plays scenarios one after another, and keeps the folder of each one that fails."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from pathlib import Path

from chaos.faults.unavailable import Unavailable
from chaos.report import Result
from chaos.scenario import Progress, Run, Scenario, Verdict


def play(scenario: Scenario, seed: int, *, long: bool, keep: Path | None, progress: Progress) -> Result:
    """Play one scenario. Its folder stays if `keep` names where, or if it fails; of one that is skipped nothing stays.

    What this machine lacks is known before anything is done to a server. A fault that cannot be had any more after that
    has spoiled the run, which is an error.
    """
    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{scenario.name}-"))
    else:
        folder = keep / f"{scenario.name}-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    run = Run(scenario.name, seed, long, scenario.size(long), folder, progress)
    began, verdict, error = time.monotonic(), Verdict(), ""
    try:
        verdict = scenario.play(run)
    except Exception as problem:
        if isinstance(problem, Unavailable) and not run.has_begun:
            shutil.rmtree(folder, ignore_errors=True)
            return Result(scenario, seed, long, time.monotonic() - began, verdict, skipped=str(problem))
        (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        error = f"{type(problem).__name__}: {problem}"
    seconds = time.monotonic() - began
    if keep is None and verdict.passed and not error:
        shutil.rmtree(folder, ignore_errors=True)
        return Result(scenario, seed, long, seconds, verdict)
    return Result(scenario, seed, long, seconds, verdict, folder, error)
