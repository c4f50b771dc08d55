"""What the browser's telemetry sends through the platform's relays."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from core.port import Answer, Port
from scenarios.api.place import Place

DEADLINES = {"sentry": 60.0, "datadog": 90.0, "ga4": 60.0, "mixpanel": 90.0}
"""Seconds until an accepted datum must be readable, by service: what the vendors say is usual, doubled."""


def error(port: Port, place: Place, envelope: bytes) -> Answer:
    """An error as @sentry/browser tunnels it: the intake answers with the event's id."""
    return port.request(
        "POST",
        f"{place.platform}/api/telemetry/sentry",
        headers={"Content-Type": "text/plain;charset=UTF-8"},
        body=envelope,
    )


def view(port: Port, place: Place, intake: str, lines: bytes) -> Answer:
    """RUM events as @datadog/browser-rum proxies them; `intake` is the intake's own path and query."""
    return port.request(
        "POST",
        f"{place.platform}/api/telemetry/datadog?{urlencode({'ddforward': intake})}",
        headers={"Content-Type": "text/plain"},
        body=lines,
    )


def page_view(port: Port, place: Place, title: str, client: str) -> Answer:
    """A consented page view on its way to Google Analytics: 202."""
    body = {
        "name": "page_view",
        "params": {"page_title": title, "engagement_time_msec": 1},
        "client_id": client,
        "consent": "granted",
    }
    return port.request(
        "POST",
        f"{place.platform}/api/track",
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )


def tracked(port: Port, place: Place, event: Mapping[str, Any]) -> Answer:
    """A consented event as mixpanel-browser sends it."""
    return port.request(
        "POST",
        f"{place.platform}/api/telemetry/mixpanel/track/?verbose=1",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Cookie": "consent=granted"},
        body=urlencode({"data": json.dumps([event])}).encode(),
    )
