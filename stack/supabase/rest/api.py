"""/rest/v1: one request, one transaction, one statement that builds the answer's JSON inside PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass

from stack.supabase.database import Database, Unavailable
from stack.supabase.http import Request, Response
from stack.supabase.pipeline import SqlError
from stack.supabase.rest import openapi, parse, rpc, write
from stack.supabase.rest.answer import (
    CSV,
    OBJECT,
    STRIPPED,
    Answer,
    Asked,
    Window,
    envelope,
    explained,
    finish,
)
from stack.supabase.rest.catalog import CATALOG_SQL, Catalog, Relation, read
from stack.supabase.rest.errors import ApiError, from_postgres, from_token, unavailable
from stack.supabase.rest.sql import ALL, Builder, array_literal, identifier, qualified
from stack.supabase.tokens import LEEWAY_S, Caller, Signer, TokenError, caller

log = logging.getLogger("supabase.rest")
PREFIX = "/rest/v1"

# PostgREST docs, "Transactions": role and settings first, in a statement of their own, the query after. The settings are
# transaction-local, so a connection goes back to the pool as it came.
AS_CALLER = (
    "select set_config('search_path',$1,true),set_config('role',$2,true),set_config('request.jwt.claims',$3,true),"
    "set_config('request.method',$4,true),set_config('request.path',$5,true),set_config('request.headers',$6,true),"
    "set_config('statement_timeout',$7,true),set_config('transaction_read_only',$8,true)"
)

# SET ROLE does not bring a role's own settings along; PostgREST applies its statement_timeout itself ("Impersonated role
# settings"), and so does this.
TIMEOUTS = """
select coalesce(json_object_agg(r.rolname, split_part(s.one, '=', 2)), '{}') from pg_db_role_setting d
join pg_roles r on r.oid = d.setrole
cross join unnest(d.setconfig) as s(one) where s.one like 'statement_timeout=%'"""


@dataclass(frozen=True)
class Settings:
    """What of the options concerns REST."""

    schemas: tuple[str, ...]
    extra_search_path: tuple[str, ...]
    max_rows: int
    aggregates: bool
    explain: bool
    anon_role: str


class Rest:
    """The REST wire over one database."""

    def __init__(self, database: Database, signer: Signer, settings: Settings) -> None:
        self._database, self._signer, self._settings = database, signer, settings
        self.catalog = Catalog()
        self._patience, self._patience_of = "8s", dict[str, str]()
        self._anonymous = caller({"role": settings.anon_role}, settings.anon_role)
        self._search_path = {
            s: ", ".join(dict.fromkeys(map(identifier, (s, *settings.extra_search_path))))
            for s in settings.schemas
        }

    async def load(self) -> None:
        """Read the schema cache."""
        async with self._database.connection() as db:
            # With an empty search path every type is printed with its schema.
            _, catalog, patience, roles = await db.run(
                ("select set_config('search_path', '', true)", ()),
                (CATALOG_SQL, [array_literal(self._settings.schemas)]),
                ("select current_setting('statement_timeout')", ()),
                (TIMEOUTS, ()),
            )
        self.catalog = read(catalog.get_value(0, 0))
        self._patience = patience.get_value(0, 0).decode()
        self._patience_of = dict(json.loads(roles.get_value(0, 0)))

    async def follow(self) -> None:
        """Reload the schema cache whenever PostgreSQL says so, for as long as the process lives."""
        while True:
            with contextlib.suppress(Unavailable, OSError, SqlError):
                told = asyncio.Event()
                connection = await self._database.connect(told.set)
                try:
                    await connection.run(("listen pgrst", ()))
                    told.set()  # what changed while nobody listened
                    while not connection.is_closed():
                        await told.wait()
                        told.clear()
                        await asyncio.sleep(0.05)  # a migration notifies for each of its statements
                        await self.load()
                finally:
                    connection.terminate()
            await asyncio.sleep(0.2)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises ApiError."""
        who = self._caller(request)
        try:
            return await self._route(request, who)
        except Unavailable as error:
            raise unavailable() from error
        except SqlError as error:
            raise from_postgres(error, who.role == self._settings.anon_role) from error
        except UnicodeEncodeError as error:
            raise ApiError(
                400, "22021", f'invalid byte sequence for encoding "UTF8": {error.reason}'
            ) from error

    def _caller(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return self._anonymous
        try:
            return self._signer.caller(token.strip(), LEEWAY_S)
        except TokenError as error:
            raise from_token(error) from error

    async def _route(self, request: Request, who: Caller) -> Response:
        method = request.method
        reading = method in ("GET", "HEAD")
        asked = Asked.of(request, self._settings.explain)
        schema = (
            request.headers.get("accept-profile" if reading else "content-profile")
            or self._settings.schemas[0]
        )
        if schema not in self._settings.schemas:
            exposed = ", ".join(self._settings.schemas)
            raise ApiError(
                406,
                "PGRST106",
                f"Invalid schema: {schema}",
                hint=f"Only the following schemas are exposed: {exposed}",
            )
        path = request.path.removeprefix(PREFIX).strip("/")
        if path == "" and reading:
            return openapi.document(self.catalog, schema, request)
        if path.startswith("rpc/") and method in ("GET", "HEAD", "POST"):
            return await self._call(request, who, asked, schema, path.removeprefix("rpc/"))
        if "/" in path or not path:
            raise ApiError(404, "PGRST125", "Invalid path specified in request URL")
        relation = self.catalog.relations.get((schema, path))
        if relation is None:
            raise ApiError(404, "PGRST205", f"Could not find the table '{schema}.{path}' in the schema cache")
        if reading:
            return await self._read(request, who, asked, relation)
        if method in ("POST", "PATCH", "PUT", "DELETE"):
            return await self._write(request, who, asked, relation)
        raise ApiError(405, "PGRST117", f"Unsupported HTTP method: {method}")

    def _builder(self, params: list[tuple[str, str]], reading: bool) -> Builder:
        limit = self._settings.max_rows if reading else None
        return Builder(self.catalog, parse.nodes(params), limit, self._settings.aggregates)

    async def _read(self, request: Request, who: Caller, asked: Asked, relation: Relation) -> Response:
        params = request.params()
        builder = self._builder(params, True)
        window = Window.of(builder.nodes[()], request, self._settings.max_rows)
        select = _select(params)
        table, alias = qualified(relation.schema, relation.name), identifier(relation.name)
        inner = builder.read(relation, table, alias, select)
        total = None
        if asked.count:
            counted = tuple(i for i in select if isinstance(i, parse.Embed))
            if any(e.inner for e in counted) or any(len(p) for p in builder.nodes):
                total = builder.read(relation, table, alias, counted, ranged=False)
            else:
                total = f"SELECT 1 FROM {table} {builder.where(relation, alias)}"
        builder.check_used()
        answer = await self._run(
            request, who, relation.schema, builder, asked, inner, "", total, read_only=True
        )
        asked.check(answer)
        return finish(request, asked, answer, window, relation.schema)

    async def _write(self, request: Request, who: Caller, asked: Asked, relation: Relation) -> Response:
        params = request.params()
        given = dict(params)
        builder = self._builder(params, False)
        select = _select(params)
        location = request.method == "POST" and asked.returns == "headers-only" and relation.key
        if asked.representation:
            columns = write.returning(self.catalog, relation, builder, select)
        elif location:
            columns = ", ".join(
                f"{qualified(relation.schema, relation.name)}.{identifier(c)}" for c in relation.key
            )
        else:
            columns = "1 AS one"
        statement = write.Write(self.catalog, relation, builder, columns)
        mutation = await self._mutation(request, asked, statement, given)
        alias = identifier(relation.name)
        if asked.representation:
            inner = builder.read(
                relation, f"pgrst_source AS {alias}", alias, select, filtered=False, ranged=False
            )
            builder.check_used()
        else:
            inner = "SELECT * FROM pgrst_source"
        answer = await self._run(
            request,
            who,
            relation.schema,
            builder,
            asked,
            inner,
            f"pgrst_source AS ({mutation}), ",
            None,
            read_only=False,
        )
        response = finish(request, asked, answer, Window(0), relation.schema)
        if location and answer.rows == 1:
            row = json.loads(answer.body)[0]
            response.headers["location"] = f"/{relation.name}?" + "&".join(
                f"{k}=eq.{v}" for k, v in row.items()
            )
        return response

    async def _mutation(
        self, request: Request, asked: Asked, statement: write.Write, given: dict[str, str]
    ) -> str:
        if request.method == "DELETE":
            return statement.delete()
        named = tuple(parse.columns(given["columns"])) if given.get("columns") else None
        data = write.payload(
            await request.body(), request.headers.get("content-type", ""), uniform=named is None
        )
        columns = named or data.keys
        statement.check_columns(columns)
        defaults = asked.preferences.get("missing") == "default"
        if request.method == "PATCH":
            return statement.update(data, columns, defaults)
        resolution, keys = asked.preferences.get("resolution", ""), statement.relation.key
        if request.method == "PUT":
            resolution = "merge-duplicates"
            _check_put(statement, data)
        elif given.get("on_conflict"):
            keys = tuple(parse.columns(given["on_conflict"]))
        conflict = statement.conflict(resolution, keys, columns) if resolution else ""
        asked.merging = bool(conflict)
        return statement.insert(data, columns, defaults, conflict)

    async def _call(self, request: Request, who: Caller, asked: Asked, schema: str, name: str) -> Response:
        call = await rpc.resolve(self.catalog, schema, name, request)
        builder = self._builder(call.params, True)
        source = call.source(builder.binds)
        window = Window.of(builder.nodes[()], request, self._settings.max_rows)
        rows = call.function.rows
        total = None
        if rows is None:
            inner, source = call.scalar(source), ""
            asked.shape = call.shape(asked)
        else:
            alias = identifier(rows.name)
            source = f"pgrst_source AS ({source}), "
            inner = builder.read(
                rows, f"pgrst_source AS {alias}", alias, _select(call.params), ranged=call.function.many
            )
            if asked.count:
                total = f"SELECT 1 FROM pgrst_source AS {alias}{builder.where(rows, alias)}"
            if not call.function.many:
                asked.shape = "one"
        builder.check_used()
        read_only = request.method != "POST" or not call.function.volatile
        answer = await self._run(request, who, schema, builder, asked, inner, source, total, read_only)
        if call.function.returns == "void":
            return Response(204, b"", {"content-range": "0-0/*"})
        asked.check(answer)
        return finish(request, asked, answer, window, schema)

    async def _run(
        self,
        request: Request,
        who: Caller,
        schema: str,
        builder: Builder,
        asked: Asked,
        inner: str,
        source: str,
        total: str | None,
        read_only: bool,
    ) -> Answer:
        """The transaction. A writing one whose answer may break what the request demands is kept open until it was seen."""
        estimated = total if asked.count in ("planned", "estimated") else None
        values = builder.binds.values
        patience = self._patience_of.get(who.role, self._patience)
        settings = (AS_CALLER, [self._search_path[schema], who.role, who.claims_json, request.method, request.path,
                                json.dumps(request.headers), patience, "on" if read_only else "off"])  # fmt: skip
        statement = envelope(source, inner, None if estimated else total, asked.shape)
        async with self._database.connection() as db:
            if asked.plan:
                _, plan = await db.run(settings, (explained(asked, statement), values))
                return Answer(1, None, b"\n".join(plan.get_value(n, 0) for n in range(plan.ntuples)))
            if not read_only and asked.demanding:
                try:
                    *_, found = await db.run(("begin", ()), settings, (statement, values))
                    answer = Answer.of(found)
                    asked.check(answer)
                except (ApiError, SqlError):
                    await db.run(("rollback", ()))
                    raise
                await db.run(("commit", ()))
                return answer
            more = _estimate(builder, source, estimated, asked, self._settings.max_rows) if estimated else ()
            _, found, *counted = await db.run(settings, (statement, values), *((sql, values) for sql in more))
            answer = Answer.of(found)
            if counted:
                answer.total = int(json.loads(counted[0].get_value(0, 0))[0]["Plan"]["Plan Rows"])
            if (
                asked.count == "estimated"
                and (exact := int(counted[1].get_value(0, 0))) <= self._settings.max_rows
            ):
                answer.total = exact
            return answer


def _estimate(builder: Builder, source: str, total: str, asked: Asked, max_rows: int) -> list[str]:
    """The planner's guess; with count=estimated also a count up to the row limit, below which it is the exact one."""
    # The first CTE is never run: it tells the type of every bound value, also of those that counting does not need.
    bound = ", ".join(builder.binds.parameters) or "1"
    statement = f"WITH pgrst_bound AS (SELECT {bound}), {source}t AS ({total}) SELECT * FROM t"
    guess = [f"EXPLAIN (FORMAT JSON) {statement}"]
    return guess + [f"SELECT count(*) FROM ({statement} LIMIT {max_rows + 1:d}) s"] * (
        asked.count == "estimated"
    )


def _select(params: list[tuple[str, str]]) -> parse.Select:
    given = [value for key, value in params if key == "select"]
    return parse.select(given[-1]) if given else ALL


def _check_put(statement: write.Write, data: write.Payload) -> None:
    """PUT replaces exactly the row that its filters name by primary key (PostgREST docs, "Upsert")."""
    filters = statement.builder.nodes[()].filters
    statement.builder.used.add(())
    named = {f.field.name: f.value for f in filters if isinstance(f, parse.Condition) and f.operator == "eq"}
    if not statement.relation.key or set(named) != set(statement.relation.key) or len(filters) != len(named):
        raise ApiError(
            405, "PGRST105", "Filters must include all and only primary key columns with 'eq' operators"
        )
    rows = json.loads(data.text)
    if len(rows) != 1 or any(str(rows[0].get(key)) != value for key, value in named.items()):
        raise ApiError(400, "PGRST115", "Payload values do not match URL in primary key column(s)")


__all__ = ["CSV", "OBJECT", "STRIPPED", "Rest", "Settings"]
