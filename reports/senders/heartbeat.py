"""A heartbeat: a monitor learns that the scheduled run happened, and alarms when none comes."""

from __future__ import annotations

from reports.judging.model import RunVerdict
from reports.senders import SendContext, post

VARIABLE = "ASSAY_HEARTBEAT_URL"


def send(verdict: RunVerdict, context: SendContext) -> list[str]:
    """Posts to ASSAY_HEARTBEAT_URL; `{exit}` in it becomes the exit code (healthchecks.io: `…/{exit}`)."""
    url = context.environ.get(VARIABLE)
    if not url:
        return []
    post(
        url.replace("{exit}", str(verdict.exit)),
        {"run": verdict.run, "exit": verdict.exit, "verdict": verdict.headline, "plan": verdict.plan},
    )
    return ["heartbeat: sent"]
