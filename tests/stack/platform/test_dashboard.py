"""The dashboard that each release puts at DataDog: there from the start, once, and of the form that DataDog knows."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import httpx
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v1.model.dashboard import Dashboard

from stack.components.platform import node

from .conftest import ROOT, Stack

FILE = ROOT / "stack" / "platform" / "dashboard.json"
PUT = """
import { putDashboard } from "./stack/platform/release.mjs";
console.log(await putDashboard(JSON.parse(process.argv[1]), console.error));
"""


def asked(stack: Stack, method: str, path: str = "", **more: Any) -> Any:
    keys = {"dd-api-key": stack.env["DATADOG_API_KEY"], "dd-application-key": stack.env["DATADOG_APP_KEY"]}
    answer = httpx.request(
        method, f"{stack.env['DATADOG_API_URL']}/api/v1/dashboard{path}", headers=keys, **more
    )
    answer.raise_for_status()
    return answer.json()


def there(stack: Stack) -> list[dict[str, Any]]:
    title = json.loads(FILE.read_text())["title"]
    return [one for one in asked(stack, "GET")["dashboards"] if one["title"] == title]


def put(stack: Stack, **other: str) -> subprocess.CompletedProcess[str]:
    """What a release does, with the stack's variables."""
    command = [node(), "--input-type=module", "--eval", PUT, json.dumps(stack.env | other)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)


def test_every_word_of_it_is_datadogs_own() -> None:
    """Judged by DataDog's client, made from its OpenAPI: it marks what its models cannot place."""
    client = ApiClient(Configuration())
    found = client.deserialize(FILE.read_text(), (Dashboard,), True)
    assert not found._unparsed
    spoilt = client.deserialize(FILE.read_text().replace('"pc75"', '"pc76"'), (Dashboard,), True)
    assert spoilt._unparsed  # so that the judge is known to judge


def test_the_started_platform_has_put_it_there_with_its_own_names(stack: Stack) -> None:
    listed = there(stack)
    assert len(listed) == 1, listed
    whole = json.dumps(asked(stack, "GET", f"/{listed[0]['id']}"))
    assert f"@application.id:{stack.env['DATADOG_APPLICATION_ID']}" in whole
    assert f"env:{stack.env['SENTRY_ENVIRONMENT']}" in whole
    assert not re.search("%[A-Z]+%", whole)


def test_another_release_brings_it_back_and_makes_no_second(stack: Stack) -> None:
    (before,) = there(stack)
    kept = asked(stack, "GET", f"/{before['id']}")
    asked(stack, "PUT", f"/{before['id']}", json={**kept, "widgets": kept["widgets"][:1]})
    assert put(stack).stdout.strip() == before["id"]
    (after,) = there(stack)
    assert after["id"] == before["id"]
    assert len(asked(stack, "GET", f"/{after['id']}")["widgets"]) == len(kept["widgets"])


def test_a_refusal_is_told_and_no_key_is_no_failure(stack: Stack) -> None:
    refused = put(stack, DATADOG_APP_KEY="wrong")
    assert (refused.stdout.strip(), "NOT put at DataDog" in refused.stderr) == ("failed", True)
    assert "403" in refused.stderr
    assert put(stack, DATADOG_APP_KEY="").stdout.strip() == "not configured"
