"""What lies in every service of an embedded stack, by witnesses that no run asks: two snapshots show what a run left.

Rows by PostgreSQL itself, R2's objects by its S3 API, its unfinished uploads by the files of the store (workerd's S3 API
does not list them), all else by the vendors' own listings. What its service keeps for ever by nature is no residue and
not counted: events (Sentry, DataDog, Mixpanel, GA4), logs that only grow (`GROWING`), the messages of rooms; nor is what
its service forgets by itself (keys of KV that expire).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from clients.pages import pages
from clients.service_clients import ServiceClients
from clients.services.builder import MODEL

GROWING = frozenset({"auth.audit_log_entries", "public.audit_log"})
"""Tables that are a log: nobody may take a row away again."""
_TABLES = """\
select table_schema || '.' || table_name as name from information_schema.tables
where table_type = 'BASE TABLE' and table_schema in ('auth', 'public', 'storage') order by 1"""
_PAGE = 100
"""Entries of Builder.io that one answer may hold."""

Snapshot = Mapping[str, frozenset[str]]
"""The things of each kind, each by a text that no other thing of its kind has."""


def snapshot(services: ServiceClients, state: Path) -> Snapshot:
    """What is there now; `state` is the stack's folder. Raises ServiceError where a witness does not answer."""
    return {kind: frozenset(things) for kind, things in _witnessed(services, state)}


def left(before: Snapshot, after: Snapshot) -> dict[str, list[str]]:
    """What is there now and was not before, by kind."""
    return {kind: sorted(things - before[kind]) for kind, things in after.items() if things - before[kind]}


def _witnessed(services: ServiceClients, state: Path) -> Iterator[tuple[str, list[str]]]:
    sql = services.database.demand_sql()
    for table in (row["name"] for row in sql.rows(_TABLES)):
        if table not in GROWING:
            schema, name = table.split(".")
            rows = sql.rows(f'select to_jsonb(t) as one from "{schema}"."{name}" t')
            yield table, [_named(row["one"]) for row in rows]
    yield "r2 objects", services.r2.s3.keys("")
    yield "r2 multipart uploads", _unfinished(state)
    yield "kv keys", services.kv.lasting_keys()
    yield "builder entries", _entries(services)
    listed = (
        services.sentry.api.request("GET", f"{services.sentry.project_path}/rules/").demand(200).json(list)
    )
    yield "sentry rules", [str(rule["id"]) for rule in listed]
    yield "sentry receivers", services.sentry.receivers()
    datadog = services.datadog.api
    monitors = datadog.request("GET", "/api/v1/monitor").demand(200).json(list)
    yield "datadog monitors", [str(monitor["id"]) for monitor in monitors]
    boards = datadog.request("GET", "/api/v1/dashboard").demand(200).json(dict)["dashboards"]
    yield "datadog dashboards", [str(board["id"]) for board in boards]


def _entries(services: ServiceClients) -> list[str]:
    """Every page of Builder.io, drafts too."""
    found: list[str] = []
    for number in pages("builder", "listing every page"):
        answer = services.builder.raw_content(
            MODEL,
            apiKey=services.builder.public_key,
            includeUnpublished="true",
            noTargeting="true",
            cachebust="true",
            cacheSeconds=0,
            limit=_PAGE,
            offset=number * _PAGE,
        )
        page = answer.demand(200).json(dict)["results"]
        found += [str(entry["id"]) for entry in page]
        if len(page) < _PAGE:
            break
    return found


def _named(row: Mapping[str, object]) -> str:
    """A row by what identifies it, so that a changed one is no new one; a row without an identifier by all that it holds."""
    key = next((row[name] for name in ("id", "user_id", "version") if name in row), None)
    return str(key if key is not None else sorted(row.items()))


def _unfinished(state: Path) -> list[str]:
    """Multipart uploads of R2 that were neither completed nor aborted, as miniflare's store keeps them (state 0)."""
    found: list[str] = []
    for file in state.glob("data/platform/r2/**/*.sqlite"):
        with sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) as store:
            tables = {name for (name,) in store.execute("select name from sqlite_master")}
            if "_mf_multipart_uploads" in tables:
                rows = store.execute("select key, upload_id from _mf_multipart_uploads where state = 0")
                found += [f"{key} {upload}" for key, upload in rows]
    return found
