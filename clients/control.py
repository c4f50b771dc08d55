"""The embedded target's control address: planned outages, faults, and what died unplanned."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from core.errors import BrokenError
from core.permit import Action
from core.run import Run

URL = "ASSAY_CONTROL_URL"
TOKEN = "ASSAY_CONTROL_TOKEN"  # noqa: S105 (a variable's name)


def _call(method: str, path: str, body: Any = None, *, wait: float = 60.0) -> Any:
    url, token = os.environ.get(URL), os.environ.get(TOKEN)
    if not url or not token:
        raise BrokenError(
            "this target has no control address; process control is for the embedded target alone."
        )
    try:
        answer = httpx.request(
            method,
            url + path,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=wait,
            trust_env=False,
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None
    except (httpx.HTTPError, ValueError) as error:
        raise BrokenError(
            f"the embedded target's control address failed at {method} {path}: {error}"
        ) from error


def components() -> list[dict[str, Any]]:
    """Every component: name, state, pid, log."""
    found = _call("GET", "/components")
    return list(found["components"] if isinstance(found, dict) and "components" in found else found)


def fallen() -> list[str]:
    """Names of components that died unplanned and lie dead; empty without a control address.

    A control address that does not answer means that the supervisor itself is gone.
    """
    if not os.environ.get(URL):
        return []
    try:
        return sorted(c["name"] for c in components() if c["state"] in ("died", "dead", "failed"))
    except BrokenError:
        return ["supervisor"]


def deaths(since_ns: int = 0) -> list[dict[str, Any]]:
    """Every unplanned death of a component since a monotonic time: component, ended (in words), log."""
    if not os.environ.get(URL):
        return []
    try:
        events = _call("GET", "/events")["events"]
    except BrokenError:
        return [{"component": "supervisor", "ended": "its control address is silent", "log": ""}]
    return [e for e in events if e["type"] == "component.died" and e["monotonic_ns"] >= since_ns]


@contextmanager
def outage(run: Run, component: str, *, how: str = "stop") -> Iterator[None]:
    """Takes a component away, as planned and journaled, and brings it back whatever happens.

    `how` is `stop` (SIGTERM) or `kill` (SIGKILL). Raises PermitError where outages are not allowed.
    """
    run.target.permit.demand(Action.OUTAGE, f"taking {component} away")
    run.journal.event("outage.planned", component=component, how=how, durable=True)
    try:
        _call("POST", f"/components/{component}/{how}")
        yield
    finally:
        _call("POST", f"/components/{component}/start")
        run.journal.event("outage.ended", component=component, durable=True)


@contextmanager
def fault(run: Run, component: str, **settings: Any) -> Iterator[None]:
    """Switches a component's fault on (delays, errors: its own words) and off again."""
    run.target.permit.demand(Action.OUTAGE, f"faults at {component}")
    run.journal.event("outage.planned", component=component, how="fault", settings=settings, durable=True)
    try:
        _call("POST", f"/faults/{component}", settings)
        yield
    finally:
        _call("POST", f"/faults/{component}", {"rules": []} if "rules" in settings else [])
        run.journal.event("outage.ended", component=component, durable=True)
