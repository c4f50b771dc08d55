"""A platform that leaves out what its contract promises is missed by checks, in words; nothing of it is a KeyError."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from clients import embedded
from tests.suites.always_200_mock import Always200Mock
from tests.suites.verdicts import on_live

LEFT_OUT = {
    "storage.parts_any_order": ("POST /api/upload/start", "upload"),
    "storage.versions": ("GET /api/files/", "versions"),
    "reality.health": ("GET /api/health", "services"),
}
"""What each check comes upon."""


class FieldDroppingProxy(Always200Mock):
    """The true platform, whose answers lack one field each."""

    def answer(self, method, path, headers, body):
        status, given, content = self._forward(method, self._truth["PLATFORM_URL"] + path, headers, body)
        asked = f"{method} {urlsplit(path).path}"
        for route, name in LEFT_OUT.values():
            if asked.startswith(route) and status < 300 and "json" in given.get("content-type", ""):
                left = {k: v for k, v in json.loads(content).items() if k != name}
                self.answered += len(left) < len(json.loads(content))
                content = json.dumps(left).encode()
        return status, given, content


@pytest.mark.timeout(120)
def test_a_field_left_out_is_missed_by_its_name(tmp_path):
    with embedded.attach() as stack:
        proxy = FieldDroppingProxy("platform", stack.variables)
        try:
            finished = on_live(tmp_path, proxy.environment, "--checks", ",".join(LEFT_OUT))
        finally:
            proxy.close()
    assert proxy.answered >= len(LEFT_OUT)
    seen = {check: (e.outcome, e.service, e.expected) for check, e in finished.items()}
    assert seen == {
        check: ("missed", "platform", f"the field {name!r}") for check, (_, name) in LEFT_OUT.items()
    }
    for check, (route, _) in LEFT_OUT.items():
        assert route in finished[check].message
