"""Supabase's database: the REST API as any client reaches it, and PostgreSQL itself as the witness."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any

from clients.http_port import HttpPort, WireAnswer
from clients.pages import pages
from clients.services import Probe, undoing
from clients.services.auth import DB_URL, PUBLIC_KEY, SECRET_KEY, SUPABASE_URL
from clients.sql import Sql
from clients.strict_json import strict_json
from core.errors import Missed, ServiceError
from core.ledger import Undo
from core.ownership import NotOursError, carries_tag
from core.run import Run
from core.service import Service

SERVICE = Service(
    id="supabase.database",
    title="Supabase database",
    variables=(SUPABASE_URL, PUBLIC_KEY, SECRET_KEY, DB_URL),
    capabilities={
        "database.rest": "tables through the REST API under row-level security",
        "database.sql": "PostgreSQL itself may be read, for the catalog of tables and policies",
        "database.openapi": "the REST API describes itself to the secret key (OpenAPI)",
    },
    guide="docs/live-target.md#supabase",
    identity=(SUPABASE_URL.name,),
)
ATTRIBUTE = "database"


class DatabaseClient:
    """The REST API under /rest/v1, and the witness.

    `sql` is None when the target gives no connection string; `witness_rows` then asks the REST API with
    the secret key, which row-level security does not bind.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.url = run.target.get(SUPABASE_URL.name).rstrip("/")
        self.public_key = run.target.get(PUBLIC_KEY.name)
        self._secret = run.target.secret(SECRET_KEY.name)
        self.port = HttpPort(
            SERVICE.id,
            run.target.permit,
            base=f"{self.url}/rest/v1",
            headers={"apikey": self.public_key, "Accept": "application/json"},
        )

    @cached_property
    def sql(self) -> Sql | None:
        """PostgreSQL, when SUPABASE_DB_URL is given."""
        dsn = self.run.target.find(DB_URL.name)
        return Sql(dsn, self.run.target.permit) if dsn else None

    def demand_sql(self) -> Sql:
        """PostgreSQL, for checks that cannot do without; ConfigError when SUPABASE_DB_URL is not given."""
        if self.sql is None:
            self.run.target.get(DB_URL.name)
        assert self.sql is not None
        return self.sql

    @property
    def channel(self) -> str:
        """What `witness_rows` asks, in words."""
        return "SQL" if self.sql else "REST with the secret key"

    def rest(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        prefer: str | None = "return=representation",
        headers: Mapping[str, str] | None = None,
    ) -> WireAnswer:
        """One request to /rest/v1; `token` is a user's, None means nobody in particular (anon)."""
        sent = {"Authorization": f"Bearer {token or self.public_key}", **(headers or {})}
        if prefer and method != "GET":
            sent["Prefer"] = prefer
        return self.port.request(method, path, headers=sent, body=body, params=params)

    def witness_rows(self, table: str, **equals: Any) -> list[dict[str, Any]]:
        """Rows of a public table whose columns equal these values, past row-level security, JSON types."""
        if self.sql:
            where = " and ".join(f'"{name}"::text = %s' for name in equals) or "true"
            found = self.sql.rows(
                f'select to_jsonb(t) as row from public."{table}" t where {where}',  # noqa: S608 (names are ours)
                [str(value) for value in equals.values()],
            )
            rows = [entry["row"] for entry in found]
        else:
            rows = self.rows_past_policies(table, **equals)

        def on_missing(what: str) -> Missed:
            claim = f"{self.channel} holds the row that it should in {table}, where {equals}"
            return Missed(
                claim, expected=what, saw=f"{len(rows)} rows: {str(rows)[:300]}", service=SERVICE.id
            )

        judged: list[dict[str, Any]] = strict_json(rows, on_missing)
        return judged

    def rows_past_policies(self, table: str, **equals: Any) -> list[dict[str, Any]]:
        """The same through the REST API with the secret key: every page, since a project limits how much one holds."""
        params: dict[str, Any] = {"select": "*", **{name: f"eq.{value}" for name, value in equals.items()}}
        rows, total = self._page(table, params)
        if len(rows) == total:
            return rows
        found: list[dict[str, Any]] = []
        order = {"order": ",".join(sorted(rows[0]))} if rows else {}  # by all columns: what is alike is alike
        page = pages(SERVICE.id, f"reading {table}")
        while len(found) < total:
            next(page)
            rows, total = self._page(table, {**params, **order, "offset": len(found)})
            if not rows:
                break
            found += rows
        return found

    def _page(self, table: str, params: Mapping[str, Any]) -> tuple[list[dict[str, Any]], int]:
        """Rows of one answer, and how many there are in all."""
        key = self._secret.reveal()
        headers = {"apikey": key, "Authorization": f"Bearer {key}", "Prefer": "count=exact"}
        answer = self.port.request("GET", f"/{table}", headers=headers, params=params).demand(200, 206)
        rows: list[dict[str, Any]] = list(answer.json(list))
        total = answer.headers.get("content-range", "").rpartition("/")[2]
        return rows, int(total) if total.isdigit() else len(rows)

    def as_admin(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        allow: Collection[int] = (),
        schema: str = "",
    ) -> WireAnswer:
        """One request to /rest/v1 with the secret key, past row-level security; `schema` is another exposed one."""
        key = self._secret.reveal()
        headers = {"apikey": key, "Authorization": f"Bearer {key}", "Prefer": "return=representation"}
        if schema:
            headers |= {"Accept-Profile": schema, "Content-Profile": schema}
        return self.port.request(method, path, headers=headers, params=params, body=body, allow=allow)

    def close(self) -> None:
        """Closes every connection."""
        self.port.close()
        if "sql" in self.__dict__ and self.sql:
            self.sql.close()


