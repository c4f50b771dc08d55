"""done.nomocks: every service tells a right key from a wrong one, which nothing made up would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from clients.http_port import WireAnswer
from clients.s3 import S3
from clients.service_clients import ServiceClients
from clients.services import r2
from core.errors import ServiceError
from core.expect import expect
from core.passport import check
from core.permit import Action
from core.run import Run
from core.secret import Secret
from suites.types import Witness

WRONG = "wrong-" + "0" * 34
REFUSED = (400, 401, 403)
"""Storage answers 400 with the true status in its body, Cloudflare 400 to a malformed token."""
Call = Callable[[dict[str, str]], WireAnswer]
"""One read with these headers in place of the right ones; {} for the right ones."""


def reads(run: Run, services: ServiceClients) -> Iterator[tuple[str, Call, dict[str, str]]]:
    """(service, a read that needs its key, headers with a wrong one), for whatever the target has."""
    bearer = {"Authorization": f"Bearer {WRONG}"}
    supabase = {"apikey": WRONG, **bearer}
    secret = run.target.secret("SUPABASE_SERVICE_KEY").reveal()
    right = {"apikey": secret, "Authorization": f"Bearer {secret}"}
    nobody = "00000000-0000-4000-8000-000000000000"

    def of(port: Any, path: str, method: str = "GET", **more: Any) -> Call:
        return lambda headers: port.request(method, path, headers=headers, **more)

    def admin(port: Any, path: str) -> Call:
        return lambda headers: port.request("GET", path, headers=headers or right)

    yield "supabase.auth", of(services.auth.port, "/settings"), supabase
    yield "supabase.auth", admin(services.auth.port, "/admin/users?page=1&per_page=1"), supabase
    has, find = run.target.has, run.target.find
    if has("database.rest"):
        probe = run.target.description.database.probe
        yield "supabase.database", admin(services.database.port, f"/{probe}?select=*&limit=1"), supabase
    if has("storage.supabase"):
        yield "supabase.storage", admin(services.storage.port, "/bucket"), supabase
    if has("cache.kv"):
        yield "kv", of(services.kv.port, "/keys?limit=10"), bearer
    if has("telemetry.sentry") and find("SENTRY_AUTH_TOKEN"):
        yield "sentry", of(services.sentry.api, f"{services.sentry.project_path}/events/"), bearer
    if has("telemetry.datadog") and find("DATADOG_APP_KEY"):
        query = {"filter": {"query": f"@session.id:{nobody}", "from": "now-1m", "to": "now"}}
        keys = {"DD-API-KEY": WRONG, "DD-APPLICATION-KEY": WRONG}
        yield "datadog", of(services.datadog.api, "/api/v2/rum/events/search", "POST", body=query), keys
    if has("telemetry.ga4") and find("GA4_ACCESS_TOKEN"):
        path = f"/v1beta/properties/{run.target.get('GA4_PROPERTY_ID')}:runRealtimeReport"
        count = {"metrics": [{"name": "activeUsers"}]}
        yield "ga4", of(services.ga4.data, path, "POST", body=count), bearer
    if has("telemetry.mixpanel") and find("MIXPANEL_API_SECRET"):
        days = {"from_date": "2020-01-01", "to_date": "2020-01-01"}
        basic = {"Authorization": "Basic d3Jvbmc6"}
        yield "mixpanel", of(services.mixpanel.data, "/api/2.0/export", params=days), basic


@contextmanager
def stranger_to_r2(run: Run) -> Iterator[S3]:
    """The bucket with a key pair that nobody was given."""
    bucket = run.target.get("R2_BUCKET_NAME")
    s3 = S3("r2", r2.endpoint(run.target), Secret("0" * 32), Secret("0" * 64), bucket, run.target.permit)
    try:
        yield s3
    finally:
        s3.close()


@check(
    "reality.keys",
    "Every service answers its right key and refuses a wrong one",
    requirement=("done.nomocks", "P6.3", "P2.1", "P1.1"),
    service="platform",
    needs=("auth.email", "database.probe"),
    actions=(Action.READ,),
)
def test_keys(run: Run, services: ServiceClients, witness: Witness) -> None:
    """The same read with both keys, so that the refusal is the key's. The platform's own: `security.private_routes`."""
    for service, call, wrong in reads(run, services):
        good = call({})
        expect(
            good.status == 200,
            f"{good.asked} with the right key is answered (positive control)",
            expected=200,
            saw=good.said(),
            service=service,
        )
        bad = call(wrong)
        expect(
            bad.status in REFUSED,
            f"{bad.asked} with a wrong key is refused",
            expected=" or ".join(map(str, REFUSED)),
            saw=bad.said(),
            service=service,
        )
        witness(service, f"{good.status} to the right key, {bad.status} to a wrong one")
    if run.target.has("storage.r2"):
        services.r2.s3.keys("assay-nothing/")
        with stranger_to_r2(run) as s3:
            try:
                s3.keys("assay-nothing/")
            except ServiceError as error:
                said = str(error)
            else:
                said = "the list"
        expect(
            any(
                word in said
                for word in ("Unauthorized", "AccessDenied", "Signature", "AccessKey", "403", "401")
            ),
            "R2's S3 API refuses a key pair that nobody was given",
            expected="refused as unknown key or wrong signature",
            saw=said,
            service="r2",
        )
