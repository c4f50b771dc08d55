"""No secret in any artifact of a run: a whole browser flow is run with pictures, and every file is searched."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.runner.sandbox import ROOT, Sandbox

SECRETS = (
    "SUPABASE_SERVICE_KEY",
    "CLOUDFLARE_API_TOKEN",
    "R2_SECRET_ACCESS_KEY",
    "BUILDER_PRIVATE_KEY",
    "BUILDER_WEBHOOK_SECRET",
    "SENTRY_AUTH_TOKEN",
    "DATADOG_API_KEY",
    "DATADOG_APP_KEY",
    "GA4_API_SECRET",
    "MIXPANEL_API_SECRET",
)
LOOKS = {
    "a person's address": re.compile(rb"assay-[0-9a-f]{10,}(@|%40)assay\.example"),
    "a person's password": re.compile(rb"[\w-]{24}aA1(!|%21)"),
    "a token": re.compile(rb"eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"),
}
"""The planted values are made at random by the run itself, and known by their form."""


def every_part(folder: Path):
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    for member in archive.namelist():
                        yield f"{path.name}!{member}", archive.read(member)


@pytest.mark.timeout(400)
def test_no_secret_is_in_any_artifact(tmp_path):
    sandbox = Sandbox(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-m", "stack.supervisor", "up", "--hold", "--json", "--state", str(sandbox.state)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        variables = json.loads(holder.stdout.readline())["variables"]
        checks = ("browser.register_upload_chat", "auth.register_confirm_login")
        _, said = sandbox.run("check", *checks, "--plan", "smoke", "--pictures")
    finally:
        holder.communicate(timeout=60)
        sandbox.down()
    assert set(sandbox.outcomes().values()) == {"met"}, said
    found = []
    traces = 0
    for name, data in every_part(sandbox.newest()):
        traces += name.endswith(".network") or ".trace" in name
        found += [f"{name}: {what}" for what, form in LOOKS.items() if form.search(data)]
        found += [f"{name}: {key}" for key in SECRETS if variables[key].encode() in data]
    assert traces, "the trace archives were searched inside"
    assert found == []
