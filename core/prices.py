"""What one request uses up, and what that costs by the dated list of `prices.toml`.

Lines that nobody could verify are counted at their price too: a cap that counts too much stops early, never late.
Builder.io, Sentry, DataDog, Mixpanel and GA4 bill by plans and contracts; their requests are counted and cost nothing here.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

_FILE = Path(__file__).with_name("prices.toml")
_SIGNS_IN = ("/auth/v1/token", "/auth/v1/verify", "/auth/v1/signup")
_SENDS_MAIL = ("/auth/v1/recover", "/auth/v1/otp", "/auth/v1/magiclink", "/auth/v1/resend", "/auth/v1/invite")
_MAY_SEND_MAIL = ("/auth/v1/signup", "/auth/v1/user")
_READS = ("GET", "HEAD")


@cache
def _millionths() -> dict[str, float]:
    """Of a dollar, by what is bought, for one."""
    lines = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {name: line["usd"] * 1e6 / line["per"] for name, line in lines.items()}


def of_request(service: str, method: str, url: str, body: bytes = b"") -> dict[str, float]:
    """What sending this uses up: requests, mails, logins, bytes, and money in millionths of a dollar (maybe a fraction)."""
    path = urlsplit(url).path
    used: dict[str, float] = {"requests": 1, "bytes": len(body), "logins": 0, "mails": 0}
    if method == "POST" and path.endswith(_SIGNS_IN):
        used["logins"] = 1
    mails = path.endswith(_SENDS_MAIL) or (path.endswith(_MAY_SEND_MAIL) and b'"email"' in body)
    if (mails and method != "GET") or path.endswith("/auth/v1/reauthenticate"):
        used["mails"] = 1
    used["money"] = _price(service, method, path) + used["logins"] * _millionths()["supabase_user"]
    return used


def of_answer(service: str, size: int) -> dict[str, float]:
    """What an answer of so many bytes uses up."""
    egress = _millionths()["supabase_egress"] if service.startswith("supabase") else 0.0
    return {"bytes": size, "money": size * egress}


def _price(service: str, method: str, path: str) -> float:
    prices, reads = _millionths(), method in _READS
    match service:
        case "r2":
            lists = path.count("/") < 2
            return prices["r2_class_b" if reads and not lists else "r2_class_a"]
        case "kv":
            return prices["kv_read" if reads and "/values/" in path else "kv_write"]
        case "platform":
            return prices["workers_request"]
        case "rooms":
            return prices["workers_request"] + prices["durable_object_request"]
    return 0.0
