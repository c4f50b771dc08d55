"""Serving one ASGI application on loopback as a component of the stack."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to send this process SIGTERM when its parent dies; a no-op where that is not known."""
    with_parent = getattr(ctypes.CDLL(None), "prctl", None)
    if with_parent is not None:
        with_parent(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server(uvicorn.Server):
    """Uvicorn that says READY on stdout once it listens."""

    def __init__(self, config: uvicorn.Config, announcement: dict[str, Any]) -> None:
        super().__init__(config)
        self._announcement = announcement

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End gracefully on SIGTERM and SIGINT, with exit code 0: uvicorn itself would die by the signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then announce it."""
        await super().startup(sockets)
        if self.started:
            print("READY " + json.dumps(self._announcement), flush=True)


def serve(app: Any, name: str, port: int) -> None:
    """Serve `app` on 127.0.0.1:`port` until SIGTERM or SIGINT; connections get one second to end."""
    die_with_parent()
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=65,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
    )
    server = Server(config, {"name": name, "url": f"http://127.0.0.1:{port}", "pid": os.getpid()})
    server.run()
