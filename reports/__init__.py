"""From evidence to the answer: `judge` a run's folder, `write` what others read, ask the `gate`.

    verdict = judge(run_dir, history=History())
    write(verdict, run_dir, history=History())
    text, exit_code = gate(verdict)

Reads files alone: any run can be judged again, with other objectives, a year later.
"""

from __future__ import annotations

from pathlib import Path

from core.errors import BrokenError
from reports.history.schema import target_of
from reports.history.store import History
from reports.judging.gate import gate
from reports.judging.judge import judge
from reports.judging.model import RunVerdict
from reports.judging.overrides import Sources
from reports.rendering import writers as _writers
from reports.rendering.page.compare import compare
from reports.rendering.page.trends import objective_rows, write_trends
from reports.rendering.terminal import show
from reports.senders import SendContext, send_all

__all__ = ["History", "RunVerdict", "compare", "gate", "judge", "show", "write"]


def write(
    verdict: RunVerdict,
    run_dir: Path,
    writers: list[str] | None = None,
    history: History | None = None,
    mutes: Path | None = None,
) -> list[Path]:
    """Writes everything that is made from a verdict. With a history: keeps it there, and tells who is to be
    told (reports/senders); without one nothing leaves this machine, so judging again alarms nobody.

    `mutes` is the file that silences alerts, alerts.toml of the checkout when None.

    `writers` names modules of reports/rendering/writers (all when None). One that fails does not stop the others;
    BrokenError names it at the end.
    """
    written: list[Path] = []
    failed: list[str] = []
    if history is not None:
        history.record(verdict)
        page = Path(run_dir) / "report" / "trends.html"
        pages = [("index.html", "Verdict"), ("checks.html", "Checks"), ("trends.html", "Trends")]
        written.append(
            write_trends(
                history, target_of(verdict), verdict.plan, page, objective_rows(verdict.objectives), pages
            )
        )
    for name in _writers.names() if writers is None else writers:
        try:
            written += _writers.module(name).write(verdict, Path(run_dir))
        except Exception as error:
            failed.append(f"{name} ({type(error).__name__}: {error})")
    if history is not None:
        context = SendContext(Path(run_dir), history, mutes=mutes or Sources().alerts)
        for line in send_all(verdict, context):
            print(line, flush=True)
    if failed:
        raise BrokenError(f"the verdict stands, but these could not be written: {'; '.join(failed)}")
    return written
