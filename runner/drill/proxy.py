"""An HTTP and WebSocket proxy between two parts: what no rule is for goes through unchanged, as it streams.

One thread with an event loop serves all proxies of a drill. A proxy stands at a part's public address and asks the part at
another one, so nobody's configuration changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import Any, TypeVar
from urllib.parse import SplitResult

import h11

from runner.drill import frames
from runner.drill.catalogue import Proxy
from runner.drill.rules import Answer, Asked, Rules

CHUNK = 256 * 1024
KEPT = 32 * 1024 * 1024
"""The largest body that a rule looks into; a longer one is refused, since it would be held whole."""
HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade"}
T = TypeVar("T")


class Wire:
    """One side of a connection: bytes of a socket, events of h11."""

    def __init__(self, role: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.h11 = h11.Connection(role, max_incomplete_event_size=256 * 1024)
        self.reader, self.writer = reader, writer

    async def next(self) -> Any:
        """The next event. Raises h11.RemoteProtocolError for nonsense, ConnectionError for an end in between."""
        while (event := self.h11.next_event()) is h11.NEED_DATA:
            self.h11.receive_data(await self.reader.read(CHUNK))
        return event

    async def send(self, event: Any) -> None:
        """Writes an event, and waits until the other side has room."""
        if data := self.h11.send(event):
            self.writer.write(data)
            await self.writer.drain()

    async def body(self) -> AsyncIterator[bytes]:
        """The parts of the message's body."""
        while True:
            event = await self.next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise ConnectionError("the other side ended in the middle of a message")

    def close(self, *, hard: bool = False) -> None:
        """Ends the connection; `hard` with a reset."""
        with contextlib.suppress(OSError):
            self.writer.transport.abort() if hard else self.writer.close()


async def _one(data: bytes) -> AsyncIterator[bytes]:
    if data:
        yield data


