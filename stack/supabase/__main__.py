"""``python -m stack.supabase CONFIG.json``: serve until SIGTERM; ``READY {…}`` on stdout once it answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn
import uvloop

from stack.supabase import config
from stack.supabase.app import App


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever started it."""

    def __init__(self, app: object, port: int, lifespan: str) -> None:
        super().__init__(uvicorn.Config(
            app, host="127.0.0.1", port=port, loop="none", http="httptools", ws="none", lifespan=lifespan,  # type: ignore[arg-type]
            access_log=False, log_level="warning", backlog=4096, timeout_keep_alive=75, timeout_graceful_shutdown=2,
            server_header=False, date_header=True, proxy_headers=False,
        ))  # fmt: skip

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(settings: config.Config) -> None:
    """Serve the gateway and, on its own port, the mailbox."""
    app = App(settings)
    servers = [_Server(app, settings.port, "on")]
    if settings.mail_port:
        servers.append(_Server(app.mailbox, settings.mail_port, "off"))

    def leave() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    tasks = [asyncio.ensure_future(server.serve()) for server in servers]
    while not all(server.started for server in servers):
        done, _ = await asyncio.wait(tasks, timeout=0.01, return_when=asyncio.FIRST_COMPLETED)
        if done:
            sys.exit("the gateway could not start: see the log above")
    print("READY " + json.dumps({"name": "supabase", "url": settings.url}), flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    form = "%(asctime)s %(name)s %(levelname)s %(message)s"
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=form)
    uvloop.run(serve(config.load(Path(sys.argv[1]))))
