"""The real sentry-cli (npm @sentry/cli) against the recorder, by SENTRY_URL alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests.stack.sentry.test_ingest import envelope, send
from tests.stack.vendors.running import ROOT

CLI = ROOT / "node_modules" / ".bin" / "sentry-cli"
SOURCE = "export function pay(cart) {\n  throw new Error('declined')\n}\npay({})\n"
# One segment for the line `throw`: column 15 of the bundle's line 1 is line 2, column 2 of the source.
MAPPINGS = "AAAA,eACE"


@pytest.fixture
def cli(sentry, tmp_path):
    names = ("SENTRY_URL", "SENTRY_AUTH_TOKEN", "SENTRY_ORG", "SENTRY_PROJECT")
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SENTRY_DISABLE_UPDATE_CHECK": "1"}

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = clean | {name: sentry.env[name] for name in names} | environment
        return subprocess.run(
            [str(CLI), *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60
        )

    return run


def bundle(folder: Path) -> tuple[str, int]:
    """Write a bundle with its source map; return nothing known before `inject`."""
    folder.mkdir()
    (folder / "app.js").write_text(
        "function a(){throw new Error('declined')}a()\n//# sourceMappingURL=app.js.map\n"
    )
    mapped = {
        "version": 3, "file": "app.js", "sources": ["src/checkout.ts"], "sourcesContent": [SOURCE],
        "names": ["pay"], "mappings": "AAAA,aACE",
    }  # fmt: skip
    (folder / "app.js.map").write_text(json.dumps(mapped))
    return "app.js", 14


def test_info_knows_the_token(cli):
    done = cli("info")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "assay" in done.stdout


@pytest.mark.parametrize("command", [("releases", "new", "x@1"), ("sourcemaps", "upload", "dist"), ("info",)])
def test_a_wrong_token_never_works(cli, tmp_path, command):
    bundle(tmp_path / "dist")
    done = cli(*command, SENTRY_AUTH_TOKEN="0" * 64)
    assert done.returncode != 0
    assert "401" in done.stdout + done.stderr or "Invalid token" in done.stdout + done.stderr


def test_a_release_from_new_to_deploy(cli, api, marker):
    release = f"platform@{marker}"
    for command in (
        ("releases", "new", release),
        ("releases", "finalize", release),
        ("deploys", "new", "--release", release, "-e", "test"),
    ):
        done = cli(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    shown = api.get(f"/organizations/assay/releases/{release}/").json()
    assert shown["dateReleased"]
    assert shown["lastDeploy"]["environment"] == "test"
    assert release in cli("releases", "list").stdout
    assert cli("releases", "delete", release).returncode == 0
    assert api.get(f"/organizations/assay/releases/{release}/").status_code == 404


def test_source_maps_resolve_a_frame_to_the_original_line(cli, sentry, api, tmp_path, marker):
    name, column = bundle(tmp_path / "dist")
    for command in (("sourcemaps", "inject", "dist"), ("sourcemaps", "upload", "dist")):
        done = cli(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    lines = (tmp_path / "dist" / name).read_text().splitlines()
    debug_id = re.search(r"debugId=([0-9a-f-]+)", "\n".join(lines))
    assert debug_id is not None
    line = next(number for number, text in enumerate(lines, 1) if "declined" in text)
    column = lines[line - 1].index("throw") + 1
    url = f"http://127.0.0.1/{name}"
    frame = {
        "filename": url,
        "abs_path": url,
        "function": "a",
        "lineno": line,
        "colno": column,
        "in_app": True,
    }
    exception = {"values": [{"type": "Error", "value": marker, "stacktrace": {"frames": [frame]}}]}
    image = {"type": "sourcemap", "code_file": url, "debug_id": debug_id[1]}
    event = {
        "event_id": uuid.uuid4().hex, "timestamp": time.time(), "platform": "javascript",
        "exception": exception, "debug_meta": {"images": [image]},
    }  # fmt: skip
    assert send(sentry, envelope(({"type": "event"}, event), event_id=event["event_id"])).status_code == 200
    shown = api.get(f"/projects/assay/platform/events/{event['event_id']}/").json()
    values = next(entry for entry in shown["entries"] if entry["type"] == "exception")["data"]["values"]
    (mapped,) = values[0]["stacktrace"]["frames"]
    assert (mapped["filename"], mapped["lineNo"]) == ("src/checkout.ts", 2)
    assert [2, "  throw new Error('declined')"] in mapped["context"]


def test_events_and_issues_are_listed(cli, sentry, marker):
    event = {"event_id": uuid.uuid4().hex, "timestamp": time.time(), "message": marker, "platform": "other"}
    assert send(sentry, envelope(({"type": "event"}, event), event_id=event["event_id"])).status_code == 200
    for command in (("events", "list"), ("issues", "list")):
        done = cli(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert marker in done.stdout


def test_send_event_by_the_data_source_name(cli, sentry, api, marker):
    done = cli("send-event", "-m", marker, SENTRY_DSN=sentry.env["SENTRY_DSN"])
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", done.stdout)
    assert found is not None, done.stdout
    shown = api.get(f"/projects/assay/platform/events/{found[0].replace('-', '')}/")
    assert shown.json()["title"] == marker
