"""The Auth wire against recordings of Supabase's own Auth server: every exchange, in its order, under each setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stack.supabase.provision import provision
from tests.stack.supabase import engine
from tests.stack.supabase.replay import Replay

RECORDED = json.loads((Path(__file__).parent / "recorded" / "auth.json").read_text())
SITE = "http://127.0.0.1:3000"
DEFAULTS: dict[str, Any] = {"rate_limits": False, "redirect_urls": []}
# What each of the recorded settings is called here.
SETTINGS: dict[str, dict[str, Any]] = {
    "mail every 60 s": {"rate_limits": True},
    "autoconfirm": {"autoconfirm": True},
    "sign-up off": {"disable_signup": True},
    "anonymous off": {"anonymous_users": False},
    "e-mail off": {"email_provider": False},
    "strict passwords": {"password_min_length": 10, "password_requirements": "lower_upper_letters_digits_symbols"},
    "short tokens": {"jwt_expiry": 2},
    "reuse after 1 s": {"refresh_reuse_interval": 1},
    "one session each": {"session_single": True},
    "sessions of 2 s": {"session_timebox": 2.0},
    "linking on": {"manual_linking": True},
    "limits": {
        "rate_limits": True, "rate_limit_header": "x-forwarded-for", "max_mail_frequency": 0.0,
        "rate_limit_email_sent": 1000,
        **dict.fromkeys(("rate_limit_token", "rate_limit_verify", "rate_limit_otp"), 1),  # hardly refilled meanwhile
    },
    "mail limit": {"rate_limits": True, "max_mail_frequency": 0.0, "rate_limit_email_sent": 2},
    "current password": {"password_requires_current": True},
    "one address confirms": {"secure_email_change": False},
}  # fmt: skip
# What is not to be copied (recorded/README.md).
NOT_COPIED = {
    "get /health": "the version: it says which implementation answered",
    "update: phone": "the recorded server had no SMS provider; the phone provider is switched off here",
}
SESSIONS = {"defaults": RECORDED["exchanges"]} | {v["settings"]: v["exchanges"] for v in RECORDED["variants"]}


@pytest.mark.parametrize("settings", SESSIONS)
def test_every_recorded_exchange_is_answered_alike(cluster: engine.Postgres, settings: str) -> None:
    name = "recorded_" + settings.replace(" ", "_").replace("-", "_")
    with psycopg.connect(cluster.dsn("supabase_admin"), autocommit=True) as db:
        db.execute(f'create database "{name}"'.encode())
    provision(cluster.dsn("supabase_admin", name))
    options = DEFAULTS | SETTINGS.get(settings, {})
    with engine.gateway(cluster, options, database=name) as gateway:
        played = list(Replay(gateway, SITE).differences(SESSIONS[settings]))
    assert len(played) == len(SESSIONS[settings])
    unlike = {entry: found for entry, found in played if found}
    wanted = {entry for entry, _ in played if entry in NOT_COPIED}
    assert unlike.keys() == wanted, json.dumps(unlike, indent=1)
