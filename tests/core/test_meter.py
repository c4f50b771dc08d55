"""The run's meter: many processes count in one file, and what would pass a cap is refused before it is sent."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.services import catalogue
from core import meter, prices
from core.description import parse_description
from core.errors import BudgetError, ConfigError
from core.meter import FILE, KEYS, Meter
from core.run import ROOT
from loadengine.allowance import Allowance

SPENDER = """
import sys
from pathlib import Path
from core.errors import BudgetError
from core.meter import Meter
meter, sent = Meter(Path(sys.argv[1]), {"requests": int(sys.argv[2])}), 0
for _ in range(int(sys.argv[3])):
    try:
        meter.spend({"requests": 1})
        sent += 1
    except BudgetError:
        pass
print(sent + meter.lease({"requests": 1}, 7))
"""


def test_many_processes_never_pass_a_cap(tmp_path: Path) -> None:
    """Four processes that want 800 are given 500, not one more or less."""
    words = [sys.executable, "-c", SPENDER, str(tmp_path / FILE), "500", "200"]
    spenders = [subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert sum(int(spender.communicate(timeout=60)[0]) for spender in spenders) == 500
    assert Meter(tmp_path / FILE, {"requests": 500}).counts()["requests"] == 500


@given(
    caps=st.dictionaries(st.sampled_from(KEYS), st.integers(0, 50)),
    wanted=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(KEYS), st.integers(0, 20)), st.integers(1, 9), st.booleans()
        )
    ),
)
def test_whatever_is_wanted_no_cap_is_passed(
    caps: dict[str, int], wanted: list[tuple[dict[str, int], int, bool]]
) -> None:
    """Two meters of one file, spending and leasing by turns; what was granted is what is counted."""
    with tempfile.TemporaryDirectory() as folder:
        meters = [Meter(Path(folder) / FILE, caps) for _ in range(2)]
        granted = dict.fromkeys(KEYS, 0)
        for number, (used, most, at_once) in enumerate(wanted):
            one, times = meters[number % 2], 1
            try:
                if at_once:
                    times = one.lease(used, most)
                else:
                    one.spend(used)
            except BudgetError:
                times = 0
            granted = {key: count + times * used.get(key, 0) for key, count in granted.items()}
        assert meters[0].counts() == granted
        assert all(granted[key] <= cap for key, cap in caps.items())
        assert bool(meters[0].refusal()) == bool(meters[1].refusal())
        for one in meters:
            one.close()


def test_undoing_is_counted_and_never_refused(tmp_path: Path) -> None:
    """A run at its cap still removes what it made."""
    one = Meter(tmp_path / FILE, {"requests": 1})
    one.spend({"requests": 1})
    with pytest.raises(BudgetError, match=r"requests 1 of 1 are used.*raise requests in \[budget\]"):
        one.spend({"requests": 1})
    with one.undoing():
        one.spend({"requests": 1})
    assert one.counts()["requests"] == 2
    assert one.refusal()


def test_a_budget_is_read_with_its_units() -> None:
    """Sizes and money are text with a unit."""
    budget = parse_description('[budget]\nrequests = 10\nbytes = "2 GB"\nmoney = "0.5 USD"\n').budget
    assert budget.caps() == {"requests": 10, "bytes": 2_000_000_000, "money": 500_000}


@pytest.mark.parametrize(
    ("line", "said"),
    [('money = "5 EUR"', "5 USD"), ("request = 5", "requests"), ("mails = -1", "target.toml line 2")],
)
def test_a_wrong_budget_is_a_sentence(line: str, said: str) -> None:
    """With file and line, and the key that was meant."""
    with pytest.raises(ConfigError, match=said):
        parse_description(f"[budget]\n{line}\n")


@pytest.mark.parametrize(
    ("method", "path", "body", "key"),
    [
        ("POST", "/auth/v1/token?grant_type=password", b"{}", "logins"),
        ("POST", "/auth/v1/recover", b"{}", "mails"),
        ("POST", "/auth/v1/signup", b'{"email": "a@b"}', "mails"),
        ("PUT", "/auth/v1/user", b'{"email": "a@b"}', "mails"),
    ],
)
def test_requests_that_use_up_more(method: str, path: str, body: bytes, key: str) -> None:
    """Log-ins and mails are seen by what is asked of Auth."""
    assert prices.of_request("supabase.auth", method, f"https://x{path}", body)[key] == 1
    assert not prices.of_request("supabase.auth", "GET", "https://x/auth/v1/user")[key]


def test_generating_processes_share_a_cap(tmp_path: Path) -> None:
    """Two allowances of one run together send what the cap gives; bytes that would pass theirs end the sending."""
    try:
        meter.enter(tmp_path / "requests", {"requests": 50})
        one, other = Allowance(), Allowance()
        assert sum(one.take() + other.take() for _ in range(100)) == 50
        assert "requests 50 of 50 are used" in meter.refusal()
        meter.enter(tmp_path / "bytes", {"bytes": 50})
        one = Allowance()
        one.bytes = 60
        assert not one.take()
    finally:
        meter.leave()


@pytest.mark.parametrize(
    ("service", "method", "url", "bought"),
    [
        ("r2", "GET", "https://a.r2.cloudflarestorage.com/bucket/key", "r2_class_b"),
        ("r2", "PUT", "https://a.r2.cloudflarestorage.com/bucket/key", "r2_class_a"),
        ("r2", "GET", "https://a.r2.cloudflarestorage.com/bucket?list-type=2", "r2_class_a"),
        (
            "kv",
            "GET",
            "https://api.cloudflare.com/client/v4/accounts/a/storage/kv/namespaces/n/values/k",
            "kv_read",
        ),
        (
            "kv",
            "PUT",
            "https://api.cloudflare.com/client/v4/accounts/a/storage/kv/namespaces/n/values/k",
            "kv_write",
        ),
        ("platform", "GET", "https://app.example.com/api/files", "workers_request"),
    ],
)
def test_each_service_costs_what_its_own_list_says(service, method, url, bought):
    """The services by the names that they have in the catalogue: under another name R2 and KV cost nothing."""
    assert service in {one.id for one in catalogue()}
    assert prices.of_request(service, method, url)["money"] == prices._millionths()[bought] > 0
