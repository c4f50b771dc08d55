"""A team's own migrations as the embedded target: what is served, and the description where no target.toml gives one."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clients.catalog import API_ROLES, Catalog, read_catalog
from clients.embedded import Embedded, Serves
from clients.http import client, json_of
from clients.services import catalogue
from clients.sql import Sql
from core.description import Description, parse_description, read_description
from core.errors import ConfigError
from core.permit import EVERYTHING, Origin, Permit
from core.project import Project, enter, find_project
from core.target import Target
from runner import suggestion

OPEN_BY_DEFAULT_UNTIL = "20261030"
"""Until then what `postgres` made in `public` was open to the API's roles (Supabase changelog, 2026-04-28)."""


def named(
    migrations: Path,
    seed: Sequence[Path] = (),
    config: Path | None = None,
    skip_extensions: Sequence[str] = (),
    default_grants: bool | None = None,
) -> Serves:
    """What the command line or `[embedded]` names. Without `config` it is the config.toml beside the migrations' folder.

    Raises ConfigError for a folder or file that is not there.
    """
    folder = migrations.absolute()
    versions = sorted(match[1] for file in folder.glob("*.sql") if (match := re.match(r"(\d+)_", file.name)))
    if not folder.is_dir() or not versions:
        raise ConfigError(
            f"{migrations} holds no migrations (<digits>_<name>.sql); name the folder that does."
        )
    beside = folder.parent / "config.toml"
    config = config.absolute() if config else beside if beside.is_file() else None
    for file in (*seed, *([config] if config else [])):
        if not file.is_file():
            raise ConfigError(f"{file} does not exist; name a file that does.")
    if default_grants is None:
        default_grants = versions[0][:8] < OPEN_BY_DEFAULT_UNTIL
    return Serves(
        folder, tuple(file.absolute() for file in seed), config, tuple(skip_extensions), default_grants
    )


def chosen(
    migrations: Path | None = None,
    seed: Sequence[Path] = (),
    config: Path | None = None,
    skip_extensions: Sequence[str] = (),
    default_grants: bool | None = None,
    *,
    target: str,
) -> Serves | None:
    """What the embedded target serves: the command line's migrations, else what the project's `[embedded]` names.

    None for the reference platform and for a live target. Migrations without a described project are one themselves, by
    the folder beside them: the reference platform's checks are not about them. Raises ConfigError for options that go
    with --migrations alone.
    """
    if migrations:
        serves = named(migrations, seed, config, skip_extensions, default_grants)
        if find_project().is_reference:
            enter(Project(serves.migrations.parent))
        return serves
    if seed or config or skip_extensions or default_grants is not None:
        raise ConfigError(
            "--seed, --config, --skip-extension and --default-grants go with --migrations; name it too."
        )
    return of_project(find_project()) if target == "embedded" else None


def of_project(project: Project) -> Serves | None:
    """What `[embedded]` of the project's target.toml names; None where the embedded target is the reference platform."""
    if project.own is None or not project.target_file().is_file():
        return None
    part = read_description(project.target_file()).embedded
    if part is None:
        return None
    here = project.folder
    return named(
        here / part.migrations,
        seed=[here / file for file in part.seed],
        config=here / part.config if part.config else None,
        skip_extensions=part.skip_extensions,
        default_grants=part.default_grants,
    )


def target_of(stack: Embedded, serves: Serves | None, *, as_base: bool = False) -> Target:
    """The target that a started stack is: the reference platform, or a project by its target.toml, else by its catalog.

    `as_base`: of an earlier state of the project, so that what is decided of the present one holds for nothing there.
    """
    described = describe(stack, serves) if serves else None
    if described and as_base:
        described = described.model_copy(update={"suggested": True})
    return stack.target(catalogue(), described)


def proposed(stack: Embedded, serves: Serves) -> list[str]:
    """The proposals for what a started stack serves."""
    dsn = stack.variables["SUPABASE_DB_URL"]
    sql = Sql(dsn, Permit(EVERYTHING, frozenset((str(Origin.of(dsn)),))))
    try:
        return proposals(read_catalog(sql), serves) if not serves.default_grants else []
    finally:
        sql.close()


