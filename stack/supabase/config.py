"""What the gateway is told: CONFIG.json of the component contract, read once into a frozen object."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """``options.supabase`` of CONFIG.json. Defaults are a hosted project's."""

    schemas: tuple[str, ...] = ("public",)  # exposed by REST, the first is the default
    extra_search_path: tuple[str, ...] = ("public", "extensions")
    max_rows: int = 1000
    aggregates: bool = False
    explain: bool = False  # application/vnd.pgrst.plan
    pool_size: int = 12
    require_api_key: bool = True
    anon_role: str = "anon"
    # auth
    site_url: str = ""  # where links lead by default; empty means variables.PLATFORM_URL
    redirect_urls: tuple[str, ...] = ()  # globs, as in the dashboard: * within a segment, ** across
    autoconfirm: bool = False
    disable_signup: bool = False
    anonymous_users: bool = True
    bcrypt_cost: int = 10
    jwt_expiry: int = 3600  # seconds
    refresh_reuse_interval: int = 10  # seconds
    password_min_length: int = 6
    otp_length: int = 6
    otp_expiry: int = 3600  # seconds
    secure_email_change: bool = True
    manual_linking: bool = False
    max_mail_frequency: float = 60.0  # seconds between two mails of a kind to one person
    rate_limits: bool = True
    rate_limit_email_sent: int = 30  # an hour; a project on built-in SMTP has 2
    rate_limit_token: int = 150  # in 5 minutes an address
    rate_limit_verify: int = 30  # in 5 minutes an address
    rate_limit_otp: int = 30  # in 5 minutes an address (sign-up, recover, otp, magiclink)
    rate_limit_anonymous: int = 30  # an hour an address
    rate_limit_mfa: int = 15  # in a minute an address
    oauth_provider: str = "github"  # the provider's name that the local identity page answers for
    # storage
    file_size_limit: int = 50 * 1024 * 1024  # bytes; a project's global limit
    upload_expiry: int = 86400  # seconds that an unfinished resumable upload is kept


@dataclass(frozen=True)
class Config:
    """Everything the process needs. ``url`` is the project's public address."""

    state: Path
    port: int
    mail_port: int | None
    dsn_admin: str
    dsn_authenticator: str
    jwt_secret: str
    signing_jwk: dict[str, Any] | None
    api_keys: dict[str, str]  # key -> role
    control_token: str
    url: str
    options: Options = field(default_factory=Options)


def load(path: Path) -> Config:
    """Read CONFIG.json. Raises ValueError that names the entry which is missing or unknown."""
    given = json.loads(path.read_text())
    secrets, variables, ports = given.get("secrets", {}), given.get("variables", {}), given.get("ports", {})
    for entry in ("dsn_admin", "dsn_authenticator", "jwt_secret"):
        if not secrets.get(entry):
            raise ValueError(f"{path}: secrets.{entry} is missing: the gateway cannot serve without it")
    if "supabase" not in ports:
        raise ValueError(f"{path}: ports.supabase is missing")
    found = {
        key: secrets.get(f"supabase_{key}_key") for key in ("anon", "publishable", "service_role", "secret")
    }
    anon = (found["anon"], found["publishable"], variables.get("VITE_SUPABASE_ANON_KEY"))
    service = (found["service_role"], found["secret"], variables.get("SUPABASE_SERVICE_KEY"))
    site = {"site_url": variables.get("PLATFORM_URL", "http://127.0.0.1:3000")}
    return Config(
        state=Path(given["state"]),
        port=int(ports["supabase"]),
        mail_port=int(ports["mail"]) if ports.get("mail") else None,
        dsn_admin=secrets["dsn_admin"],
        dsn_authenticator=secrets["dsn_authenticator"],
        jwt_secret=secrets["jwt_secret"],
        signing_jwk=secrets.get("jwt_signing_jwk"),
        api_keys={k: "anon" for k in anon if k} | {k: "service_role" for k in service if k},
        control_token=secrets.get("control_token", ""),
        url=variables.get("VITE_SUPABASE_URL") or f"http://127.0.0.1:{int(ports['supabase'])}",
        options=_options(site | given.get("options", {}).get("supabase", {}), path),
    )


def _options(given: dict[str, Any], path: Path) -> Options:
    known = {f.name for f in fields(Options)}
    if unknown := sorted(set(given) - known):
        words = f"options.supabase knows no {', '.join(unknown)}; it knows {', '.join(sorted(known))}"
        raise ValueError(f"{path}: {words}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    for name, value in values.items():
        expected = type(getattr(Options, name))
        if not isinstance(value, (int, float) if expected is float else expected):
            raise ValueError(f"{path}: options.supabase.{name} must be {expected.__name__}, not {value!r}")
    return Options(**values)
