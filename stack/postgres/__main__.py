"""The PostgreSQL component: `python -m stack.postgres CONFIG.json`.

Keeps the data of this stack's life when it is stopped and started again; the supervisor empties it at the
start of a life. A planned or unplanned SIGKILL loses nothing acknowledged.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg

from stack.postgres import folder, pg0
from stack.postgres.cluster import Cluster, fill
from stack.postgres.hosted import STAND_IN, prepare
from stack.postgres.server import Account, NoServer, find
from stack.supabase.project import Project, ProjectError
from stack.supabase.provision import MigrationFailed, provision
from stack.supervisor.component import read_config
from stack.supervisor.paths import ROOT

REFERENCE = {"migrations": ROOT / "stack" / "platform" / "supabase" / "migrations"}
"""The project that is served unless ``options.project`` names another."""


class Ended(Exception):
    """SIGTERM came."""


def end(*_: object) -> None:
    """Stop waiting, once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Ended


def passwords(config: dict[str, object]) -> dict[str, str]:
    """Each role's password, from the addresses that CONFIG.json gives away."""
    secrets, variables = config["secrets"], config["variables"]
    assert isinstance(secrets, dict)
    assert isinstance(variables, dict)
    addresses = [str(secrets["dsn_authenticator"]), str(variables["SUPABASE_DB_URL"])]
    return {str(u.username): unquote(str(u.password)) for u in map(urlsplit, addresses)}


def stand_ins_in_use(dsn: str) -> list[str]:
    """The extensions of the database that stand-ins answer for."""
    with psycopg.connect(dsn) as db:
        found = db.execute("select extname from pg_extension where extversion = %s order by 1", (STAND_IN,))
        return [row[0] for row in found.fetchall()]


def serve(path: str) -> int:
    """Run PostgreSQL until SIGTERM or its own end. Returns its exit code."""
    config = read_config(path)
    project = Project.read(config["options"].get("project") or REFERENCE)
    state = Path(config["state"]).parent
    account = Account.choose()
    private = folder.make(ROOT, account)
    server = find(ROOT, private, account)
    wanted = project.extensions()
    if (
        (lacking := pg0.missing(prepare(server, private, account), wanted))
        and (other := pg0.unpack(private, account))
        and pg0.missing(prepare(other, private, account), wanted) < lacking
    ):
        server = other
    server = prepare(server, private, account)
    cluster = Cluster(server, account, folder.make_stack(ROOT, state, account), config["ports"]["postgres"])
    began = time.monotonic()
    how = "kept" if (cluster.data / "PG_VERSION").exists() else fill(cluster, ROOT, project)
    cluster.start(listen=True)
    try:
        provision(cluster.dsn_admin, project=project)
        cluster.set_passwords(passwords(config))
        print(
            f"{server.name} as {account.name}, data {how}, {time.monotonic() - began:.2f} s", file=sys.stderr
        )
        engines: dict[str, object] = {"supabase.database": {"kind": "engine", "name": server.name}}
        for name in stand_ins_in_use(cluster.dsn_admin):
            engines[f"supabase.extension.{name}"] = {
                "kind": "stand-in",
                "name": f"stack/postgres/extensions/{name}",
            }
        ready = {
            "name": "postgres",
            "url": f"127.0.0.1:{cluster.port}",
            "engines": engines,
        }
        print("READY", json.dumps(ready), flush=True)
        assert cluster.process is not None
        code = cluster.process.wait()
        print(f"{server.name} ended by itself, with {code}", file=sys.stderr)
        return code if code >= 0 else 128 - code
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if cluster.process is not None and cluster.process.poll() is None:
            cluster.stop()


def main() -> int:
    """Serve; every expected failure is one sentence on standard error."""
    signal.signal(signal.SIGTERM, end)
    try:
        return serve(sys.argv[1])
    except Ended:
        return 0
    except (NoServer, MigrationFailed, ProjectError) as error:
        # One line, and one that speaks of an error: the supervisor passes on the last such line of the log.
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
