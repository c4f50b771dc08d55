"""What the check of rendered pages calls running: handlers, scripts and bad addresses, not text that looks like them."""

from __future__ import annotations

import pytest

from suites.content.test_publishing import _Elements


@pytest.mark.parametrize(
    ("html", "runs"),
    [
        ('<img src="/a" alt="x" onmouseover="alert(5)">', True),
        ("<a href='/x' onfocus='alert(6)'>x</a>", True),
        ('<a href=" javascript:alert(9)">x</a>', True),
        ("<iframe src='/x'></iframe>", True),
        ('<img src="/a" alt="x&#34; onmouseover=&#34;alert(5)">', False),
        ("<p>onclick=alert(1) javascript:alert(2)</p>", False),
        ('<a href="https://a.example/?q=javascript:x">x</a>', False),
    ],
)
def test_what_a_browser_would_run_is_told(html, runs):
    elements = _Elements()
    elements.feed(html)
    assert bool(elements.running) is runs
