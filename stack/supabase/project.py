"""A team's own project: the folder of its migrations, its seeds, and what the Supabase CLI's ``config.toml`` says."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from pydantic import BaseModel, ConfigDict, ValidationError

from stack.supabase.statements import split

UNITS = {"b": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3, "kib": 1024, "mib": 1024**2, "gib": 1024**3}
SECONDS = {"s": 1, "m": 60, "h": 3600}


class ProjectError(Exception):
    """A project cannot be read; the message is one sentence."""


def _size(value: object) -> int:
    """Bytes, as ``50MiB``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(value).strip().lower())
    if not found or (found[2] or "b") not in UNITS:
        raise ValueError(f"{value!r} is no size")
    return int(float(found[1]) * UNITS[found[2] or "b"])


def _duration(value: object) -> float:
    """Seconds, as ``1m30s``."""
    text = str(value)
    if not re.fullmatch(r"(?:\d+(?:\.\d+)?[smh])+", text):
        raise ValueError(f"{value!r} is no duration")
    return sum(float(n) * SECONDS[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)([smh])", text))


def _same(value: Any) -> Any:
    return value


def _not(value: Any) -> Any:
    return not value


# Where config.toml says what an option of the gateway does (Supabase documentation, "CLI configuration").
OPTIONS: dict[str, tuple[str, Any]] = {
    "api.schemas": ("schemas", _same),
    "api.extra_search_path": ("extra_search_path", _same),
    "api.max_rows": ("max_rows", _same),
    "auth.site_url": ("site_url", _same),
    "auth.additional_redirect_urls": ("redirect_urls", _same),
    "auth.jwt_expiry": ("jwt_expiry", _same),
    "auth.enable_signup": ("disable_signup", _not),
    "auth.enable_anonymous_sign_ins": ("anonymous_users", _same),
    "auth.enable_manual_linking": ("manual_linking", _same),
    "auth.minimum_password_length": ("password_min_length", _same),
    "auth.refresh_token_reuse_interval": ("refresh_reuse_interval", _same),
    "auth.enable_refresh_token_rotation": ("refresh_token_rotation", _same),
    "auth.password_requirements": ("password_requirements", _same),
    "auth.sessions.timebox": ("session_timebox", _duration),
    "auth.sessions.inactivity_timeout": ("session_inactivity", _duration),
    "auth.captcha.enabled": ("captcha", _same),
    "auth.email.enable_signup": ("email_provider", _same),
    "auth.email.enable_confirmations": ("autoconfirm", _not),
    "auth.email.double_confirm_changes": ("secure_email_change", _same),
    "auth.email.max_frequency": ("max_mail_frequency", _duration),
    "auth.email.otp_length": ("otp_length", _same),
    "auth.email.otp_expiry": ("otp_expiry", _same),
    "storage.file_size_limit": ("file_size_limit", _size),
}
# What a project begins with where the gateway's own default is another (the dashboard's and the CLI's defaults).
BEGINS: dict[str, Any] = {"anonymous_users": False}
# Read for something else, or about what is not served here: no reason to say a word.
PASSED_OVER = re.compile(
    r"project_id|(?:db|studio|inbucket|local_smtp|edge_runtime|functions|analytics|realtime|experimental|remotes)(?:\..*)?|"
    r"(?:api|auth|storage)\.(?:enabled|port|tls\..*)|storage\.buckets\.[^.]+\.(?:public|file_size_limit|allowed_mime_types)|auth\.email\.(?:template|smtp)\..*|auth\.external\..*|"
    r"auth\.(?:sms|third_party|rate_limit|hook|mfa|web3|oauth_server|captcha|passkey|webauthn)\..*"
)


@dataclass(frozen=True)
class CliConfig:
    """What a ``config.toml`` says: options of the gateway, buckets, seeds; ``unknown`` keys are told and change nothing."""

    options: dict[str, Any] = field(default_factory=dict)
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    seed: tuple[Path, ...] | None = None
    unknown: tuple[str, ...] = ()


def read_config(path: Path) -> CliConfig:
    """Read a ``config.toml``. Raises ProjectError for one that is none, or has a value that cannot be."""
    try:
        given = tomllib.loads(path.read_text())
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ProjectError(f"{path} is no TOML: {error}.") from error
    options = dict(BEGINS)
    unknown = []
    for key, value in _flat(given):
        if key in OPTIONS:
            name, read = OPTIONS[key]
            try:
                options[name] = read(_from_environment(value))
            except ValueError as error:
                raise ProjectError(f"{path}: {key}: {error}.") from error
        elif not PASSED_OVER.fullmatch(key):
            unknown.append(key)
    buckets = given.get("storage", {}).get("buckets", {})
    return CliConfig(options, buckets, _seeds(given, path.parent), tuple(unknown))


def _seeds(given: Mapping[str, Any], folder: Path) -> tuple[Path, ...] | None:
    seed = given.get("db", {}).get("seed", {})
    if not seed.get("enabled", True):
        return ()
    if "sql_paths" not in seed:
        return None
    patterns = (str(pattern).removeprefix("./") for pattern in seed["sql_paths"])
    return tuple(found for pattern in patterns for found in sorted(folder.glob(pattern)))


def _flat(table: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in table.items():
        found += _flat(value, f"{above}{name}.") if isinstance(value, dict) else [(above + name, value)]
    return found


def _from_environment(value: Any) -> Any:
    """``env(NAME)`` as the CLI reads it."""
    found = re.fullmatch(r"env\((\w+)\)", value) if isinstance(value, str) else None
    return os.environ.get(found[1], value) if found else value


class Project(BaseModel):
    """``options.project`` of CONFIG.json. With ``config`` its seeds and buckets come from there unless ``seed`` is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    migrations: Path | None = None
    seed: tuple[Path, ...] = ()
    config: Path | None = None
    skip_extensions: frozenset[str] = frozenset()
    default_grants: bool = False  # as before 2026-10-30: what is made in `public` is open to the API's roles

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Project:
        """The project that CONFIG.json names, its seeds found. Raises ProjectError."""
        try:
            made = cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            raise ProjectError(
                f"options.project.{'.'.join(map(str, first['loc']))}: {first['msg']}."
            ) from error
        seed = made.seed
        if made.config and not seed:
            found = read_config(made.config).seed
            default = made.config.parent / "seed.sql"
            seed = ((default,) if default.exists() else ()) if found is None else found
        if made.migrations and not made.migrations.is_dir():
            raise ProjectError(f"{made.migrations} is no folder of migrations.")
        for file in seed:
            if not file.is_file():
                raise ProjectError(f"The seed {file} does not exist.")
        return made.model_copy(update={"seed": seed})

    @property
    def cli(self) -> CliConfig:
        """What ``config.toml`` says, if there is one."""
        return read_config(self.config) if self.config else CliConfig(dict(BEGINS) if self.migrations else {})

    def files(self) -> list[Path]:
        """Every file that decides what the database holds."""
        migrations = sorted(self.migrations.glob("*.sql")) if self.migrations else []
        return [*migrations, *self.seed, *([self.config] if self.config else [])]

    def extensions(self) -> frozenset[str]:
        """The extensions that its migrations create, but for those skipped."""
        files = sorted(self.migrations.glob("*.sql")) if self.migrations else []
        made = (s.extension for file in (*files, *self.seed) for s in split(file.read_text(errors="replace")))
        return frozenset(name for name in made if name) - self.skip_extensions

    def make_buckets(self, db: psycopg.Connection) -> None:
        """Make the buckets that ``config.toml`` names, as ``supabase seed buckets`` does; one that is there is left."""
        for name, about in self.cli.buckets.items():
            limit = _size(about["file_size_limit"]) if "file_size_limit" in about else None
            db.execute(
                "insert into storage.buckets (id, name, public, file_size_limit, allowed_mime_types) "
                "values (%s, %s, %s, %s, %s) on conflict (id) do nothing",
                (name, name, about.get("public", False), limit, about.get("allowed_mime_types") or None),
            )
