"""The control address: HTTP on 127.0.0.1, for whoever has the token.

GET  /components                     every component's state, process id, since when, log
POST /components/NAME/stop|start|restart|kill     a planned outage or its end (kill is SIGKILL)
ANY  /faults/NAME[/...]              passed on to the component's own /__control/faults[/...]
GET  /events?since=N                 what happened after event N
GET  /stack                          phase and process id of the supervisor
POST /pin                            stay without a holder, until /down
POST /down                           end the stack
POST /release                        "I gave my lease back": {"ending": whether it was the last}
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from stack.supervisor.component import ComponentPaths
from stack.supervisor.errors import StackError
from stack.supervisor.events import Events
from stack.supervisor.ports import Ports
from stack.supervisor.process import ComponentProcess

ACTIONS = ("stop", "start", "restart", "kill")
FAULT_TIMEOUT_S = 10


class RequestRefused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Stack(Protocol):
    """What the control address asks of the supervisor."""

    token: str
    pinned: bool
    ports: Ports
    site: ComponentPaths
    events: Events
    processes: dict[str, ComponentProcess]
    ending: asyncio.Event

    async def act(self, name: str, action: str) -> dict[str, Any]:
        """Stops, starts, restarts or kills one component; describes it as it then is."""

    def lease_is_free(self) -> bool:
        """Whether nobody holds the stack."""


class ControlServer:
    """Serves the control address from a thread; all work is done in the supervisor's own loop."""

    def __init__(self, supervisor: Stack, loop: asyncio.AbstractEventLoop) -> None:
        self.supervisor = supervisor
        self.loop = loop
        control = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                try:
                    if not secrets.compare_digest(
                        self.headers.get("Authorization", "").encode(),
                        f"Bearer {control.supervisor.token}".encode(),
                    ):
                        raise RequestRefused(401, "The control token is missing or wrong.")
                    status, answer = control.answer(self.command, self.path, body)
                except RequestRefused as refused:
                    status, answer = refused.status, json.dumps({"error": str(refused)}).encode()
                except StackError as error:
                    status, answer = 500, json.dumps({"error": str(error)}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = handle_any

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: what matters is an event."""

        self._server = ThreadingHTTPServer(("127.0.0.1", supervisor.ports.numbers["control"]), Handler)
        self._server.daemon_threads = True

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _await(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """The status and JSON body of one request. Raises Refused."""
        url = urlsplit(target)
        parts = [part for part in url.path.split("/") if part]
        if parts[:1] == ["faults"] and len(parts) >= 2:
            return self._fault(method, parts[1], "/".join(parts[2:]), body)
        return 200, json.dumps(self._own(method, parts, parse_qs(url.query))).encode()

    def _own(self, method: str, parts: list[str], query: dict[str, list[str]]) -> Any:
        supervisor = self.supervisor
        match method, parts:
            case "GET", ["components"]:
                return {"components": [process.describe() for process in supervisor.processes.values()]}
            case "POST", ["components", name, action] if action in ACTIONS:
                self._known(name)
                return self._await(supervisor.act(name, action))
            case "GET", ["events"]:
                since = query.get("since", ["0"])[0]
                if not since.isdigit():
                    raise RequestRefused(400, f"since must be an event's number, not {since!r}.")
                return {"events": supervisor.events.since(int(since))}
            case "POST", ["pin"]:
                supervisor.pinned = True
                return {"pinned": True}
            case "POST", ["down"]:
                self.loop.call_soon_threadsafe(supervisor.ending.set)
                return {"ending": True}
            case "POST", ["release"]:
                return self._await(self._release())
        raise RequestRefused(404, f"The control address has no {method} /{'/'.join(parts)}.")

    async def _release(self) -> dict[str, bool]:
        if self.supervisor.lease_is_free():
            self.supervisor.ending.set()
        return {"ending": self.supervisor.ending.is_set()}

    def _known(self, name: str) -> None:
        if name not in self.supervisor.processes:
            raise RequestRefused(
                404, f"No component is named {name!r}; there are {', '.join(self.supervisor.processes)}."
            )

    def _fault(self, method: str, name: str, rest: str, body: bytes) -> tuple[int, bytes]:
        """Pass a fault on to the component it is meant for, and note it."""
        self._known(name)
        process = self.supervisor.processes[name]
        if process.state != "ready" or not process.component.ports:
            raise RequestRefused(409, f"{name} is {process.state}: it takes no faults now.")
        port = self.supervisor.site.ports[process.component.ports[0]]
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/__control/faults" + (f"/{rest}" if rest else ""),
            data=body if method != "GET" else None,
            method=method,
            headers={"Authorization": f"Bearer {self.supervisor.token}", "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=FAULT_TIMEOUT_S) as answer:
                status, payload = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError as error:
            raise RequestRefused(502, f"{name} did not take the fault: {error}.") from error
        if method != "GET":
            self.supervisor.events.add("fault.set", component=name, method=method, fault=_json(body))
        return status, payload or b"{}"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
