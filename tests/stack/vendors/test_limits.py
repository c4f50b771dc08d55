"""Windows of reading limits, and the sizes of a payload."""

from __future__ import annotations

import gzip
import json
import time

import httpx
import pytest

from stack.vendors.limits import Window
from tests.stack.vendors.running import Running


def test_a_window_begins_with_the_clock_and_counts_what_it_lets_through(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 119.5
    monkeypatch.setattr("stack.vendors.limits.time.time", lambda: now)
    window = Window(2, 60)
    assert [window.take() for _ in range(4)] == [True, True, False, False]
    assert (window.remaining, window.ends, window.reset) == (0, 120, 1)
    now = 120.0
    assert window.take()
    assert (window.remaining, window.reset) == (1, 60)
    assert all(Window(None, 1).take() for _ in range(1000))


def test_a_payload_has_its_limit_as_sent_and_unpacked(vendors: Running):
    url, key = vendors.env["DATADOG_API_URL"] + "/api/v2/series", vendors.env["DATADOG_API_KEY"]

    def sent(size: int, **headers: str) -> int:
        points = [{"timestamp": int(time.time()), "value": 1}]
        body = json.dumps({"series": [{"metric": "a.size", "points": points, "tags": ["x" * size]}]}).encode()
        body = gzip.compress(body) if headers else body
        return httpx.post(url, content=body, headers={"DD-API-KEY": key, **headers}).status_code

    packed = {"Content-Encoding": "gzip"}
    assert [sent(500_000), sent(512_000)] == [202, 413]
    assert [sent(5_000_000, **packed), sent(5_242_880, **packed)] == [202, 413]