def describe(stack: Embedded, serves: Serves | None = None) -> Description:
    """The description of what the stack serves: the project's own, else what its catalog and Auth's settings suggest."""
    project = find_project()
    if project.own and project.target_file().is_file():
        return read_description(project.target_file())
    text, _ = suggested(stack, _named(serves), serves)
    return parse_description(text, Path("the catalog"), suggested=True)


def _named(serves: Serves | None) -> str:
    """What runs of these migrations are compared under: the repository's folder tells one from another."""
    return f"migrations of {serves.migrations.parent.parent.name}" if serves else "own migrations"


def suggested(
    stack: Embedded, name: str, serves: Serves | None = None, *, beside: Path | None = None
) -> tuple[str, list[str]]:
    """A target.toml for what the stack serves, and what a person has to decide in it.

    With `beside`, the folder in which it will stand, it says `[embedded]`, and marks what is to be decided.
    """
    url, key = stack.variables["VITE_SUPABASE_URL"], stack.variables["VITE_SUPABASE_ANON_KEY"]
    dsn = stack.variables["SUPABASE_DB_URL"]
    permit = Permit(EVERYTHING, frozenset(str(Origin.of(address)) for address in (url, dsn)))
    with client("supabase.auth", permit, base_url=url) as http:
        settings = json_of(http.get("/auth/v1/settings", headers={"apikey": key}), "supabase.auth", dict)
    sql = Sql(dsn, permit)
    try:
        found = suggestion.Suggested.read(sql)
    finally:
        sql.close()
    providers = settings.get("external") or {}
    people = {**suggestion.people_of(settings), **_auth_settings(serves.config if serves else None)}
    capabilities = {"database.openapi", "database.rest", "database.sql"}
    capabilities |= {"auth.email", "auth.mail", "auth.mfa"} if providers.get("email", True) else set()
    capabilities |= {"auth.anonymous"} if providers.get("anonymous_users") else set()
    capabilities |= {"storage.supabase"} if found.buckets else set()
    part = _part(serves, beside) if serves and beside else None
    begins = suggestion.beginning(name, capabilities, people=people, embedded=part, undo=found.undo)
    return "\n".join([*begins, *found.lines(decide=beside is not None)]), found.to_decide()


def proposals(catalog: Catalog, serves: Serves) -> list[str]:
    """Settings of `[embedded]` that seem to fit what is served, each a sentence.

    A table with policies for the API's roles that none of them may touch was written for a project of before 2026-10-30.
    """
    shut = [
        relation.name
        for relation in catalog.own("r", "p")
        if relation.schema_ in catalog.exposed
        and any({"public", *API_ROLES} & set(policy.roles) for policy in relation.policies)
        and not any(relation.granted.values())
    ]
    if serves.default_grants or not shut:
        return []
    named = ", ".join(shut[:5]) + (", …" if len(shut) > 5 else "")
    return [
        f"nobody may read {named}, although there are policies: written for a project from "
        "before 2026-10-30? Then set default_grants = true under [embedded], or --default-grants; else grant what is due."
    ]


def _auth_settings(config: Path | None) -> dict[str, Any]:
    """What config.toml says of Auth beyond what Auth tells of itself, as `[people]` calls it."""
    auth = tomllib.loads(config.read_text(encoding="utf-8")).get("auth", {}) if config else {}
    email = auth.get("email", {})
    found = {
        "email_change": None if email.get("double_confirm_changes", True) else "new address",
        "captcha": auth.get("captcha", {}).get("enabled"),
        "rotation": auth.get("enable_refresh_token_rotation"),
        "password_minimum": auth.get("minimum_password_length"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _part(serves: Serves, beside: Path) -> dict[str, Any]:
    """`[embedded]` as it stands in a target.toml of the folder `beside`."""

    def near(path: Path) -> str:
        return os.path.relpath(path, beside.absolute())

    part: dict[str, Any] = {"migrations": near(serves.migrations)}
    part |= {"seed": [near(file) for file in serves.seed]} if serves.seed else {}
    part |= {"config": near(serves.config)} if serves.config else {}
    part |= {"skip_extensions": list(serves.skip_extensions)} if serves.skip_extensions else {}
    return {**part, "default_grants": serves.default_grants}
