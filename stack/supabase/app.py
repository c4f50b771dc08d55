"""The process's ASGI application: CORS, API keys, planned faults, then one of the three wires."""

from __future__ import annotations

import asyncio
import logging

from stack.supabase import control, http
from stack.supabase.auth.api import Auth
from stack.supabase.config import Config
from stack.supabase.database import Database
from stack.supabase.gateway import Gateway, cors, unknown
from stack.supabase.gauges import Gauges
from stack.supabase.mail import Mailbox
from stack.supabase.rest.api import Rest
from stack.supabase.storage.api import Storage
from stack.supabase.tokens import Signer

log = logging.getLogger("supabase")
MAX_HEADERS = 64 * 1024
FAILURE = {"code": "unexpected_failure", "message": "Unexpected failure in the local gateway: see its log"}


class App:
    """Dispatches by path; owns the pools and the background tasks."""

    def __init__(self, config: Config) -> None:
        few = max(config.options.pool_size // 2, 2)
        self.gauges, self.mailbox, self.signer = (
            Gauges(),
            Mailbox(),
            Signer(config.jwt_secret, config.signing_jwk),
        )
        rest = Database(config.dsn_authenticator, self.gauges, config.options.pool_size)
        auth = Database(config.dsn_admin, self.gauges, few, "supabase_auth_admin", "auth")
        storage = Database(config.dsn_admin, self.gauges, few, "supabase_storage_admin", "storage")
        self._databases = (rest, auth, storage)
        self.rest = Rest(rest, self.signer, config.options)
        self.auth = Auth(auth, self.signer, config, self.mailbox)
        self.storage = Storage(storage, self.signer, config)
        self.control = control.Control(config.control_token, self.gauges, self.auth)
        self._gateway = Gateway(config)
        self._tasks: list[asyncio.Task[None]] = []
        self._routes = {
            "rest/v1": self.rest.handle, "auth/v1": self.auth.handle, "storage/v1": self.storage.handle,
        }  # fmt: skip

    async def start(self) -> None:
        """Connect, read the schema cache, begin watching."""
        for database in self._databases:
            async with database.connection():  # it must answer before we say READY
                pass
        await self.rest.load()
        background = (self.gauges.watch(), self.rest.follow(), self.storage.sweep())
        self._tasks = [asyncio.ensure_future(job) for job in background]

    async def stop(self) -> None:
        """Stop watching, disconnect."""
        for task in self._tasks:
            task.cancel()
        for database in self._databases:
            database.close()

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            # A WebSocket (Realtime) is refused before its handshake: see README, "What answers 501".
            return await send({"type": "websocket.close", "code": 1011})
        request = http.Request(scope, receive)
        self.gauges.request()
        self.gauges.in_flight += 1
        try:
            response = await self._answer(request)
            response.headers.update(cors(request))
            await http.respond(send, response, request.method == "HEAD")
        except http.ClientGone:
            log.info("%s %s: the client left", request.method, request.path)
        except control.Dropped:
            # A response that promises a body and ends without it makes the server close the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        finally:
            self.gauges.in_flight -= 1

    async def _answer(self, request: http.Request) -> http.Response:
        try:
            if sum(len(k) + len(v) for k, v in request.headers.items()) > MAX_HEADERS:
                return http.json_response({"message": "http.Request Header Fields Too Large"}, 431)
            early = await self.control.fault(request) or self._gateway.admit(request)
            if early is not None:
                return early
            if request.path.startswith("/__control/"):
                return await self.control.handle(request)
            handler = self._routes.get("/".join(request.path.split("/", 3)[1:3]))
            return await handler(request) if handler else unknown(request)
        except http.HttpError as error:
            return http.json_response(error.body, error.status, error.headers)
        except (http.ClientGone, control.Dropped):
            raise
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return http.json_response(FAILURE, 500)

    async def _lifespan(self, receive: http.Receive, send: http.Send) -> None:
        while True:
            message = await receive()
            if message["type"] != "lifespan.startup":
                await self.stop()
                return await send({"type": "lifespan.shutdown.complete"})
            try:
                await self.start()
            except Exception as error:
                log.exception("cannot start")
                return await send({"type": "lifespan.startup.failed", "message": str(error)})
            await send({"type": "lifespan.startup.complete"})
