"""Dashboard, monitors and alert rules by deploy/observability/apply.py: made once, brought back when changed by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.v1.model.monitor import Monitor

from .conftest import ROOT, Stack

FOLDER = ROOT / "deploy" / "observability"


def run(stack: Stack, word: str, **changes: str) -> tuple[int, str]:
    names = {"PATH": os.environ["PATH"], "SENTRY_ENVIRONMENT": "trial", "ALERTS_TO": "@slack-oncall"}
    done = subprocess.run(
        [sys.executable, str(FOLDER / "apply.py"), word],
        env={**stack.env, **names, **changes}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def monitors(stack: Stack, method: str = "GET", at: str = "", body: Any = None) -> Any:
    keys = {"dd-api-key": stack.env["DATADOG_API_KEY"], "dd-application-key": stack.env["DATADOG_APP_KEY"]}
    url = f"{stack.env['DATADOG_API_URL']}/api/v1/monitor{at}"
    return httpx.request(method, url, headers=keys, json=body).raise_for_status().json()


def rules(stack: Stack, method: str = "GET", at: str = "", body: Any = None) -> Any:
    where = f"{stack.env['SENTRY_ORG']}/{stack.env['SENTRY_PROJECT']}"
    url = f"{stack.env['SENTRY_URL']}/api/0/projects/{where}/rules/{at}"
    token = {"authorization": f"Bearer {stack.env['SENTRY_AUTH_TOKEN']}"}
    return httpx.request(method, url, headers=token, json=body).raise_for_status().json()


def test_what_differs_is_named_and_what_is_applied_twice_is_there_once(stack: Stack) -> None:
    wanted = [
        one["name"]
        for file in ("datadog.json", "sentry.json")
        for one in json.loads((FOLDER / file).read_text())
    ]
    code, said = run(stack, "diff")
    assert code == 1
    assert all(f"'{name}': is not there" in said for name in wanted), said
    for _ in range(2):
        code, said = run(stack, "apply")
        assert code == 0, said
    there = [one["name"] for one in (*monitors(stack), *rules(stack))]
    assert sorted(name for name in there if name in wanted) == sorted(wanted)
    assert run(stack, "diff")[0] == 0

    changed = next(one for one in monitors(stack) if one["name"] == wanted[0])
    assert changed["message"].endswith("@slack-oncall")
    monitors(stack, "PUT", f"/{changed['id']}", {**changed, "message": "nobody"})
    rule = next(one for one in rules(stack) if one["name"] == wanted[-1])
    rules(stack, "PUT", f"{rule['id']}/", {"frequency": 1440})
    code, said = run(stack, "diff")
    assert code == 1
    assert f"'{wanted[0]}': message: \"nobody\" there" in said
    assert f"'{wanted[-1]}': frequency: 1440 there, 30 here" in said
    assert run(stack, "apply")[0] == 0
    assert run(stack, "diff")[0] == 0


def test_what_cannot_be_done_is_said(stack: Stack) -> None:
    code, said = run(stack, "apply", DATADOG_APP_KEY="wrong")
    assert code == 3
    assert "DataDog refused: status 403" in said
    code, said = run(stack, "diff", DATADOG_APP_KEY="", SENTRY_AUTH_TOKEN="")
    assert code == 2
    assert "left out: DATADOG_APP_KEY not set" in said


@pytest.mark.parametrize("number", range(4))
def test_every_monitor_is_of_datadogs_own_words(number: int) -> None:
    """Judged by DataDog's client, made from its OpenAPI."""
    client = ApiClient(Configuration())
    text = json.dumps(json.loads((FOLDER / "datadog.json").read_text())[number])
    assert not client.deserialize(text, (Monitor,), True)._unparsed
    assert client.deserialize(text.replace(' alert"', ' alarm"'), (Monitor,), True)._unparsed
