"""/rest/v1: one request, one transaction, one statement that builds the answer's JSON inside PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass

from stack.supabase.config import Options
from stack.supabase.database import Database, Unavailable
from stack.supabase.http import HttpError, Request, Response, json_response
from stack.supabase.pipeline import SqlError
from stack.supabase.rest import openapi, parse, rpc, write
from stack.supabase.rest.answer import Answer, Asked, envelope, explained, finish, window
from stack.supabase.rest.catalog import CATALOG_SQL, Catalog, Relation, read
from stack.supabase.rest.configuration import configured
from stack.supabase.rest.errors import ApiError, from_postgres, from_token
from stack.supabase.rest.hints import NAME, nearest
from stack.supabase.rest.sql import Builder, array_literal, identifier, literal, qualified
from stack.supabase.tokens import LEEWAY_S, Caller, Signer, TokenError, caller

PREFIX = "/rest/v1"

# PostgREST docs, "Transactions": role and settings first, in a statement of their own, the query after. The settings are
# transaction-local, so a connection goes back to the pool as it came.
AS_CALLER = (
    "select set_config('search_path',$1,true),set_config('role',$2,true),set_config('request.jwt.claims',$3,true),"
    "set_config('request.method',$4,true),set_config('request.path',$5,true),set_config('request.headers',$6,true),"
    "set_config('statement_timeout',$7,true),set_config('transaction_read_only',$8,true),"
    "set_config('request.cookies',$9,true)"
)
IN_ZONE = "select set_config('timezone',$1,true)"

# SET ROLE does not bring a role's own settings along: PostgREST applies them itself ("Impersonated role settings"). It reads
# its own configuration, `pgrst.…`, from those of the role that it connects as ("In-Database Configuration").
ROLE_SETTINGS = """
select coalesce(json_agg(json_build_array(r.rolname = current_user, r.rolname, split_part(s.one, '=', 1),
  substr(s.one, strpos(s.one, '=') + 1))), '[]')
from pg_db_role_setting d join pg_roles r on r.oid = d.setrole cross join unnest(d.setconfig) as s(one)
left join pg_settings p on p.name = split_part(s.one, '=', 1)
where d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
  and (r.rolname = current_user and s.one like 'pgrst.%' or r.rolname <> current_user and p.context = 'user')"""


@dataclass
class Job:
    """One request on its way: who asks, what for, and the statement's values so far."""

    request: Request
    who: Caller
    asked: Asked
    schema: str
    params: list[tuple[str, str]]
    builder: Builder

    @property
    def select(self) -> parse.Select:
        """The ``select`` parameter's tree."""
        given = dict(self.params).get("select")
        return parse.select(given or "")


