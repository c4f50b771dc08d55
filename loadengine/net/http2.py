"""HTTP/2 on the kept library h2: one connection a person, their requests multiplexed on it.

For targets that speak nothing else, and to see what multiplexing changes. h2 is pure Python: about a fifth
of the HTTP/1.1 client's rate per CPU-second, so use that one unless HTTP/2 is the point. https addresses
negotiate it by ALPN; http addresses are spoken to with prior knowledge.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from gevent.lock import BoundedSemaphore
from greenlet import getcurrent
from locust.exception import StopUser

from core.errors import ConfigError
from loadengine.measure.recorder import CANCELLED, ERROR, OK
from loadengine.net.http1 import Expect, Measure, judge, split_lines
from loadengine.net.reactor import TIMED_OUT, WRITE, Handler
from loadengine.net.response import Response
from loadengine.net.send_buffer import TalkingWire
from loadengine.net.tcp import CLOSED_EARLY, RECEIVE, Endpoint, NoAnswer, cause_of

if TYPE_CHECKING:
    from loadengine.runtime import Engine

_now = time.monotonic_ns
_WINDOW = 2**24


class _Stream:
    """One request under way."""

    __slots__ = ("body", "deadline", "done", "error", "head", "left", "pieces", "status", "wake")

    def __init__(self, wake: Handler, left: memoryview, deadline: int) -> None:
        self.wake = wake
        self.left = left
        self.deadline = deadline
        self.status = 0
        self.head: list[bytes] = []
        self.pieces: list[bytes] = []
        self.done = 0
        self.error: str | None = None


class _Connection(TalkingWire):
    """An HTTP/2 connection; its handler runs in the hub and wakes whoever's answer is whole."""

    __slots__ = ("_h2", "streams")

    def __init__(self, engine: Engine, endpoint: Endpoint, deadline: int) -> None:
        super().__init__(engine.reactor, endpoint, deadline)
        self.unsent = b""
        self.streams: dict[int, _Stream] = {}
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(_WINDOW)
        self.reactor.handlers[self.fd] = self._ready
        self._flush()

    def begin(self, headers: list[tuple[bytes, bytes]], body: bytes, stream: _Stream) -> int:
        """Sends a request; its stream is woken when the answer ended. Raises NoAnswer."""
        try:
            number = self._h2.get_next_available_stream_id()
            self.streams[number] = stream
            self._h2.send_headers(number, headers, end_stream=not body)
            self._push(number, stream)
            self._flush()
        except (OSError, h2.exceptions.ProtocolError) as error:
            self.end(cause_of(error, "sending"))
            raise NoAnswer(cause_of(error, "sending")) from error
        return number

    def give_up(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        if self.streams.pop(number, None) is not None and self.reusable:
            try:
                self._h2.reset_stream(number)
                self._flush()
            except (OSError, h2.exceptions.ProtocolError) as error:
                self.end(cause_of(error, "sending"))

    def end(self, cause: str) -> None:
        """The connection is over; everyone who waits hears why."""
        self.close()
        waiting, self.streams = list(self.streams.values()), {}
        for stream in waiting:
            stream.error = cause
            self.reactor.hub.loop.run_callback(stream.wake, 0)

    def _ready(self, events: int) -> None:
        try:
            if events & WRITE:
                self.writable()
            more = True
            while more and self.fd >= 0:
                try:
                    data = self.receive(RECEIVE)
                except BlockingIOError:
                    break
                if not data:
                    self.end(CLOSED_EARLY)
                    return
                finished = [stream for event in self._h2.receive_data(data) if (stream := self._take(event))]
                self._flush()
                for stream in finished:
                    stream.wake(0)
                more = self.tls is not None and self.tls.more
        except (OSError, h2.exceptions.ProtocolError) as error:
            self.end(cause_of(error, "reading"))

    def _take(self, event: h2.events.Event) -> _Stream | None:
        """Digests one event; returns the stream that it finished, if any."""
        if isinstance(event, h2.events.ConnectionTerminated):
            self.reusable = False
            return None
        number = getattr(event, "stream_id", 0) or 0
        if isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            for each, waiting in list(self.streams.items()):
                self._push(each, waiting)
            return None
        if isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
        stream = self.streams.get(number)
        if stream is None:
            return None
        match event:
            case h2.events.ResponseReceived():
                for name, value in event.headers or ():
                    if name == b":status":
                        stream.status = int(value)
                    else:
                        stream.head.append(bytes(name) + b": " + bytes(value))
            case h2.events.DataReceived():
                stream.pieces.append(event.data or b"")
            case h2.events.StreamReset():
                stream.error = f"the server reset the stream (code {event.error_code})"
            case h2.events.StreamEnded():
                pass
            case _:
                return None
        if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            stream.done = _now()
            return self.streams.pop(number)
        return None

    def _push(self, number: int, stream: _Stream) -> None:
        """Sends as much of a body as the windows allow."""
        while stream.left:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            block, stream.left = stream.left[:room], stream.left[room:]
            self._h2.send_data(number, bytes(block), end_stream=not stream.left)

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self.write(data)


class Http2Client:
    """One person's HTTP/2 connection to one origin; `headers` go with every request."""

    def __init__(
        self,
        engine: Engine,
        base_url: str,
        *,
        source: str | None = None,
        timeout: float = 30.0,
        cafile: str | None = None,
    ) -> None:
        self._engine = engine
        parts = urlsplit(base_url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{base_url!r} is no HTTP address; write it like https://host.")
        context = None
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=cafile)
            context.set_alpn_protocols(["h2"])
        self._endpoint = engine.endpoint(parts, source, context)
        self._scheme, self._authority = parts.scheme, parts.netloc.rpartition("@")[2]
        self._timeout = int(timeout * 1e9)
        self._connection: _Connection | None = None
        self._connecting = BoundedSemaphore(1)
        self.headers: dict[str, str] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        name: str | None = None,
        measure: Measure | None = None,
        expect: Expect | None = None,
    ) -> Response:
        """Sends one request, judges and records the answer; as `HttpClient.request`."""
        engine = self._engine
        if engine.closing:
            raise StopUser
        chosen = measure or Measure("http", name=name or path.partition("?")[0], method=method)
        series = engine.recorder.new_series(chosen.metric, **chosen.labels)
        lane = getcurrent()
        sent = _now()
        intended = getattr(lane, "intended", 0) or sent
        if intended != sent:
            lane.intended = 0
        engine.tracer.number = number = engine.tracer.number + 1
        try:
            stream = self._exchange(
                self._head(method, path, headers, number), body or b"", sent + self._timeout
            )
        except NoAnswer as error:
            done = _now()
            engine.recorder.failed(series.number, ERROR, 0, intended, sent, done, str(error))
            response = Response(0, b"", b"", intended, sent, done, number)
            response.error = str(error)
            return response
        except BaseException:
            engine.recorder.record(series.number, CANCELLED, 0, intended, sent, _now())
            raise
        raw = b"\r\n".join([b"HTTP/2 %d" % stream.status, *stream.head, b"", b""])
        response = Response(stream.status, raw, b"".join(stream.pieces), intended, sent, stream.done, number)
        series.size += len(response.body)
        outcome, cause = judge(response, expect)
        if outcome == OK:
            engine.recorder.record(series.number, OK, 0, intended, sent, stream.done)
        else:
            engine.recorder.failed(series.number, outcome, 0, intended, sent, stream.done, cause)
            response.error = cause
        if stream.done - intended > engine.tracer.floor:
            engine.tracer.slow(stream.done - intended, number, series.number, intended)
        return response

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.end("closed by the user")
            self._connection = None

    def _head(
        self, method: str, path: str, headers: Mapping[str, str] | None, number: int
    ) -> list[tuple[bytes, bytes]]:
        fixed = {":method": method, ":path": path, ":scheme": self._scheme, ":authority": self._authority}
        merged = {k.lower(): v for k, v in self.headers.items()} | {
            k.lower(): v for k, v in (headers or {}).items()
        }
        traced = split_lines(self._engine.tracer.lines % (number, number))
        return [(k.encode(), v.encode("latin-1")) for k, v in (fixed | merged).items()] + traced

    def _exchange(self, head: list[tuple[bytes, bytes]], body: bytes, deadline: int) -> _Stream:
        reactor = self._engine.reactor
        with self._connecting:  # whoever comes while another connects shares that connection
            if self._connection is None or not self._connection.reusable:
                self._connection = _Connection(self._engine, self._endpoint, deadline)
            connection = self._connection
        stream = _Stream(getcurrent().switch, memoryview(body), deadline)
        number = connection.begin(head, body, stream)
        timer = reactor.hub.loop.timer(max((deadline - _now()) / 1e9, 0.001))
        timer.start(stream.wake, TIMED_OUT)
        self._engine.streams.add(stream)
        try:
            while not stream.done and stream.error is None:
                if reactor.wait() == TIMED_OUT:
                    raise NoAnswer("no whole answer within the time-out")
        finally:
            self._engine.streams.discard(stream)
            timer.stop()
            timer.close()
            connection.give_up(number)
        if stream.error is not None:
            raise NoAnswer(stream.error)
        return stream