def undoers(run: Run) -> dict[str, Undo]:
    """`database.row` {table, match, made?}: rows of ours whose columns equal these values, past row-level security.

    `match` shows that they are ours by the run's tag, or by the id (a UUID) of a person or row that the run made. Without
    either, e.g. by a random number alone, a row is ours if the insert was confirmed (`made`) and no second one fits.
    """

    def undo_row(key: Mapping[str, Any]) -> None:
        client = undoing(DatabaseClient, run)
        match = dict(key.get("match") or {})
        if not match:
            return  # the entry names no row
        if rows := client.rows_past_policies(key["table"], **match):
            marked = any(carries_tag(run.id, value) or _is_uuid(value) for value in match.values())
            if not marked and not (key.get("made") and len(rows) == 1):
                what = f"{len(rows)} rows of {key['table']} where {match}"
                raise NotOursError(
                    f"{what} carry no tag of run {run.id}: they may be somebody's, and were left"
                )
            params = {name: f"eq.{value}" for name, value in match.items()}
            client.as_admin("DELETE", f"/{key['table']}", params=params).demand(200, 204)

    return {"database.row": undo_row}


def _is_uuid(value: object) -> bool:
    try:
        return str(uuid.UUID(str(value))) == str(value).lower()
    except ValueError:
        return False


def as_json(value: Any) -> str:
    """A value as compact JSON, for comparing what two channels returned."""
    return json.dumps(value, sort_keys=True, default=str)


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: each described table through REST with the secret key, and PostgreSQL's version by SQL."""
    client = DatabaseClient(run)
    database = run.target.description.database

    def probe(table: str) -> Probe:
        def there() -> str:
            answer = client.as_admin("GET", f"/{table}", params={"select": "*", "limit": 1})
            if answer.status not in (200, 206):
                where = run.target.description.where(f"database.tables.{table}")
                raise ServiceError(SERVICE.id, f"{where} describes it: {answer.said()}")
            return "is there"

        return there

    def sql() -> str:
        return str(client.demand_sql().value("select version()")).split(" on ")[0]

    tables = dict.fromkeys((*filter(None, [database.probe]), *database.described))
    found = {f"table {table}": probe(table) for table in tables}
    return {**found, "SQL witness": sql} if client.sql else found
