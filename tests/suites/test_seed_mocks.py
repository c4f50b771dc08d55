"""The seed's own mocks, put back in front of the real services: a check fails and names the service.

The seed shows them: `getCurrentUser` answering `mock-user`, the upload route "returns mock responses",
`getMockContent(path)`, "mock analytics events". Everything else goes through to the truth.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from clients import embedded
from tests.suites.always_200_mock import Always200Mock
from tests.suites.verdicts import on_live

FILE = {
    "id": "mock-file",
    "name": "mock.bin",
    "folder": "/",
    "status": "ready",
    "version": 1,
    "store": "supabase",
}
MOCKS = {
    "current user": (
        "supabase.auth",
        {"GET /auth/v1/user": (200, {"id": "mock-user", "email": "mock@example.com"})},
        ("auth.register_confirm_login",),
        "supabase.auth",
    ),
    "upload route": (
        "platform",
        {"POST /api/upload": (201, {"file": FILE | {"size": 1048576, "object_key": "mock/key"}})},
        ("storage.small_file_to_supabase", "storage.large_file_to_r2"),
        "",
    ),
    "content": (
        "platform",
        {
            "GET /api/content": (
                200,
                {"path": "/", "title": "Mock", "html": "<p>mock content</p>", "data": {}},
            )
        },
        ("content.page_changes",),
        "",
    ),
    "analytics events": (
        "platform",
        {"POST /api/track": (202, {"accepted": True}), "POST /api/telemetry/": (200, {"status": "ok"})},
        (
            "telemetry.ga4_event",
            "telemetry.mixpanel_event",
            "telemetry.datadog_view",
            "telemetry.sentry_error",
        ),
        "",
    ),
}


class SeedMock(Always200Mock):
    """Answers some routes as the seed's mocks did, keeps nothing, and passes the rest on."""

    def __init__(self, service, environment, routes):
        self.routes = routes
        super().__init__(service, environment)

    def answer(self, method, path, headers, body):
        asked = f"{method} {urlsplit(path).path}"
        for route, (status, value) in self.routes.items():
            if asked == route or (route.endswith("/") and asked.startswith(route)):
                self.answered += 1
                return (
                    status,
                    {"Content-Type": "application/json", "X-Cache": "miss"},
                    json.dumps(value).encode(),
                )
        name = next(iter(self._truth))
        return self._forward(method, self._truth[name] + path, headers, body)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MOCKS)
def test_the_seeds_own_mock_is_caught(name, tmp_path):
    service, routes, checks, named = MOCKS[name]
    with embedded.attach() as stack:
        mock = SeedMock(service, stack.variables, routes)
        try:
            finished = on_live(tmp_path, mock.environment, "--checks", ",".join(checks))
        finally:
            mock.close()
    assert mock.answered, f"the mock was never asked: {finished}"
    assert set(finished) == set(checks)
    caught = [e for e in finished.values() if e.outcome in ("missed", "broken")]
    assert caught, finished
    assert all(e.service for e in caught)
    assert not named or any(e.service == named for e in caught)
