"""``python -m stack.supabase CONFIG.json``: serve until SIGTERM; ``READY {…}`` on stdout once it answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from stack.supabase import config
from stack.supabase.app import App

BACKLOG = 4096


class _Server(uvicorn.Server):
    """Says READY once it listens, and leaves the process's signals to whoever started it."""

    def __init__(self, app: App, url: str) -> None:
        super().__init__(uvicorn.Config(
            app, loop="none", http="httptools", ws="none", lifespan="off", access_log=False, log_level="warning",
            backlog=BACKLOG, timeout_keep_alive=75, timeout_graceful_shutdown=2, server_header=False, proxy_headers=False,
        ))  # fmt: skip
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        print("READY " + json.dumps({"name": "supabase", "url": self._url}), flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: uvicorn would die of them in the end."""
        yield


async def serve(settings: config.Config) -> None:
    """Serve the gateway and, on its own port, the mailbox."""
    ports = filter(None, (settings.ports.supabase, settings.ports.mail))
    sockets: list[Any] = [socket.create_server(("127.0.0.1", port), backlog=BACKLOG) for port in ports]
    app = App(settings)
    server = _Server(app, settings.url)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
    await app.start()
    try:
        await server.serve(sockets)
    finally:
        app.stop()


if __name__ == "__main__":
    form = "%(asctime)s %(name)s %(levelname)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=form)
    logging.getLogger("python_multipart").setLevel(logging.WARNING)  # it tells of every file
    uvloop.run(serve(config.load(Path(sys.argv[1]))))
