"""The second platform as it runs for a test: PostgreSQL, the Supabase gateway, its own API, and its project's folder."""

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from core.events import CheckFinished
from core.evidence import Evidence
from core.user_settings import for_child
from stack.supabase.provision import provision
from tests.stack.supabase import engine

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass
class Second:
    """Its addresses, its folder, and what a test does with it."""

    folder: Path
    dsn: str
    supabase: str
    service: str
    url: str

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as db:
            done = db.execute(statement)
            return done.fetchall() if done.description else []

    def plant(self, *faults: str) -> None:
        httpx.post(f"{self.url}/__faults", json=list(faults), timeout=20).raise_for_status()

    def assay(
        self, *words: str, timeout: float = 300, at: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Assay's command, from the project's folder and by it alone."""
        return subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=at or self.folder,
            env=for_child({"PYTHONPATH": str(ROOT), "COLUMNS": "200"},
                          without=("ASSAY_PROJECT", "ASSAY_TARGET", "ASSAY_RUN", "ASSAY_RUNS", "ASSAY_STATE")),
            capture_output=True,
            text=True,
            timeout=timeout,
        )  # fmt: skip

    def outcomes(self) -> dict[str, CheckFinished]:
        """What became of each check of the newest run."""
        newest = max((self.folder / "runs").glob("*-*"), key=lambda path: path.name)
        return {event.check: event for event in Evidence(newest).events(CheckFinished)}

    def left(self) -> dict[str, int]:
        """Accounts, rows and objects that are there."""
        tables = ("auth.users", "public.teams", "public.memberships", "public.todos", "storage.objects")
        return {table: self.sql(f"select count(*) from {table}")[0][0] for table in tables}


@contextlib.contextmanager
def second() -> Iterator[Second]:
    """The platform with its folder, gone again afterwards."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-second-", dir="/tmp")))
        cluster = engine.Postgres(folder / "pg", port=engine.free_port())
        cluster.folder.mkdir()
        folder.chmod(0o755)
        cluster.make()
        stack.callback(cluster.stop)
        cluster.start()
        provision(cluster.dsn("supabase_admin"), HERE / "migrations")
        gateway = stack.enter_context(engine.gateway(cluster))
        port = engine.free_port()
        url = f"http://127.0.0.1:{port}"
        keys = gateway.keys
        config = folder / "server.json"
        config.write_text(
            json.dumps(
                {
                    "port": port,
                    "supabase": gateway.url,
                    "key": keys.publishable_key,
                    "service": keys.secret_key,
                }
            )
        )
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.second_platform.server", str(config)], cwd=ROOT
        )
        stack.callback(server.wait, 10)
        stack.callback(server.terminate)
        _answers(url, server)
        project = folder / "todos"
        shutil.copytree(HERE / "assay", project)
        dsn = f"postgresql://supabase_admin@127.0.0.1:{cluster.port}/postgres"
        (project / ".env").write_text(
            f"VITE_SUPABASE_URL={gateway.url}\nVITE_SUPABASE_ANON_KEY={keys.publishable_key}\n"
            f"TODOS_SERVICE_ROLE_KEY='{keys.secret_key}'\nSUPABASE_DB_URL={dsn}\nTODOS_URL={url}\n"
        )
        yield Second(project, dsn, gateway.url, keys.secret_key, url)


def _answers(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError("the second platform's API did not start")
