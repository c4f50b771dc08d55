"""Issue alert rules: when an error fits, a receiver is told.

Source: Sentry's API reference, "Create an Issue Alert Rule for a Project" (conditions, filters, actions by
class name; actionMatch, filterMatch, frequency, environment) and Sentry's webhooks plugin (addresses set at
`/plugins/webhooks/`, payload of `sentry_webhooks/plugin.py`).
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.sentry.access import Access, missing
from stack.sentry.reading import Reading
from stack.sentry.recorder import BY_RECORDER
from stack.sentry.releases import now
from stack.sentry.shapes import search_fields, tags_of, title_of
from stack.sentry.variables import ORGANISATION, PROJECT
from stack.vendors.store import Store
from stack.vendors.web import Unreadable, read_json

RULE = "sentry.rule"
PLUGIN = "sentry.plugin"
FIRED = "sentry.fired"
CONDITIONS = "sentry.rules.conditions."
FILTERS = "sentry.rules.filters."
ACTIONS = "sentry.rules.actions."
KNOWN = {
    "conditions": {
        f"{CONDITIONS}first_seen_event.FirstSeenEventCondition",
        f"{CONDITIONS}every_event.EveryEventCondition",
        f"{CONDITIONS}event_frequency.EventFrequencyCondition",
    },
    "filters": {f"{FILTERS}tagged_event.TaggedEventFilter", f"{FILTERS}level.LevelFilter"},
    "actions": {
        f"{ACTIONS}notify_event.NotifyEventAction",
        f"{ACTIONS}notify_event_service.NotifyEventServiceAction",
    },
}
INTERVALS = {"1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86_400, "1w": 604_800, "30d": 2_592_000}
LEVELS = {"10": "debug", "20": "info", "30": "warning", "40": "error", "50": "fatal"}
ATTEMPTS = (0.0, 0.5, 2.0)
"""Seconds before each attempt to tell a receiver."""


class Rules:
    """The project's alert rules and the webhooks plugin."""

    def __init__(self, store: Store, reading: Reading, access: Access) -> None:
        self.store, self.reading, self.access = store, reading, access
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[Route]:
        """Return the routes of rules and the plugin."""
        guard, project = self.access.guard, "/projects/{org}/{project}"
        return [
            Route(f"{project}/rules/", guard(self.rules), methods=["GET", "POST"]),
            Route(f"{project}/rules/{{id}}/", guard(self.rule), methods=["GET", "PUT", "DELETE"]),
            Route(f"{project}/plugins/webhooks/", guard(self.plugin), methods=["GET", "PUT", "DELETE"]),
        ]

    # -- keeping

    @staticmethod
    def _wrong(body: Any) -> dict[str, list[str]]:
        if not isinstance(body, dict):
            return {"nonFieldErrors": ["Expected an object."]}
        wrong = {}
        for name in ("name", "frequency", "actionMatch", "conditions", "actions"):
            if name not in body:
                wrong[name] = ["This field is required."]
        if body.get("actionMatch", "all") not in ("all", "any", "none"):
            wrong["actionMatch"] = ["not a valid choice"]
        for part, known in KNOWN.items():
            for one in body.get(part) or []:
                if not isinstance(one, dict) or one.get("id") not in known:
                    wrong[part] = ["Invalid rule: unknown id"]
        if "actions" in body and not body["actions"]:
            wrong["actions"] = ["You must add an action for this alert to fire."]
        return wrong

    async def rules(self, request: Request) -> Response:
        """`GET` lists, `POST` creates."""
        if request.method == "GET":
            return JSONResponse(self.store.all(RULE), headers=BY_RECORDER)
        try:
            body = await read_json(request)
        except Unreadable:
            return JSONResponse({"detail": "JSON parse error"}, 400, BY_RECORDER)
        if wrong := self._wrong(body):
            return JSONResponse(wrong, 400, BY_RECORDER)
        key = str(int(time.time() * 1e6))
        defaults: dict[str, Any] = {"filters": [], "filterMatch": "all", "environment": None, "owner": None}
        rule = {
            **defaults,
            **body,
            "id": key,
            "projects": [PROJECT],
            "status": "active",
            "dateCreated": now(),
        }
        self.store.put(RULE, key, rule)
        return JSONResponse(rule, 201, BY_RECORDER)

    async def rule(self, request: Request) -> Response:
        """`GET`, `PUT` or `DELETE` one rule."""
        key = request.path_params["id"]
        rule = self.store.get(RULE, key)
        if rule is None:
            return missing()
        if request.method == "DELETE":
            self.store.delete(RULE, key)
            return Response(status_code=202, headers=BY_RECORDER)
        if request.method == "PUT":
            body = await read_json(request)
            if wrong := self._wrong({**rule, **body}):
                return JSONResponse(wrong, 400, BY_RECORDER)
            rule = {**rule, **body, "id": key}
            self.store.put(RULE, key, rule)
        return JSONResponse(rule, headers=BY_RECORDER)

    async def plugin(self, request: Request) -> Response:
        """`PUT` the receivers' addresses (`urls`, one a line); `GET` shows, `DELETE` switches off."""
        if request.method == "DELETE":
            self.store.delete(PLUGIN, "webhooks")
            return Response(status_code=204, headers=BY_RECORDER)
        if request.method == "PUT":
            body = await read_json(request)
            urls = str(body.get("urls", "")).split()
            if not urls or not all(url.startswith(("http://", "https://")) for url in urls):
                return JSONResponse({"errors": {"urls": "Not a valid URL."}}, 400, BY_RECORDER)
            self.store.put(PLUGIN, "webhooks", {"urls": urls})
        kept = self.store.get(PLUGIN, "webhooks") or {"urls": []}
        shown = {"id": "webhooks", "enabled": bool(kept["urls"]), "config": kept}
        return JSONResponse(shown, headers=BY_RECORDER)

    # -- firing

    async def tell_receivers(self, event_id: str, payload: dict[str, Any]) -> None:
        """Judge the rules by a newly accepted error; the receivers are told in the background."""
        if not self.store.all(RULE):
            return
        task = asyncio.get_running_loop().create_task(self._judge(event_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _judge(self, event_id: str) -> None:
        event = await self.reading.look_up(event_id)
        if event is None:
            print(f"sentry: no rule was judged, Bugsink does not show {event_id}", file=sys.stderr)
            return
        fitting = [
            rule
            for rule in self.store.all(RULE)
            if await self._fits(rule, event) and self._may_fire(rule, event)
        ]
        if fitting:
            await self._tell(fitting, event)

    def _may_fire(self, rule: dict[str, Any], event: dict[str, Any]) -> bool:
        """Return whether the rule was silent about this issue for `frequency` minutes; notes that it fires."""
        key = f"{rule['id']}:{event['issue']['id']}"
        last = self.store.get(FIRED, key)
        if last is not None and time.time() < last + float(rule["frequency"]) * 60:
            return False
        self.store.put(FIRED, key, time.time())
        return True

    async def _fits(self, rule: dict[str, Any], event: dict[str, Any]) -> bool:
        environment = event["data"].get("environment") or "production"
        if rule.get("environment") and rule["environment"] != environment:
            return False
        conditions = [await self._condition(one, event) for one in rule["conditions"]]
        filters = [self._filter(one, event) for one in rule.get("filters") or []]
        return self._match(rule["actionMatch"], conditions) and self._match(rule["filterMatch"], filters)

    @staticmethod
    def _match(how: str, found: list[bool]) -> bool:
        if not found or how == "all":
            return all(found)
        return any(found) if how == "any" else not any(found)

    async def _condition(self, condition: dict[str, Any], event: dict[str, Any]) -> bool:
        name = condition["id"].rpartition(".")[2]
        if name == "FirstSeenEventCondition":
            return bool(event["order"] == 1)
        if name == "EventFrequencyCondition":
            window = INTERVALS[condition.get("interval", "1m")]
            issue = str(event["issue"]["id"])
            found = await self.reading.newest(1000, issue=issue)
            recent = [one for one in found if _epoch(one["received"]) >= time.time() - window]
            return len(recent) > int(condition.get("value", 0))
        return True

    @staticmethod
    def _filter(rule: dict[str, Any], event: dict[str, Any]) -> bool:
        if rule["id"].endswith("LevelFilter"):
            level = event["data"].get("level") or "error"
            order = list(LEVELS.values())
            mine, limit = order.index(level), order.index(LEVELS[str(rule["level"])])
            levels: dict[str, bool] = {"eq": mine == limit, "gte": mine >= limit, "lte": mine <= limit}
            return levels[rule.get("match", "eq")]
        actual = search_fields(event).get(str(rule["key"]))
        wanted, how = str(rule.get("value", "")), rule.get("match", "eq")
        if how in ("is", "ns"):
            return bool((actual is not None) == (how == "is"))
        text = str(actual)
        judged: dict[str, bool] = {
            "eq": text == wanted,
            "ne": text != wanted,
            "co": wanted in text,
            "nc": wanted not in text,
            "sw": text.startswith(wanted),
            "ew": text.endswith(wanted),
        }
        return judged[how]

    async def _tell(self, rules: list[dict[str, Any]], event: dict[str, Any]) -> None:
        data, issue = event["data"], event["issue"]
        url = f"{self.reading.bugsink.public_url}/organizations/{ORGANISATION}/issues/{issue['id']}/"
        payload = {
            "id": str(issue["id"]),
            "project": PROJECT,
            "project_name": PROJECT,
            "project_slug": PROJECT,
            "logger": data.get("logger"),
            "level": data.get("level") or "error",
            "culprit": data.get("transaction") or "",
            "message": title_of(event),
            "url": url,
            "triggering_rules": [rule["name"] for rule in rules],
            "event": {
                **data,
                "event_id": event["event_id"],
                "id": event["event_id"],
                "tags": [[tag["key"], tag["value"]] for tag in tags_of(data)],
            },
        }
        async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
            for address in (self.store.get(PLUGIN, "webhooks") or {"urls": []})["urls"]:
                for pause in ATTEMPTS:
                    await asyncio.sleep(pause)
                    try:
                        if (await client.post(address, json=payload)).is_success:
                            break
                    except httpx.HTTPError as error:
                        print(f"sentry: alert to {address}: {error!r}", file=sys.stderr)


def _epoch(text: str) -> float:
    """Return epoch seconds of an ISO time."""
    return datetime.fromisoformat(text).timestamp()
