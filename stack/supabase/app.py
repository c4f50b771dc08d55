"""The process's ASGI application: CORS, API keys, planned faults, then one of the three wires."""

from __future__ import annotations

import asyncio
import logging

from stack.supabase import http
from stack.supabase.auth.api import Auth
from stack.supabase.config import Config
from stack.supabase.control import Dropped, FaultControl
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
        secrets, size = config.secrets, config.options.pool_size
        few = max(size // 2, 2)
        self._gauges, self._mailbox, self._mail_port = Gauges(), Mailbox(), config.ports.mail
        rest = Database(secrets.dsn_authenticator, self._gauges, size)
        auth = Database(secrets.dsn_admin, self._gauges, few, "supabase_auth_admin", "auth")
        storage = Database(secrets.dsn_admin, self._gauges, few, "supabase_storage_admin", "storage")
        self._databases = (rest, auth, storage)
        signer = Signer(secrets.jwt_secret, config.signing_jwk)
        self._rest, self._storage = Rest(rest, signer, config.options), Storage(storage, signer, config)
        self._auth = Auth(auth, signer, config, self._mailbox)
        self._control = FaultControl(secrets.control_token, self._gauges, self._auth)
        self._gateway = Gateway(config)
        self._tasks: list[asyncio.Task[None]] = []
        self._routes = {
            "rest/v1": self._rest.handle, "auth/v1": self._auth.handle, "storage/v1": self._storage.handle,
            "login/oauth": self._auth.handle,  # the provider's page
        }  # fmt: skip

    async def start(self) -> None:
        """Connect, read the schema cache, begin watching."""
        for database in self._databases:
            async with database.connection():  # it must answer before we say READY
                pass
        await self._rest.load()
        background = (self._gauges.watch(), self._rest.follow(), self._storage.sweep())
        self._tasks = [asyncio.ensure_future(job) for job in background]

    def stop(self) -> None:
        """Stop watching, disconnect."""
        for task in self._tasks:
            task.cancel()
        for database in self._databases:
            database.close()

    async def __call__(self, scope: http.Scope, receive: http.Receive, send: http.Send) -> None:
        """Serve one HTTP request."""
        request = http.Request(scope, receive)
        self._gauges.request()
        self._gauges.in_flight += 1
        try:
            response = await self._answer(request)
            response.headers.update(cors(request))
            await http.respond(send, response, request.method == "HEAD")
        except http.ClientGone:
            log.info("%s %s: the client left", request.method, request.path)
        except Dropped:
            # A response that promises a body and ends without it makes the server close the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        finally:
            self._gauges.in_flight -= 1

    async def _answer(self, request: http.Request) -> http.Response:
        try:
            if sum(len(k) + len(v) for k, v in request.headers.items()) > MAX_HEADERS:
                return http.json_response({"message": "Request Header Fields Too Large"}, 431)
            if request.port == self._mail_port:
                return await self._mailbox.handle(request)
            early = await self._control.fault(request) or self._gateway.admit(request)
            if early is not None:
                return early
            if request.path.startswith("/__control/"):
                return await self._control.handle(request)
            handler = self._routes.get("/".join(request.path.split("/", 3)[1:3]))
            return await handler(request) if handler else unknown(request)
        except http.HttpError as error:
            return http.json_response(error.body, error.status, error.headers)
        except (http.ClientGone, Dropped):
            raise
        except Exception:
            log.exception("%s %s", request.method, request.path)
            return http.json_response(FAILURE, 500)
