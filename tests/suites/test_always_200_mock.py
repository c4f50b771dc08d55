"""Against a mock of its service that always answers 200 with something plausible, no check is met."""

from __future__ import annotations

import json
import os

import pytest

from clients import embedded
from clients.services import catalogue
from tests.suites.always_200_mock import VARIABLES, Always200Mock
from tests.suites.verdicts import on_live


@pytest.fixture(scope="module")
def stack():
    with embedded.attach() as held:
        yield held


FIRST = {
    "supabase.auth": "auth.wrong_password",
    "supabase.database": "database.profile_and_post,database.stranger_denied,reality.database",
    "supabase.storage": "storage.small_file_to_supabase,reality.storage",
    "r2": "storage.large_file_to_r2,reality.r2",
    "kv": "cache.kv_hit_and_miss",
    "rooms": "realtime.two_people_reconnect",
    "builder": "content.page_changes,reality.content",
    "sentry": "telemetry.sentry_error",
    "datadog": "telemetry.datadog_view,telemetry.datadog_dashboard",
    "ga4": "telemetry.ga4_event",
    "mixpanel": "telemetry.mixpanel_event",
    "platform": "reality.health,storage.versions",
}
"""A few checks of each service. ASSAY_LIARS=every runs all of them, some ten minutes of it."""


def test_every_service_has_a_liar():
    assert set(VARIABLES) == set(FIRST) == {s.id for s in catalogue()}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", VARIABLES)
def test_no_check_is_met_by_a_liar(service, stack, tmp_path):
    every = os.environ.get("ASSAY_LIARS") == "every"
    chosen = ["-m", service.replace(".", "_")] if every else ["--checks", FIRST[service]]
    mock = Always200Mock(service, stack.variables)
    try:
        finished = on_live(tmp_path, mock.environment, *chosen)
    finally:
        mock.close()
    assert mock.answered, "the liar was never asked"
    believed = {check: e for check, e in finished.items() if e.outcome == "met"}
    assert not believed, json.dumps(believed, indent=1)
    assert any(e.outcome in ("missed", "broken") for e in finished.values())
