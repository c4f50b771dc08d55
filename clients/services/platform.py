"""The platform itself: one origin for its web pages and its API (stack/platform/API.md is its contract)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import httpx

from clients.http_port import ANY_5XX, HttpPort, WireAnswer
from clients.services import Probe
from core.description import fill_path, pick
from core.errors import NotDescribed, ServiceError
from core.run import Run
from core.service import Service, Variable

PLATFORM_URL = Variable("PLATFORM_URL", url=True)

SERVICE = Service(
    id="platform",
    title="The platform",
    variables=(PLATFORM_URL,),
    capabilities={
        "platform.api": "the platform's own API answers at PLATFORM_URL",
        "platform.web": "the platform's web pages answer at PLATFORM_URL",
        "platform.tls": "the target is reached over networks that others read; so by itself, unless it answers here",
    },
    guide="docs/live-target.md#platform",
)
ATTRIBUTE = "platform"
PROBED = frozenset(
    {"database", "auth", "storage", "r2", "kv", "rooms", "builder", "sentry", "datadog", "ga4", "mixpanel"}
)
"""What the health page names, by its contract."""
_AWAY = {"upstream_failed", "unavailable"}
_LATER = (408, 425, 429)
"""Refusals that say nothing of the request: asked again, it may be taken (RFC 9110, 15.5.9; RFC 8470; RFC 6585)."""


class Platform(HttpPort):
    """Tells two kinds of 5xx apart.

    `500 internal` in the contract's form is the platform's own fault: an answer, which fails a check's
    expectation. `upstream_failed` and `unavailable` say that a service is away: ServiceError with that
    service's name, unless the caller allows the status. Where the service answered and refused what it was asked
    (`details.status`, a 4xx), it is not away: what the platform asked of it was wrong, which is its own fault, too.
    Any other 5xx is no answer by the contract.
    """

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        allow: Collection[int] = (),
    ) -> WireAnswer:
        """Sends one request; see HttpPort."""
        answer = super().request(
            method, url, headers=headers, body=body, params=params, allow={*allow, *ANY_5XX}
        )
        if answer.status < 500 or answer.status in allow:
            return answer
        code = answer.code
        if not code:
            raise ServiceError(self.service, f"{answer.asked} answers {answer.said()}")
        if code in _AWAY and not _refused_by_upstream(answer):
            raise ServiceError(
                str(answer.details.get("service") or self.service), f"{answer.asked} answers {answer.said()}"
            )
        return answer


def _refused_by_upstream(answer: WireAnswer) -> bool:
    status = answer.details.get("status")
    return isinstance(status, int) and 400 <= status < 500 and status not in _LATER


class PlatformClient:
    """The platform's API. `port` is for journeys; `call` adds a token and the base address."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.url = run.target.get(PLATFORM_URL.name).rstrip("/")
        self.port = self.from_address(None)

    def from_address(self, source: str | None, *, timeout: float = 60.0) -> Platform:
        """A port that connects from this local address (embedded: any of 127.0.0.0/8 is another client)."""
        return Platform(
            SERVICE.id,
            self.run.target.permit,
            base=self.url,
            headers={"Accept": "application/json"},
            source=source,
            timeout=httpx.Timeout(timeout, connect=10.0),
            redactor=self.run.redactor,
        )

    def path(self, where: str, **values: object) -> str:
        """The path that the project describes there (`telemetry.track`, `platform.version`), its names replaced; a route's
        query is the caller's. Raises NotDescribed."""
        found = self.run.target.description.find(where)
        path = found if isinstance(found, str) else getattr(found, "path", "")
        if not path:
            raise NotDescribed(where)
        return fill_path(path, values)

    def version(self) -> str:
        """The release that the platform says it is. Raises NotDescribed, or Missed when it tells none."""
        described = self.run.target.description.platform.version
        answer = self.call("GET", self.path("platform.version"))
        stated = answer.expect(200, claim="the platform says its version").json(dict)
        return str(pick(stated, described.field if described else "", ""))

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        allow: Collection[int] = (),
    ) -> WireAnswer:
        """One request to the platform; `token` is a user's access token."""
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        return self.port.request(method, path, headers=sent, body=body, params=params, allow=allow)

    def close(self) -> None:
        """Closes every connection."""
        self.port.close()


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: each described route that can be read without a person, and its closed door."""
    client, described = PlatformClient(run), run.target.description.platform
    found: dict[str, Probe] = {}

    def answers(path: str, status: int, what: str) -> Probe:
        def there() -> str:
            answer = client.call("GET", path)
            if answer.status != status:
                where = run.target.description.where(f"platform.{what}")
                raise ServiceError(SERVICE.id, f"{where} describes {path}: {answer.said()}, not {status}")
            return f"{path} answers {status}"

        return there

    if described.version:
        asked = described.version

        def version() -> str:
            answer = client.call("GET", asked.path).demand(200).json(dict)
            return f"version {pick(answer, asked.field, 'not told')}"

        found["version"] = version
    if described.health:
        found["health"] = answers(described.health.path, 200, "health")
    if described.whoami:
        found["whoami for nobody"] = answers(described.whoami.path, 401, "whoami")
    return found | {f"{path} for nobody": answers(path, 401, "private") for path in described.private}
