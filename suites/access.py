"""Who may do what, as a matrix found it by trying: kept as evidence, so that two runs can be set side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping

from clients.catalog import read_catalog
from clients.sql import Sql
from core.run import Run


def keep_access(
    run: Run, check: str, what: str, access: Mapping[str, Mapping[str, str]], **more: Mapping[str, object]
) -> None:
    """Keeps `access-<what>.json`: by table or bucket and role the letters of CRUD that worked, and `more` beside it."""
    summary = {"access": access, **more}
    data = json.dumps(summary, indent=1, sort_keys=True).encode()
    run.attach(f"access-{what}.json", data, media_type="application/json", check=check)


def privileges(sql: Sql) -> dict[str, dict[str, tuple[str, ...]]]:
    """What each of the API's roles was granted on each table and view of the public schema."""
    relations = [r for r in read_catalog(sql).own("r", "p", "v", "m", "f") if r.schema_ == "public"]
    return {relation.name: relation.granted for relation in relations}
