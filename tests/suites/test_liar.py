"""Against a mock of its service that always answers 200 with something plausible, no check is met."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from core.evidence import Evidence
from fixtures import embedded
from fixtures.run import ROOT
from fixtures.services import catalogue
from tests.suites.liar import VARIABLES, Liar


@pytest.fixture(scope="module")
def stack():
    with embedded.attach() as held:
        yield held


def target_file(folder):
    capabilities = sorted(c for s in catalogue() for c in s.capabilities)
    path = folder / "target.toml"
    path.write_text("[capabilities]\n" + "".join(f'"{c}" = "required"\n' for c in capabilities))
    return path


FIRST = {
    "supabase.auth": "auth.wrong_password",
    "supabase.database": "database.profile_and_post,database.stranger_denied,reality.database",
    "supabase.storage": "storage.small_file_to_supabase,reality.storage",
    "r2": "storage.large_file_to_r2,reality.r2",
    "kv": "cache.kv_hit_and_miss",
    "rooms": "realtime.two_people_reconnect",
    "builder": "content.page_changes,reality.content",
    "sentry": "telemetry.sentry_error",
    "datadog": "telemetry.datadog_view",
    "ga4": "telemetry.ga4_event",
    "mixpanel": "telemetry.mixpanel_event",
    "platform": "reality.health,storage.versions",
}
"""A few checks of each service. ASSAY_LIARS=every runs all of them, some ten minutes of it."""


def run_checks(environment, folder, service):
    """Verdicts by check of one service's checks, run as on a live target with this environment."""
    chosen = ["-m", service.replace(".", "_")]
    if os.environ.get("ASSAY_LIARS") != "every":
        chosen = ["--checks", FIRST[service]]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_"))}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "suites",
        *(*chosen, "-q", "--tb=no", "-p", "tests.suites.impatient"),
        *("--target", "live", "--target-file", str(target_file(folder))),
    ]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**clean, **environment, "ASSAY_RUN_DIR": str(folder / "run")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    events = Evidence(folder / "run").events("check.finished")
    assert events, done.stdout[-3000:] + done.stderr[-3000:]
    return {e["check"]: e for e in events}


def test_every_service_has_a_liar():
    assert set(VARIABLES) == set(FIRST) == {s.id for s in catalogue()}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", VARIABLES)
def test_no_check_is_met_by_a_liar(service, stack, tmp_path):
    liar = Liar(service, stack.variables)
    try:
        finished = run_checks(liar.environment, tmp_path, service)
    finally:
        liar.close()
    assert liar.told, "the liar was never asked"
    believed = {check: e for check, e in finished.items() if e["outcome"] == "met"}
    assert not believed, json.dumps(believed, indent=1)
    assert any(e["outcome"] in ("missed", "broken") for e in finished.values())
