"""The login budget: turns shared by processes, 429 waited for and told, everything else passed on at once."""

from __future__ import annotations

import httpx
import pytest

from clients.login_budget import BURST, HOURLY, PATIENCE, Budget, PacedTransport, budgets
from clients.services import catalogue
from core.errors import ConfigError, ServiceError
from core.run import Run
from core.target import resolve
from tests.clients.strange import environment


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def sleep(self, duration):
        self.now += duration


def test_a_burst_is_free_then_turns_come_at_the_hosted_rate(tmp_path):
    clock = Clock()
    here, there = (Budget(tmp_path / "turns", 1800, clock) for _ in range(2))  # two processes, one file
    waits = [(here if n % 2 else there).reserve() for n in range(BURST + 4)]
    assert waits[:BURST] == [0] * BURST
    assert waits[BURST:] == [2, 4, 6, 8]
    clock.sleep(8 + 2 * BURST)
    assert [here.reserve() for _ in range(BURST)] == [0] * BURST
    assert Budget(tmp_path / "none", 0, clock).reserve() == 0
    assert not (tmp_path / "none").exists()


def paced(answers, tmp_path, *, hourly=0.0):
    """A client whose server gives these answers in turn; what was slept, and what was told."""
    clock, waits, given = Clock(), [], iter(answers)
    inner = httpx.MockTransport(lambda request: next(given))
    turns = {kind: Budget(tmp_path / kind, hourly, clock) for kind in HOURLY}
    transport = PacedTransport(inner, turns, lambda wait, why: waits.append((wait, why)), sleep=clock.sleep)
    return httpx.Client(transport=transport, base_url="http://127.0.0.1"), waits


def too_many(**headers):
    return httpx.Response(429, headers=headers, json={"code": "over_request_rate_limit"})


def test_a_429_is_waited_for_as_long_as_it_says_or_ever_longer(tmp_path):
    client, waits = paced([too_many(), too_many(**{"retry-after": "7"}), httpx.Response(200)], tmp_path)
    assert client.post("/auth/v1/token", json={}).status_code == 200
    assert waits == [(2, "/token answered 429"), (7, "/token answered 429")]


def test_patience_ends_and_the_refusal_is_handed_on(tmp_path):
    client, waits = paced([too_many() for _ in range(20)], tmp_path)
    assert client.post("/auth/v1/verify", json={}).status_code == 429
    assert 60 < sum(wait for wait, _ in waits) <= PATIENCE


def test_turns_are_taken_for_signing_in_alone(tmp_path):
    client, waits = paced((httpx.Response(200) for _ in range(100)), tmp_path, hourly=1800)
    for _ in range(BURST + 2):
        client.get("/auth/v1/user")
        client.get("/rest/v1/token")
    assert waits == []
    for _ in range(BURST + 2):
        client.post("/auth/v1/token")
    assert [wait for wait, _ in waits] == [2, 2]


def test_what_is_no_limit_is_passed_on_at_once(tmp_path):
    client, waits = paced([httpx.Response(400), httpx.Response(503)], tmp_path)
    assert [client.post("/auth/v1/token").status_code for _ in range(2)] == [400, 503]
    assert waits == []


def refused_mail(words):
    return httpx.Response(429, json={"code": "over_email_send_rate_limit", "message": words})


@pytest.mark.parametrize("path", ["/auth/v1/recover", "/auth/v1/signup", "/auth/v1/resend", "/auth/v1/user"])
def test_a_used_up_mail_limit_is_no_fault_of_the_platform_and_names_its_setting(tmp_path, path):
    again = refused_mail("For security purposes, you can only request this after 52 seconds.")
    client, waits = paced([again, refused_mail("email rate limit exceeded")], tmp_path)
    assert client.post(path).json()["message"].startswith("For security purposes")
    with pytest.raises(ServiceError, match=r"mail limit is used up.*rate_limit_email_sent") as caught:
        client.post(path)
    assert caught.value.service == "supabase.auth"
    assert waits == []


def run_on(kind, tmp_path, settings=""):
    file = tmp_path / "target.toml"
    capabilities = sorted(c for s in catalogue() for c in s.capabilities)
    file.write_text(settings + "[capabilities]\n" + "".join(f'"{c}" = "required"\n' for c in capabilities))
    target = resolve(kind, catalogue(), environment=environment(1), file=file)
    return Run(tmp_path, target, None)


def test_a_live_target_keeps_the_hosted_budget_or_its_own(tmp_path):
    assert {k: b.hourly for k, b in budgets(run_on("live", tmp_path)).items()} == HOURLY
    own = "[settings]\nlogins_per_hour = 9000\n"
    assert budgets(run_on("live", tmp_path, own))["token"].hourly == 9000
    assert {b.hourly for b in budgets(run_on("embedded", tmp_path)).values()} == {0}
    with pytest.raises(ConfigError, match="logins_per_hour"):
        budgets(run_on("live", tmp_path, '[settings]\nlogins_per_hour = "many"\n'))
