"""Rules of the Auth wire that hold for any input: what limits let through, and where links may lead."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stack.supabase.auth import limits, redirects
from stack.supabase.auth.errors import AuthError
from stack.supabase.config import Options

SITE = "https://app.example:8443"
PIECES = st.sampled_from([
    "https://", "http://", "//", "app.example", ":8443", ":80", "/", "@", "\\", "?", "#", "evil.test", ".", "%2e", "\t", "x",
    "https://app.example:8443", "javascript:", "[::1]", "á", " ",
])  # fmt: skip


def passes(counted: limits.Limits, group: str, address: str) -> bool:
    try:
        counted.take(group, address)
    except AuthError:
        return False
    return True


@pytest.mark.parametrize(
    ("group", "burst", "rate"),
    [("token", 30, 150 / 300), ("verify", 30, 30 / 300), ("anonymous", 30, 30 / 3600)],
)
@given(pauses=st.lists(st.one_of(st.just(0.0), st.floats(0, 400)), max_size=120))
def test_no_span_of_time_lets_more_through_than_a_burst_and_what_is_refilled(
    group: str, burst: int, rate: float, pauses: list[float]
) -> None:
    now, taken = 1000.0, list[float]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.monotonic", lambda: now)
        counted = limits.Limits(Options())
        for number, pause in enumerate(pauses):
            now += pause
            if passes(counted, group, "192.0.2.1"):
                taken.append(now)
            assert passes(counted, group, f"another address: {number}")  # counted apart
    for first, began in enumerate(taken):
        for through, ended in enumerate(taken[first:], 1):
            assert through <= burst + (ended - began) * rate + 1e-6


@given(st.lists(PIECES, max_size=8))
def test_a_link_leads_nowhere_but_to_the_site(pieces: list[str]) -> None:
    url = "".join(pieces)
    if redirects.allowed(url, SITE, ()):
        seen = httpx.URL(url)  # another parser than ours
        assert (seen.scheme, seen.host, seen.port) == ("https", "app.example", 8443), url


@given(st.lists(PIECES, max_size=8))
def test_an_allowed_pattern_keeps_to_its_host(pieces: list[str]) -> None:
    url = "".join(pieces)
    if redirects.allowed(url, "https://other.example", ("https://*.example/**",)):
        assert httpx.URL(url).host in ("app.example", "other.example"), url