class Server:
    """One proxy. `rules` may be changed at any time."""

    def __init__(self, listen: socket.socket, to: SplitResult) -> None:
        self.rules = Rules([])
        self._listen = listen
        self._to = to
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens from now on."""
        self._server = await asyncio.start_server(self._serve, sock=self._listen, limit=CHUNK)

    async def stop(self) -> None:
        """Listens no more; what is under way ends with its client."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Wire(h11.SERVER, reader, writer)
        try:
            while await self._exchange(client):
                client.h11.start_next_cycle()
        except (OSError, h11.ProtocolError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            client.close(hard=client.h11.our_state is h11.SEND_BODY)
        else:
            client.close()

    async def _open(self) -> Wire:
        secure = ssl.create_default_context() if self._to.scheme in ("https", "wss") else None
        port = self._to.port or (443 if secure else 80)
        reader, writer = await asyncio.open_connection(self._to.hostname, port, ssl=secure, limit=CHUNK)
        return Wire(h11.CLIENT, reader, writer)

    async def _exchange(self, client: Wire) -> bool:
        """One request and its answer. Returns whether the connection serves another."""
        request = await client.next()
        if not isinstance(request, h11.Request):
            return False
        asked = Asked(request.method.decode(), request.target.decode("latin-1"), [*request.headers])
        if self._to.port is None or self._to.hostname not in ("127.0.0.1", "localhost"):
            asked.set("host", self._to.netloc)
        if asked.get("upgrade").lower() == "websocket":
            await self._websocket(client, asked)
            return False
        if client.h11.they_are_waiting_for_100_continue:
            await client.send(h11.InformationalResponse(status_code=100, headers=[]))
        rules = self.rules.of(asked)
        if any(
            rule.match.body or rule.request or rule.mock or (rule.answer and rule.answer.stale)
            for rule in rules
        ):
            asked.body = await _whole(client.body())
            rules = [rule for rule in rules if self.rules.counts(rule, asked)]
            source: AsyncIterator[bytes] = _one(asked.body)
        else:
            rules = [rule for rule in rules if self.rules.counts(rule, asked)]
            source = client.body()
        if lost := [rule for rule in rules if rule.request and rule.request.lose]:
            self.rules.did(lost[0])
            client.close(hard=True)
            return False
        if kept := next((a for rule in rules if (a := self.rules.instead(rule, asked))), None):
            async for _ in source:
                pass
            return await self._give(client, asked, kept, _one(kept.body), False)
        for rule in rules:
            if rule.request:
                await asyncio.sleep(rule.request.delay / 1000)
                if asked.change(rule.request):
                    self.rules.did(rule)
                source = _one(asked.body)
        if any(rule.request and rule.request.twice for rule in rules):
            await _drained(await self._ask(await self._open(), asked, _one(asked.body)))
        upstream = await self._open()
        try:
            return await self._forward(client, upstream, asked, source, rules)
        finally:
            upstream.close()

    async def _ask(self, upstream: Wire, asked: Asked, source: AsyncIterator[bytes]) -> Wire:
        kept = [(n, v) for n, v in asked.headers if n.lower() not in HOP and n.lower() != b"expect"]
        await upstream.send(
            h11.Request(
                method=asked.method,
                target=asked.target.encode("latin-1"),
                headers=[*kept, (b"connection", b"close")],
            )
        )
        async for part in source:
            await upstream.send(h11.Data(data=part))
        await upstream.send(h11.EndOfMessage())
        return upstream

    async def _forward(
        self, client: Wire, upstream: Wire, asked: Asked, source: AsyncIterator[bytes], rules: list[Proxy]
    ) -> bool:
        """Sends the request on and the answer back, both as they come: an answer may precede the request's end."""
        sending = asyncio.create_task(self._ask(upstream, asked, source))
        try:
            while isinstance(response := await upstream.next(), h11.InformationalResponse):
                pass
            if not isinstance(response, h11.Response):
                raise ConnectionError("no answer")
            answer = Answer(response.status_code, [*response.headers])
            applied = [r for r in rules if r.answer and self.rules.matches_answer(r, answer)]
            body = upstream.body()
            broken = False
            if applied:
                answer.body = await _whole(body)
                for rule in applied:
                    assert rule.answer is not None
                    await asyncio.sleep(rule.answer.delay / 1000)
                    if answer.change(rule.answer) and not rule.answer.stale:
                        self.rules.did(rule)
                    broken |= rule.answer.broken
                    self.rules.keep(rule, asked, answer)
                body = _one(answer.body)
                answer.length(None if asked.method == "HEAD" else len(answer.body))
            again = await self._give(client, asked, answer, body, broken)
            ended = sending.done() and client.h11.their_state is h11.DONE
            return again and ended
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError, h11.ProtocolError):
                await sending

    async def _give(
        self, client: Wire, asked: Asked, answer: Answer, body: AsyncIterator[bytes], broken: bool
    ) -> bool:
        headers = [(n, v) for n, v in answer.headers if n.lower() not in HOP]
        await client.send(h11.Response(status_code=answer.status, headers=headers))
        sent = 0
        half = max(1, len(answer.body) // 2)
        async for part in body:
            if broken and sent + len(part) >= half:
                await client.send(h11.Data(data=part[: max(0, half - sent)]))
                client.close(hard=True)
                return False
            if asked.method != "HEAD":
                await client.send(h11.Data(data=part))
            sent += len(part)
        await client.send(h11.EndOfMessage())
        return client.h11.our_state is h11.DONE

    async def _websocket(self, client: Wire, asked: Asked) -> None:
        rules = [rule for rule in self.rules.of(asked) if self.rules.counts(rule, asked)]
        for rule in rules:
            if rule.request and asked.change(rule.request):
                self.rules.did(rule)
        changing = [(rule.frames, partial(self.rules.did, rule)) for rule in rules if rule.frames]
        if changing:
            asked.remove("sec-websocket-extensions")  # what is compressed could not be looked into
        if made := next((a for rule in rules if (a := self.rules.instead(rule, asked))), None):
            await self._give(client, asked, made, _one(made.body), False)
            return
        upstream = await self._open()
        try:
            upstream.writer.write(asked.raw())
            head = await upstream.reader.readuntil(b"\r\n\r\n")
            client.writer.write(head)
            if not head.startswith(b"HTTP/1.1 101"):
                await _copy(upstream.reader, client.writer)
                return
            early, _ = client.h11.trailing_data
            upstream.writer.write(early)
            await frames.relay((client.reader, client.writer), (upstream.reader, upstream.writer), changing)
        finally:
            upstream.close()


async def _whole(parts: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > KEPT:
            raise ValueError("a body is too long for a rule that looks into it")
    return bytes(body)


async def _drained(upstream: Wire) -> None:
    while not isinstance(await upstream.next(), h11.EndOfMessage | h11.ConnectionClosed):
        pass
    upstream.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(CHUNK):
        writer.write(part)
        await writer.drain()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Proxies:
    """All proxies of a drill, by name, on a thread of their own."""

    def __init__(self) -> None:
        self._servers: dict[str, Server] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def __contains__(self, name: str) -> bool:
        return name in self._servers

    def add(self, name: str, to: SplitResult, port: int = 0) -> int:
        """A proxy before an address, at `port` of this machine or any. Returns its port."""
        listen = socket.socket()
        listen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listen.bind(("127.0.0.1", port))
        listen.listen(512)
        server = self._servers[name] = Server(listen, to)
        self._do(server.start())
        return int(listen.getsockname()[1])

    def rule(self, plants: list[Proxy]) -> None:
        """These rules from now on, and no others."""
        for name, server in self._servers.items():
            server.rules = Rules([plant for plant in plants if plant.proxy == name])

    def idle(self) -> list[Proxy]:
        """The rules that changed nothing so far."""
        return [plant for server in self._servers.values() for plant in server.rules.idle()]

    def close(self) -> None:
        """Ends all proxies."""
        for server in self._servers.values():
            self._do(server.stop())
        self._do(_cancel_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
