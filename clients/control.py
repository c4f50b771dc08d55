"""The embedded target's control address: planned outages, faults, and what died unplanned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from core.errors import BrokenError
from core.events import OutageEnded, OutageKind, OutagePlanned
from core.permit import Action
from core.run import Run
from core.target import Target


def call(target: Target, method: str, path: str, body: Any = None, *, wait: float = 60.0) -> Any:
    """One request to the control address. Raises BrokenError where there is none or it does not answer."""
    url, token = target.control_url, target.control_token
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


def components(target: Target) -> list[dict[str, Any]]:
    """Every component: name, state, pid, log."""
    found = call(target, "GET", "/components")
    return list(found["components"] if isinstance(found, dict) and "components" in found else found)


def fallen(target: Target) -> list[str]:
    """Names of components that died unplanned and lie dead; empty without a control address.

    A control address that does not answer means that the supervisor itself is gone.
    """
    if not target.control_url:
        return []
    try:
        return sorted(c["name"] for c in components(target) if c["state"] in ("died", "dead", "failed"))
    except BrokenError:
        return ["supervisor"]


def deaths(target: Target, since_ns: int = 0) -> list[dict[str, Any]]:
    """Every unplanned death of a component since a monotonic time: component, ended (in words), log."""
    if not target.control_url:
        return []
    try:
        events = call(target, "GET", "/events")["events"]
    except BrokenError:
        return [{"component": "supervisor", "ended": "its control address is silent", "log": ""}]
    return [e for e in events if e["type"] == "component.died" and e["monotonic_ns"] >= since_ns]


@contextmanager
def outage(run: Run, component: str, *, how: str = "stop") -> Iterator[None]:
    """Takes a component away, as planned and journaled, and brings it back whatever happens.

    `how` is `stop` (SIGTERM) or `kill` (SIGKILL). Raises PermitError where outages are not allowed.
    """
    run.target.permit.demand(Action.OUTAGE, f"taking {component} away")
    run.journal.write(OutagePlanned(component, OutageKind(how)), durable=True)
    try:
        call(run.target, "POST", f"/components/{component}/{how}")
        yield
    finally:
        call(run.target, "POST", f"/components/{component}/start")
        run.journal.write(OutageEnded(component), durable=True)


@contextmanager
def fault(run: Run, component: str, **settings: Any) -> Iterator[None]:
    """Switches a component's fault on (delays, errors: its own words) and off again."""
    run.target.permit.demand(Action.OUTAGE, f"faults at {component}")
    run.journal.write(OutagePlanned(component, OutageKind.FAULT, settings), durable=True)
    try:
        call(run.target, "POST", f"/faults/{component}", settings)
        yield
    finally:
        call(run.target, "POST", f"/faults/{component}", {"rules": []} if "rules" in settings else [])
        run.journal.write(OutageEnded(component), durable=True)
