"""What the gateway is told: CONFIG.json of the component contract, read once into a frozen object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel


class Options(BaseModel, frozen=True, extra="forbid", strict=True):
    """``options.supabase`` of CONFIG.json. Defaults are a hosted project's."""

    schemas: tuple[str, ...] = ("public",)  # exposed by REST, the first is the default
    extra_search_path: tuple[str, ...] = ("public", "extensions")
    max_rows: int = 1000
    explain: bool = False  # application/vnd.pgrst.plan
    pool_size: int = 12
    require_api_key: bool = True
    anon_role: str = "anon"
    # auth
    site_url: str = "http://127.0.0.1:3000"  # where links lead by default; variables.PLATFORM_URL if given
    redirect_urls: tuple[str, ...] = ()  # globs, as in the dashboard: * within a segment, ** across
    autoconfirm: bool = False
    disable_signup: bool = False
    anonymous_users: bool = True
    email_provider: bool = True
    bcrypt_cost: int = 10
    jwt_algorithm: Literal["ES256", "HS256"] = "ES256"  # what users' tokens are signed by
    jwt_expiry: int = 3600  # seconds
    refresh_reuse_interval: int = 10  # seconds
    refresh_token_rotation: bool = True  # whether reuse beyond the interval ends the session's tokens
    session_timebox: float = 0  # seconds that a session may last at most; 0 is for ever
    session_inactivity: float = 0  # seconds that a session may lie idle; 0 is for ever
    session_single: bool = False  # only the newest session of each person can be refreshed
    password_min_length: int = 6
    password_requirements: Literal[
        "", "letters_digits", "lower_upper_letters_digits", "lower_upper_letters_digits_symbols"
    ] = ""
    password_requires_current: bool = False  # demanded for a new password
    otp_length: int = 6
    otp_expiry: int = 3600  # seconds
    secure_email_change: bool = True
    manual_linking: bool = False
    captcha: bool = (
        False  # asked for at sign-up, log-in and whatever sends a mail; hCaptcha's token for tests solves it
    )
    max_mail_frequency: float = 60.0  # seconds between two mails of a kind to one person
    rate_limits: bool = True  # off: no request and no mail is counted
    rate_limit_header: str = (
        ""  # whose first value is the address that requests are counted by; "" is the socket's
    )
    rate_limit_email_sent: int = 30  # an hour; a project on built-in SMTP has 2
    # Refilled for each address; 30 may come at once (anonymous sign-ins: an hour's).
    rate_limit_token: int = 150  # in 5 minutes; log-in and refresh together
    rate_limit_verify: int = 30  # in 5 minutes
    rate_limit_otp: int = (
        30  # in 5 minutes; sign-up, otp, magic link, recover, resend and changes of a user, each
    )
    rate_limit_anonymous: int = 30  # an hour
    rate_limit_mfa: int = 15  # a minute; challenge and verify, each
    oauth_provider: str = "github"  # the provider's name that the local identity page answers for
    # storage
    file_size_limit: int = 50 * 1024 * 1024  # bytes; a project's global limit
    upload_expiry: int = 86400  # seconds that an unfinished resumable upload is kept


class Ports(BaseModel, frozen=True):
    """``ports``: where it listens; without ``mail`` nobody can read the mailbox."""

    supabase: int
    mail: int | None = None


class Secrets(BaseModel, frozen=True):
    """``secrets``; the keys are as ``keys.mint().secrets()`` gives them."""

    dsn_admin: str
    dsn_authenticator: str
    jwt_secret: str
    jwt_signing_jwk: dict[str, Any] | None = None
    control_token: str = ""
    supabase_anon_key: str | None = None
    supabase_publishable_key: str | None = None
    supabase_service_role_key: str | None = None
    supabase_secret_key: str | None = None


class Config(BaseModel, frozen=True):
    """Everything the process needs."""

    state: Path
    ports: Ports
    secrets: Secrets
    variables: dict[str, str] = {}
    options: Options

    @property
    def url(self) -> str:
        """The project's public address."""
        return self.variables.get("VITE_SUPABASE_URL") or f"http://127.0.0.1:{self.ports.supabase}"

    @property
    def signing_jwk(self) -> dict[str, Any] | None:
        """The key that signs users' tokens; None where the shared secret does."""
        return self.secrets.jwt_signing_jwk if self.options.jwt_algorithm == "ES256" else None

    @property
    def api_keys(self) -> dict[str, str]:
        """The role of each API key, of either generation."""
        keys, known = self.secrets, self.variables.get
        anon = (keys.supabase_anon_key, keys.supabase_publishable_key, known("VITE_SUPABASE_ANON_KEY"))
        service = (keys.supabase_service_role_key, keys.supabase_secret_key, known("SUPABASE_SERVICE_KEY"))
        return {k: "anon" for k in anon if k} | {k: "service_role" for k in service if k}


def load(path: Path) -> Config:
    """Read CONFIG.json. Raises ValueError that names the entry which is missing, mistyped or unknown."""
    given = json.loads(path.read_text())
    platform = given.get("variables", {}).get("PLATFORM_URL")
    site = {"site_url": platform} if platform else {}
    options = site | given.get("options", {}).get("supabase", {})
    return Config.model_validate_json(json.dumps({**given, "options": options}))
