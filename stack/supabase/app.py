"""The process's ASGI application: CORS, API keys, planned faults, then one of the three wires."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from stack.supabase import control, gateway
from stack.supabase.auth.api import Auth
from stack.supabase.config import Config
from stack.supabase.database import Database
from stack.supabase.gauges import Gauges
from stack.supabase.http import (
    ClientGone,
    HttpError,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    json_response,
    respond,
)
from stack.supabase.mail import Mailbox
from stack.supabase.rest.api import Rest, Settings
from stack.supabase.storage.api import Storage
from stack.supabase.tokens import Signer

log = logging.getLogger("supabase")
Handler = Callable[[Request], Awaitable[Response]]
MAX_HEADERS = 64 * 1024


@dataclass
class Parts:
    """What the process is made of."""

    rest: Rest
    auth: Auth
    storage: Storage
    mailbox: Mailbox
    databases: tuple[Database, ...]


class App:
    """Dispatches by path; owns the pools and the background tasks."""

    def __init__(self, config: Config) -> None:
        options = config.options
        self.config, self.gauges = config, Gauges()
        self.signer = Signer(config.jwt_secret, config.signing_jwk)
        rest = Database(config.dsn_authenticator, self.gauges, options.pool_size)
        auth = Database(
            config.dsn_admin, self.gauges, max(options.pool_size // 2, 2), "supabase_auth_admin", "auth"
        )
        storage = Database(
            config.dsn_admin, self.gauges, max(options.pool_size // 2, 2), "supabase_storage_admin", "storage"
        )
        mailbox = Mailbox()
        settings = Settings(
            options.schemas,
            options.extra_search_path,
            options.max_rows,
            options.aggregates,
            options.explain,
            options.anon_role,
        )
        self.parts = Parts(
            Rest(rest, self.signer, settings),
            Auth(auth, self.signer, config, mailbox),
            Storage(storage, self.signer, config),
            mailbox,
            (rest, auth, storage),
        )
        self.faults = control.Faults(self.parts.auth)
        self._tasks: list[asyncio.Task[None]] = []
        self._routes: tuple[tuple[str, Handler], ...] = (
            ("/rest/v1", self.parts.rest.handle),
            ("/auth/v1", self.parts.auth.handle),
            ("/storage/v1", self.parts.storage.handle),
            ("/__control", self._control),
        )

    async def start(self) -> None:
        """Connect, read the schema cache, begin watching."""
        for database in self.parts.databases:
            async with database.connection():  # it must answer before we say READY
                pass
        await self.parts.rest.load()
        background = (self.gauges.watch(), self.parts.rest.follow(), self.parts.storage.sweep())
        self._tasks = [asyncio.ensure_future(job) for job in background]

    async def stop(self) -> None:
        """Stop watching, disconnect."""
        for task in self._tasks:
            task.cancel()
        for database in self.parts.databases:
            database.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            # A WebSocket (Realtime) is refused before its handshake: see README, "What answers 501".
            return await send({"type": "websocket.close", "code": 1011})
        request = Request(scope, receive)
        self.gauges.request()
        self.gauges.in_flight += 1
        try:
            response = await self._answer(request)
            response.headers.update(gateway.cors(request))
            await respond(send, response, request.method == "HEAD")
        except ClientGone:
            log.info("%s %s: the client left", request.method, request.path)
        except control.Dropped:
            # A response that promises a body and ends without it makes the server close the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        finally:
            self.gauges.in_flight -= 1

    async def _answer(self, request: Request) -> Response:
        try:
            if sum(len(k) + len(v) for k, v in request.headers.items()) > MAX_HEADERS:
                return json_response({"message": "Request Header Fields Too Large"}, 431)
            if (fault := await self.faults.apply(request)) is not None:
                return fault
            if gateway.is_preflight(request):
                return gateway.preflight(request)
            gateway.admit(request, self.config.api_keys, self.config.options.require_api_key)
            for prefix, handler in self._routes:
                if request.path.startswith(prefix) and request.path[len(prefix) : len(prefix) + 1] in (
                    "",
                    "/",
                ):
                    return await handler(request)
            return gateway.unknown(request)
        except HttpError as error:
            return json_response(error.body, error.status, error.headers)
        except (ClientGone, control.Dropped):
            raise
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return json_response(
                {
                    "code": "unexpected_failure",
                    "message": "Unexpected failure in the local gateway: see its log",
                },
                500,
            )

    async def _control(self, request: Request) -> Response:
        return await control.handle(
            request, self.config.control_token, self.faults, self.gauges, self.parts.auth.limits
        )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.start()
                except Exception as error:
                    log.exception("cannot start")
                    return await send({"type": "lifespan.startup.failed", "message": str(error)})
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                return await send({"type": "lifespan.shutdown.complete"})
