"""Alerts to a webhook (Slack-compatible): once when trouble opens or changes, once when it is over.

ASSAY_WEBHOOK takes all; ASSAY_WEBHOOK_<OWNER> (upper case) takes one owner's. Mutes stand in alerts.toml.
"""

from __future__ import annotations

import datetime as dt
import re

from reports.history.alerts import Alert, alerts
from reports.judging.model import RunVerdict
from reports.judging.mutes import load_mutes
from reports.rendering.formatting import count
from reports.senders import SendContext, post

VARIABLE = "ASSAY_WEBHOOK"
MOST = 10
"""More messages than this become one, so that a bad night is no flood."""


def send(verdict: RunVerdict, context: SendContext) -> list[str]:
    """Sends what is new; remembers in the history what was told, only once it was."""
    if not any(
        name == VARIABLE or name.startswith(f"{VARIABLE}_")
        for name, value in context.environ.items()
        if value
    ):
        return []
    scope = context.history.scope(verdict)
    before = context.history.alerts(scope)
    new, standing = alerts(verdict, before, context.history.last_good(verdict), context.link())
    today = dt.datetime.now(dt.UTC).date()
    mutes = load_mutes(context.mutes)
    loud = [a for a in new if not any(m.covers(a.key, today) for m in mutes)]
    for url, messages in _routed(loud, context).items():
        for body in messages:
            post(url, body)
    context.history.store_alerts(scope, standing)
    lines = [f"webhook: {count(len(loud), 'alert')} sent"] if loud else []
    return lines + (
        [f"webhook: {count(len(new) - len(loud), 'alert')} muted"] if len(new) > len(loud) else []
    )


def _routed(loud: list[Alert], context: SendContext) -> dict[str, list[dict[str, object]]]:
    by_url: dict[str, list[Alert]] = {}
    for alert in loud:
        owner = re.sub(r"[^A-Z0-9]", "_", alert.owner.upper())
        url = context.environ.get(f"{VARIABLE}_{owner}") or context.environ.get(VARIABLE)
        if url:
            by_url.setdefault(url, []).append(alert)
    return {url: _bodies(found) for url, found in by_url.items()}


def _bodies(found: list[Alert]) -> list[dict[str, object]]:
    if len(found) <= MOST:
        return [alert.message() for alert in found]
    lines = [f"*{count(len(found), 'alert')}* of run {found[0].run}"]
    lines += [f"{a.state}: {a.text}"[:200] for a in found[:MOST]]
    lines += [f"and {len(found) - MOST} more", found[0].link]
    return [{"text": "\n".join(lines), "assay": {"alerts": [a.message()["assay"] for a in found]}}]
