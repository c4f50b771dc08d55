"""A disaster of a fixed size: 50,000 rows and 100 MB are backed up, restored into an empty target and compared.

    python -m bench.recovery [--rows 50000] [--files 12] [--lose]

Half of the rows are posts, half the audit entries that triggers write of them; files of 5 MB lie in Supabase Storage, one
of 40 MB in R2. `--lose` takes one row, one byte and one policy from the restored target before the comparison, which must
name them. Prints JSON: seconds by step, rows and bytes, and what was lost.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from pathlib import Path

import psycopg

from clients import embedded
from clients.made_files import made_bytes
from clients.service_clients import ServiceClients
from clients.services import catalogue
from core.run import Run
from scenarios.recovery import database, stores
from scenarios.recovery.inventory import inventory, losses

BUCKET, SMALL, LARGE = "files", 5 * 10**6, 40 * 10**6
POSTS = """
insert into public.posts (author_id, title, body)
select %s, 'post ' || n, repeat(md5(n::text), 8) from generate_series(1, %s) n"""


def fill(services: ServiceClients, rows: int, files: int) -> None:
    """Rows by SQL, objects by the stores' own APIs."""
    email = f"recovery-{secrets.token_hex(4)}@assay.example"
    person = services.auth.admin.create_user(
        {"email": email, "password": secrets.token_hex(16), "email_confirm": True}
    )
    with psycopg.connect(services.run.target.get("SUPABASE_DB_URL"), autocommit=True) as db:
        db.execute(POSTS, (person.user.id, rows // 2))
    for number in range(files):
        path = f"/object/{BUCKET}/{person.user.id}/recovery/{number}.bin"
        headers = {"Content-Type": "application/octet-stream"}
        services.storage.as_admin("POST", path, body=made_bytes(str(number), SMALL), headers=headers).demand(
            200
        )
    s3 = services.r2.s3
    s3.client.put_object(Bucket=s3.bucket, Key=f"{person.user.id}/large.bin", Body=made_bytes("large", LARGE))


def lose(services: ServiceClients) -> None:
    """One row, one byte, one policy."""
    with psycopg.connect(services.run.target.get("SUPABASE_DB_URL"), autocommit=True) as db:
        db.execute("delete from public.posts where title = 'post 77'")
        db.execute('drop policy "own posts are deleted" on public.posts')
    key = services.r2.s3.keys("")[0]
    data = bytearray(services.r2.s3.get(key) or b"")
    data[len(data) // 2] ^= 1
    services.r2.s3.client.put_object(Bucket=services.r2.s3.bucket, Key=key, Body=bytes(data))


def main() -> None:
    """The whole disaster."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--rows", type=int, default=50_000)
    asked.add_argument("--files", type=int, default=12)
    asked.add_argument("--lose", action="store_true")
    options = asked.parse_args()
    seconds: dict[str, float] = {}

    def timed(name: str, begun: float) -> None:
        seconds[name] = round(time.monotonic() - begun, 2)

    with tempfile.TemporaryDirectory(prefix="assay-recovery-") as folder:
        place = Path(folder)
        with embedded.attach(state=place / "first") as first:
            run = Run.begin(place / "run", first.target(catalogue()), "bench")
            with ServiceClients(run) as services:
                begun = time.monotonic()
                fill(services, options.rows, options.files)
                timed("fill", begun)
                begun = time.monotonic()
                due = inventory(services)
                timed("inventory", begun)
                begun = time.monotonic()
                rows = database.back_up(run.target.get("SUPABASE_DB_URL"), run.permit)
                kept = stores.back_up(services)
                timed("backup", begun)
            run.journal.close()
        begun = time.monotonic()  # the first target is gone for good here
        with embedded.attach(state=place / "second") as second:
            timed("an empty target starts", begun)
            run = Run.begin(place / "run", second.target(catalogue()), "bench")
            with ServiceClients(run) as empty:
                begun = time.monotonic()
                stores.restore(kept, empty)
                database.restore(rows, run.target.get("SUPABASE_DB_URL"), run.permit)
                timed("restore", begun)
                if options.lose:
                    lose(empty)
                begun = time.monotonic()
                found = losses(due, inventory(empty))
                timed("compare", begun)
            run.journal.close()
    size = {
        "rows": sum(table.rows.count(b"\n") for table in rows.tables),
        "bytes of rows": rows.size,
        "bytes of objects": sum(len(one.data) for one in kept),
        "compared": len(due),
    }
    print(json.dumps({"seconds": seconds, "size": size, "lost": found}, indent=1))


if __name__ == "__main__":
    main()
