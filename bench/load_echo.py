"""A WebSocket echo server for the benches, on picows and uvloop: python bench/load_echo.py PORT."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, ClassVar

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server


class Echo(WSListener):
    """Sends every message back; to `count` how many there were, to `sockets` how many are open."""

    count: ClassVar[list[int]] = [0]
    sockets: ClassVar[list[int]] = [0]

    def on_ws_connected(self, transport: WSTransport) -> None:
        """One more."""
        self.sockets[0] += 1

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """One fewer."""
        self.sockets[0] -= 1

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Answers in kind."""
        if frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        else:
            self.count[0] += 1
            payload = frame.get_payload_as_bytes()
            if payload == b"count":
                payload = str(self.count[0]).encode()
            elif payload == b"sockets":
                payload = str(self.sockets[0]).encode()
            transport.send(frame.msg_type, payload)


async def main(port: int) -> None:
    """Serves for ever."""

    def listener(request: WSUpgradeRequest) -> Any:
        return Echo()

    server = await ws_create_server(listener, "127.0.0.1", port, backlog=8192)
    print("READY", server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1])))
