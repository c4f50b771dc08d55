"""`assay init`: a project's folder from what the given keys can read; writes nothing to the platform.

What a person must decide stands marked in `target.toml`, which is refused until they did.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from clients.catalog import read_catalog
from clients.embedded import Serves, attach
from clients.services import auth, database, storage
from clients.services.platform import SERVICE as PLATFORM
from core.errors import ConfigError
from core.journal import Journal
from core.project import FILE
from core.run import Run
from core.secret import Redactor
from core.service import Variable
from core.target import resolve
from reports.rendering.columns import print_paragraph
from runner import examples, own_schema, suggestion, wrangler
from runner.given_variables import given_variables

CAPABILITIES = ("auth.email", "database.rest", "database.sql", "storage.supabase")


def init_project(folder: Path, env: str = "") -> int:
    """Writes the folder's `target.toml`, plan and `.gitignore`. Raises ConfigError where one is there already.

    `env` names where the variables are (runner/given_variables.py).
    """
    file = folder / FILE
    if file.exists():
        raise ConfigError(f"{file} is there already; move it away, or edit it.")
    found = given_variables(folder, env)
    run = _run(found.variables)
    try:
        text, decide, tables = _description(run, folder, found.env_file)
    finally:
        run.journal.close()
    decide += [found.to_keep] if found.to_keep else []
    given = [v for s in run.target.services for v in s.variables if v.name in run.target.variables]
    _write(folder, text, decide, tables, list({v.name: v for v in given if not v.default}.values()))
    return 0


def init_from_migrations(folder: Path, serves: Serves) -> int:
    """The same from a team's migrations alone: the embedded target is started with them, and its catalog is read."""
    file = folder / FILE
    if file.exists():
        raise ConfigError(f"{file} is there already; move it away, or edit it.")
    with attach(serves=serves) as stack:
        text, decide = own_schema.suggested(stack, _name(folder), serves, beside=folder)
    _write(folder, text, decide)
    return 0


def _name(folder: Path) -> str:
    """What the project is called: as its folder, or the one around a folder `assay`."""
    folder = folder.resolve()
    return folder.name if folder.name != "assay" else folder.parent.name


def _write(
    folder: Path, text: str, decide: list[str], tables: Collection[str] = (), given: Collection[Variable] = ()
) -> None:
    """Writes the files of a project, and tells what a person has to decide."""
    file = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    for place, content in examples.files(_name(folder), tables, given):
        (folder / place).parent.mkdir(exist_ok=True)
        if not (folder / place).exists():
            (folder / place).write_text(content, encoding="utf-8")
    print_paragraph(f"{file} is written. To decide, each marked there:")
    for line in decide:
        print_paragraph(line, "  ", 4)
    print_paragraph(f"Then: assay doctor --project {folder}; assay check --project {folder} --plan own")


def _cloudflare(folder: Path) -> Iterator[str]:
    """What the repository's wrangler configuration tells, as a person takes it over."""
    found = wrangler.variables(folder.resolve().parent)
    if found:
        yield "# From the wrangler configuration; set these where the others are set, and a token or R2's key pair:"
        yield from (f"#   {name}={value}" for name, value in found.items())
        for name, capability in (("R2_BUCKET_NAME", "storage.r2"), ("KV_NAMESPACE_ID", "cache.kv")):
            if name in found:
                yield f'# then, in [capabilities]: "{capability}" = "required"'
        yield ""


def _run(variables: dict[str, str]) -> Run:
    """A run that reads: Supabase by the keys that are there, under whichever of their names."""
    directory = Path(tempfile.mkdtemp(prefix="assay-init-"))
    known = "".join(f'"{name}" = "required"\n' for name in CAPABILITIES)
    (directory / FILE).write_text(f'[capabilities]\n{known}[permit]\nactions = ["read"]\n')
    services = (auth.SERVICE, database.SERVICE, storage.SERVICE, PLATFORM)
    target = resolve("live", services, environment=variables, file=directory / FILE)
    return Run(directory, target, Journal(directory, "init", Redactor(target.secrets())))


def _description(run: Run, folder: Path, env_file: str) -> tuple[str, list[str], list[str]]:
    """The text of `target.toml`, what a person has to decide, and the tables."""
    client = database.DatabaseClient(run)
    catalog = read_catalog(client.sql) if client.sql else None
    tables = suggestion.tables_of(catalog) if catalog else {}
    functions = suggestion.functions_of(catalog) if catalog else {}
    buckets = storage.StorageClient(run).as_admin("GET", "/bucket").demand(200).json(list)
    found = suggestion.Suggested(tables, functions, buckets)
    decide = found.to_decide()
    if not client.sql:
        decide.append(
            "[database.tables]: set SUPABASE_DB_URL and start again, and the tables are read for you"
        )
    decide.append("[platform]: your own API's routes, where you have one")
    has = {"auth.email", "database.rest"}
    has |= {name for name, there in (("database.sql", client.sql), ("storage.supabase", buckets)) if there}
    if cloudflare := list(_cloudflare(folder)):
        decide.append(
            "[capabilities] of Cloudflare: its wrangler configuration is read, your token is not there"
        )
    settings = auth.AuthClient(run).port.request("GET", "/settings").demand(200).json(dict)
    people = suggestion.people_of(settings)
    undo = suggestion.undo_of(catalog) if catalog else ()
    begins = suggestion.beginning(_name(folder), has, env_file=env_file, people=people, undo=undo)
    lines = [*begins, *cloudflare, *found.lines(decide=True)]
    return "\n".join(lines), decide, list(tables)
