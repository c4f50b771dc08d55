"""`assay init`: a project's folder from what the given keys can read; writes nothing to the platform.

What a person must decide stands marked in `target.toml`, which is refused until they did.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from clients.services import auth, database, storage
from clients.services.platform import SERVICE as PLATFORM
from core.errors import ConfigError
from core.journal import Journal
from core.project import FILE, read_env
from core.run import Run
from core.secret import Redactor
from core.target import resolve
from core.user_settings import for_child
from runner import suggestion

out = Console(highlight=False, soft_wrap=True)
CAPABILITIES = ("auth.email", "database.rest", "database.sql", "storage.supabase")
PLAN = """title = "{name}: every check that applies"
budget = "10m"
checks = "all"
"""


def init_project(folder: Path) -> int:
    """Writes the folder's `target.toml`, plan and `.gitignore`. Raises ConfigError where one is there already."""
    file = folder / FILE
    if file.exists():
        raise ConfigError(f"{file} is there already; move it away, or edit it.")
    variables, env_file = _variables(folder)
    run = _run(variables)
    try:
        text, decide = _description(run, folder, env_file)
    finally:
        run.journal.close()
    (folder / "plans").mkdir(parents=True, exist_ok=True)
    name = folder.resolve().name if folder.resolve().name != "assay" else folder.resolve().parent.name
    file.write_text(text, encoding="utf-8")
    (folder / "plans" / "own.toml").write_text(PLAN.format(name=name), encoding="utf-8")
    (folder / ".gitignore").write_text(".env\nruns/\n", encoding="utf-8")
    out.print(f"{file} is written. To decide, each marked there:", markup=False)
    for line in decide:
        out.print(f"  {line}", markup=False)
    out.print(
        f"Then: assay doctor --project {folder}; assay check --project {folder} --plan own", markup=False
    )
    return 0


def _variables(folder: Path) -> tuple[dict[str, str], str]:
    """The environment, and beneath it the nearest `.env`: the folder's own, or the one of the repository above it."""
    for place in (folder, folder.resolve().parent):
        if (place / ".env").is_file():
            beside = ".env" if place == folder else "../.env"
            return {**read_env(place / ".env"), **for_child({})}, beside
    return for_child({}), ""


def _run(variables: dict[str, str]) -> Run:
    """A run that reads: Supabase by the keys that are there, under whichever of their names."""
    directory = Path(tempfile.mkdtemp(prefix="assay-init-"))
    known = "".join(f'"{name}" = "required"\n' for name in CAPABILITIES)
    (directory / FILE).write_text(f'[capabilities]\n{known}[permit]\nactions = ["read"]\n')
    services = (auth.SERVICE, database.SERVICE, storage.SERVICE, PLATFORM)
    target = resolve("live", services, environment=variables, file=directory / FILE)
    return Run(directory, target, Journal(directory, "init", Redactor(target.secrets())))


def _description(run: Run, folder: Path, env_file: str) -> tuple[str, list[str]]:
    """The text of `target.toml`, and what a person has to decide."""
    client = database.DatabaseClient(run)
    tables = suggestion.tables_of(client.sql) if client.sql else {}
    functions = suggestion.functions_of(client.sql) if client.sql else {}
    buckets = storage.StorageClient(run).as_admin("GET", "/bucket").demand(200).json(list)
    decide = [f"may of {name}" for name in tables] + [f"may of the bucket {b['id']}" for b in buckets]
    if not client.sql:
        decide.append(
            "[database.tables]: set SUPABASE_DB_URL and start again, and the tables are read for you"
        )
    decide.append("[platform]: your own API's routes, where you have one")
    return "\n".join(_lines(tables, functions, buckets, folder, env_file, bool(client.sql))), decide


def _lines(
    tables: dict[str, suggestion.Table],
    functions: dict[str, list[str]],
    buckets: list[dict[str, object]],
    folder: Path,
    env_file: str,
    by_sql: bool,
) -> Iterator[str]:
    yield "# What Assay knows of your platform (docs/your-platform.md). Every part is optional, an unknown key is refused."
    yield ""
    yield f"name = {suggestion.quoted(folder.resolve().parent.name)}"
    if env_file:
        yield f"env_files = [{suggestion.quoted(env_file)}]"
    yield ""
    yield "# What is not named here is absent, and what needs it does not apply. `assay doctor --capabilities` lists all."
    yield "[capabilities]"
    yield '"auth.email" = "required"'
    yield '"database.rest" = "required"'
    yield f'{"" if by_sql else "# "}"database.sql" = "required"'
    yield f'{"" if buckets else "# "}"storage.supabase" = "required"'
    yield '# "platform.api" = "required"   # your own API, at PLATFORM_URL: describe it next'
    yield ""
    yield "# [platform]"
    yield '# health  = { path = "/healthz", well = { ok = true } }'
    yield '# whoami  = { path = "/me", id = "id" }'
    yield '# private = ["/me"]'
    yield ""
    yield "[people]"
    yield 'confirm = "mail"   # or "none"'
    yield 'undo = []          # what goes before a test person does: { table = "teams", column = "created_by" }'
    yield ""
    if tables:
        yield "[database]"
        yield f"probe = {suggestion.quoted(next(iter(tables)))}"
        yield "ignore = []        # tables of the public schema that need no decision"
        if functions:
            names = ", ".join(f"{role} = {suggestion.listed(names)}" for role, names in functions.items())
            yield f"functions = {{ {names} }}"
        yield ""
        yield from suggestion.toml_of(tables)
    for bucket in buckets:
        yield f"[storage.buckets.{suggestion.quoted(str(bucket['id']))}]"
        yield "decide = true   # is `may` what you mean? Correct it, then remove this line"
        yield 'key = "{user}/{tag}.txt"'
        yield 'type = "text/plain"'
        if isinstance(limit := bucket.get("file_size_limit"), int):
            yield f"limit = {limit}"
        yield f"public = {'true' if bucket.get('public') else 'false'}"
        yield 'as = "admin"    # "owner" where people put objects there themselves'
        yield 'may = { owner = "R", stranger = "", nobody = "" }'
        yield ""
