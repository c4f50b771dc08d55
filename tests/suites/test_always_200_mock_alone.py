"""Checks that take services away, on a stack of their own: none is met by a mock of its service or of the platform.

They run on the embedded target, since only there is anything to take away; the liar stands at the addresses that
the check asks, while the platform itself speaks with the true services.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from clients import embedded
from core.run import ROOT
from runner.doctor import passports
from tests.suites.always_200_mock import Always200Mock
from tests.suites.verdicts import on_embedded

PLATFORM = "platform"
EXCLUSIVE = {p.id: p.service for p in passports().values() if p.exclusive}
UNASKED = {"auth.rate_limits"}
"""Checks that ask nothing of the platform itself, so that no lie of it can reach them."""
EVERY = os.environ.get("ASSAY_LIARS") == "every"
"""ASSAY_LIARS=every tries all of them; else one of each liar's kind is tried."""
CHOSEN = (
    {
        **{
            service: sorted(check for check, its in EXCLUSIVE.items() if its == service)
            for service in sorted(set(EXCLUSIVE.values()) - {PLATFORM})
        },
        PLATFORM: sorted(set(EXCLUSIVE) - UNASKED),
    }
    if EVERY
    else {"kv": ["fallback.kv"], PLATFORM: ["fallback.restart"]}
)
"""Checks by the service that is played."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    state = tmp_path_factory.mktemp("stack")
    try:
        with embedded.attach(state=state) as held:
            yield held
    finally:
        command = [sys.executable, "-m", "stack.supervisor", "remove", "--state", str(state)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("service", CHOSEN)
def test_no_exclusive_check_is_met_by_a_liar(service, stack, tmp_path):
    mock = Always200Mock(service, stack.variables)
    redirected = {name: url for name, url in mock.environment.items() if url != stack.variables.get(name)}
    try:
        finished = on_embedded(tmp_path, stack.state, redirected, "--checks", ",".join(CHOSEN[service]))
    finally:
        mock.close()
    assert set(finished) == set(CHOSEN[service])
    assert mock.answered, "the liar was never asked"
    believed = {check: e for check, e in finished.items() if e.outcome not in ("missed", "broken")}
    assert not believed, json.dumps(believed, indent=1)


if EVERY:  # any run of all checks shows the same, but for the patience

    @pytest.mark.timeout(900)
    def test_by_the_truth_each_of_them_is_met_within_the_same_patience(stack, tmp_path):
        finished = on_embedded(tmp_path, stack.state, {}, "--checks", ",".join(sorted(EXCLUSIVE)))
        assert {check: e.outcome for check, e in finished.items()} == dict.fromkeys(EXCLUSIVE, "met")