class Rest:
    """The REST wire over one database."""

    def __init__(self, database: Database, signer: Signer, options: Options) -> None:
        self._database, self._signer, self._given = database, signer, options
        self.catalog = Catalog()
        self._patience, self._patience_of = "8s", dict[str, str]()
        self._settings_of: dict[str, tuple[str, list[str]]] = {}
        self._before: list[tuple[str, list[str]]] = []
        self._configure({})

    def _configure(self, own: dict[str, str]) -> None:
        """Take on what the connecting role's ``pgrst.…`` settings say beside the options."""
        self._options = options = configured(self._given, own)
        self._anonymous = caller({"role": options.anon_role}, options.anon_role)
        paths = {schema: dict.fromkeys((schema, *options.extra_search_path)) for schema in options.schemas}
        self._search_path = {schema: ", ".join(map(identifier, path)) for schema, path in paths.items()}
        schema, _, name = own.get("pgrst.db_pre_request", "").rpartition(".")
        function = qualified(schema, name) if schema else identifier(name)
        self._before = [(f"select {function}()", [])] if name else []

    async def load(self) -> None:
        """Read the configuration and the schema cache."""
        async with self._database.connection() as db:
            patience, roles = await db.run(
                ("select current_setting('statement_timeout')", ()), (ROLE_SETTINGS, ())
            )
            given = json.loads(roles.get_value(0, 0))
            self._configure({name: value for own, _, name, value in given if own})
            # With an empty search path every type is printed with its schema.
            _, catalog = await db.run(
                ("select set_config('search_path', '', true)", ()),
                (CATALOG_SQL, [array_literal(self._options.schemas)]),
            )
        self.catalog = read(catalog.get_value(0, 0))
        self._patience = patience.get_value(0, 0).decode()
        self._patience_of = {role: value for _, role, name, value in given if name == "statement_timeout"}
        others: dict[str, dict[str, str]] = {}
        for own, role, name, value in given:
            if not own and name not in ("statement_timeout", "search_path"):
                others.setdefault(role, {})[name] = value
        self._settings_of = {role: _setting(values) for role, values in others.items()}

    async def follow(self) -> None:
        """Reload the schema cache whenever PostgreSQL says so, for as long as the process lives."""
        while True:
            with contextlib.suppress(Unavailable, OSError, SqlError):
                notified = asyncio.Event()
                connection = await self._database.connect(notified.set)
                try:
                    await connection.run(("listen pgrst", ()))
                    notified.set()  # what changed while nobody listened
                    while not connection.is_closed():
                        await notified.wait()
                        notified.clear()
                        await asyncio.sleep(0.05)  # a migration notifies for each of its statements
                        await self.load()
                finally:
                    connection.terminate()
            await asyncio.sleep(0.2)

    async def handle(self, request: Request) -> Response:
        """Answer one request. Raises ApiError."""
        who = self._anonymous
        try:
            if request.bearer:
                who = self._signer.caller(request.bearer, LEEWAY_S)
            return await self._route(request, who)
        except TokenError as error:
            raise from_token(error) from error
        except Unavailable as error:
            raise ApiError("PGRST001", "Database client error. Retrying the connection.") from error
        except SqlError as error:
            raise from_postgres(error, who.role == self._options.anon_role) from error
        except UnicodeEncodeError as error:
            raise ApiError("22021", f'invalid byte sequence for encoding "UTF8": {error.reason}') from error

    async def _route(self, request: Request, who: Caller) -> Response:
        method, options = request.method, self._options
        reading = method in ("GET", "HEAD")
        asked = Asked.of(request, options.explain)
        schema = request.headers.get("accept-profile" if reading else "content-profile") or options.schemas[0]
        if schema not in options.schemas:
            hint = f"Only the following schemas are exposed: {', '.join(options.schemas)}"
            raise ApiError("PGRST106", f"Invalid schema: {schema}", hint=hint)
        path = request.path.removeprefix(PREFIX).strip("/")
        if path == "" and reading:
            return await self._describe(request, who, schema)
        limit = options.max_rows if reading or path.startswith("rpc/") else None

        def job(params: list[tuple[str, str]]) -> Job:
            return Job(request, who, asked, schema, params, Builder(self.catalog, parse.nodes(params), limit))

        if path.startswith("rpc/"):
            if not reading and method != "POST":
                raise ApiError("PGRST101", f"Cannot use the {method} method on RPC", status=405)
            call = await rpc.resolve(self.catalog, schema, path.removeprefix("rpc/"), request)
            return await self._call(job(call.params), call)
        if "/" in path or not path:
            raise ApiError("PGRST125", "Invalid path specified in request URL")
        relation = self.catalog.relations.get((schema, path))
        if relation is None:
            near = nearest(path, (name for where, name in self.catalog.relations if where == schema), NAME)
            meant = near and f"Perhaps you meant the table '{schema}.{near}'"
            message = f"Could not find the table '{schema}.{path}' in the schema cache"
            raise ApiError("PGRST205", message, hint=meant)
        if reading:
            return await self._read(job(request.params()), relation)
        if method in ("POST", "PATCH", "DELETE", "PUT"):
            return await self._write(job(request.params()), relation)
        raise ApiError("PGRST117", f"Unsupported HTTP method: {method}")

    async def _describe(self, request: Request, who: Caller, schema: str) -> Response:
        """The OpenAPI description of ``schema``."""
        if who.role != "service_role":
            raise HttpError(403, openapi.FORBIDDEN)
        kinds = {part.partition(";")[0].strip() for part in request.headers.get("accept", "*/*").split(",")}
        if not kinds & {"application/openapi+json", "application/json", "*/*"}:
            accept = request.headers["accept"]
            raise ApiError("PGRST107", f"None of these media types are available: {accept}")
        async with self._database.connection() as db:
            role = ("select set_config('role',$1,true)", [who.role])
            _, usable = await db.run(role, (openapi.ACCESSIBLE, [schema]))
        host = request.headers.get("host", "localhost")
        document = openapi.describe(self.catalog, schema, json.loads(usable.get_value(0, 0)), host)
        return json_response(document, 200, {"content-type": openapi.MEDIA, "content-profile": schema})

    async def _read(self, job: Job, relation: Relation) -> Response:
        builder, select, total = job.builder, job.select, None
        offset = window(builder.nodes[()], job.request)
        table, alias = qualified(relation.schema, relation.name), identifier(relation.name)
        inner = builder.read(relation, table, alias, select)
        if job.asked.count:
            total = builder.total(relation, table, alias, select)
        builder.check_used()
        answer = await self._run(job, inner, "", total, read_only=True)
        job.asked.check(answer)
        return finish(job.request, job.asked, answer, offset, job.schema)

    async def _write(self, job: Job, relation: Relation) -> Response:
        builder, asked, inner = job.builder, job.asked, "SELECT * FROM pgrst_source"
        columns = write.returning(relation, builder, job.select) if asked.representation else "1 AS one"
        mutation = await self._mutation(job, write.Write(relation, builder, columns))
        if asked.representation:
            alias = identifier(relation.name)
            source = f"pgrst_source AS {alias}"
            inner = builder.read(relation, source, alias, job.select, filtered=False, ranged=False)
            builder.check_used()
        answer = await self._run(job, inner, f"pgrst_source AS ({mutation}), ", None, read_only=False)
        return finish(job.request, asked, answer, 0, job.schema)

    async def _mutation(self, job: Job, statement: write.Write) -> str:
        request, given = job.request, dict(job.params)
        if request.method == "DELETE":
            return statement.delete()
        named = parse.columns(given["columns"]) if "columns" in given else None
        kind = request.headers.get("content-type", "")
        data = write.payload(await request.body(), kind, uniform=named is None)
        columns = named or data.keys
        statement.check_columns(columns)
        defaults = job.asked.preferences.get("missing") == "default"
        if request.method == "PATCH":
            return statement.update(data, columns, defaults)
        if request.method == "PUT":
            where = statement.put_where()
            job.asked.putting = job.asked.merging = True
            conflict = statement.conflict("merge-duplicates", statement.relation.key, columns)
            return statement.insert(data, columns, defaults, where + conflict)
        keys = parse.columns(given["on_conflict"]) if given.get("on_conflict") else statement.relation.key
        resolution = job.asked.preferences.get("resolution")
        conflict = statement.conflict(resolution, keys, columns) if resolution else ""
        job.asked.merging = bool(conflict) and resolution == "merge-duplicates"
        if not conflict:
            job.asked.preferences.pop("resolution", None)
        return statement.insert(data, columns, defaults, conflict)

    async def _call(self, job: Job, call: rpc.Call) -> Response:
        builder, asked, function, total = job.builder, job.asked, call.function, None
        source = call.source(builder.binds)
        offset = window(builder.nodes[()], job.request)
        if function.rows is None:
            if function.many:
                source = f"pgrst_source AS ({source}), "
                inner, total = builder.scalars("pgrst_source"), "SELECT 1 FROM pgrst_source"
            else:
                inner, source, total = source, "", "SELECT 1"
            asked.shape = "scalars" if function.many else "scalar"
        else:
            alias, source = identifier(function.rows.name), f"pgrst_source AS ({source}), "
            table = f"pgrst_source AS {alias}"
            inner = builder.read(function.rows, table, alias, job.select, ranged=function.many)
            total = builder.total(function.rows, table, alias, job.select) if asked.count else None
            if not function.many and asked.shape == "json":
                asked.shape = "one"
        if function.returns == "void":
            asked.shape = "void"
        if asked.most is not None and not function.many:
            needs = "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
            raise ApiError("PGRST128", needs)
        total = total if asked.count else None
        builder.check_used()
        read_only = job.request.method != "POST" or not function.volatile
        answer = await self._run(job, inner, source, total, read_only)
        asked.check(answer)
        return finish(job.request, asked, answer, offset, job.schema)

    async def _run(self, job: Job, inner: str, source: str, total: str | None, read_only: bool) -> Answer:
        """The transaction. A writing one whose answer may break what the request demands stays open until it was seen."""
        request, who, asked, values = job.request, job.who, job.asked, job.builder.binds.values
        guessed = total if asked.count in ("planned", "estimated") else None
        patience = self._patience_of.get(who.role, self._patience)
        path = request.path.removeprefix(PREFIX)
        settings = [(AS_CALLER, [self._search_path[job.schema], who.role, who.claims_json, request.method, path,
                                 json.dumps(request.headers), patience, "on" if read_only else "off",
                                 _cookies(request)])]  # fmt: skip
        if own := self._settings_of.get(who.role):
            settings.append(own)
        if zone := asked.preferences.get("timezone"):
            settings.append((IN_ZONE, [zone]))
        settings += self._before
        statement = envelope(source, inner, None if guessed else total, asked.shape)
        async with self._database.connection() as db:
            if asked.plan:
                *_, plan = await db.run(*settings, (explained(asked, statement), values))
                return Answer(1, None, b"\n".join(plan.get_value(n, 0) for n in range(plan.ntuples)))
            if not read_only and asked.demanding:
                try:
                    *_, found = await db.run(("begin", ()), *settings, (statement, values))
                    answer = Answer.of(found)
                    asked.check(answer)
                except (ApiError, SqlError):
                    await db.run(("rollback", ()))
                    raise
                await db.run(("commit", ()))
                return answer
            limit = self._options.max_rows
            more = _estimate(job.builder, source, guessed, limit) if guessed else []
            answers = await db.run(*settings, (statement, values), *((sql, values) for sql in more))
            found, *counted = answers[len(settings) :]
        answer = Answer.of(found)
        if counted:
            exact = int(counted[0].get_value(0, 0))
            guess = int(json.loads(counted[1].get_value(0, 0))[0]["Plan"]["Plan Rows"])
            answer.total = exact if asked.count == "estimated" and exact <= limit else guess
        return answer


def _setting(values: dict[str, str]) -> tuple[str, list[str]]:
    """A statement that makes these settings for the transaction."""
    parts = (f"set_config({literal(name)},${n},true)" for n, name in enumerate(values, 1))
    return "select " + ",".join(parts), list(values.values())


def _cookies(request: Request) -> str:
    """The request's cookies as JSON."""
    given = request.headers.get("cookie")
    pairs = (one.strip().partition("=") for one in given.split(";")) if given else ()
    return json.dumps({name: value for name, _, value in pairs}) if given else "{}"


def _estimate(builder: Builder, source: str, total: str, max_rows: int) -> list[str]:
    """A count up to the row limit, below which count=estimated is exact, and the planner's guess."""
    # The first CTE is never run: it tells the type of every bound value, also of those that counting does not need.
    bound = ", ".join(builder.binds.parameters.values()) or "1"
    sql = f"WITH pgrst_bound AS (SELECT {bound}), {source}t AS ({total}) SELECT * FROM t"
    return [f"SELECT count(*) FROM ({sql} LIMIT {max_rows + 1:d}) s", f"EXPLAIN (FORMAT JSON) {sql}"]
