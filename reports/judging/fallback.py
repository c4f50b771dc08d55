"""The verdict on a run that the judge itself stumbled over: broken, with its evidence kept and the reason told.

A verdict must survive its own evidence. What cannot be judged is never met, and never without a report.
"""

from __future__ import annotations

import traceback
from pathlib import Path

from core.text import on_one_line
from reports.judging.model import Cause, RunVerdict
from reports.judging.verdict_table import BROKEN


def could_not_judge(run_dir: Path, error: Exception) -> RunVerdict:
    """A broken verdict that names what the judge stumbled over and where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    reason = f"judging failed{where}: {type(error).__name__}: {on_one_line(str(error)) or 'no message'}"
    text = f"{reason}; the evidence is kept, `assay report {run_dir.name}` judges it again"
    return RunVerdict(
        run=run_dir.name,
        state="broken",
        exit=BROKEN,
        headline=f"broken: {reason}",
        causes=[Cause(kind="run", who="the judge", state="broken", text=text)],
        target={},
        plan="unknown",
        commit="unknown",
        version="",
        started=None,
        finished=None,
        seconds=None,
        host="",
        vantage="",
        argv=[],
        assay_version="",
        checks=[],
        objectives=[],
        services=[],
        profiles=[],
        requirements=[],
        waivers=[],
        notes=[],
        events=[],
        since_last={},
    )
