"""One HTTP/1.1 keep-alive connection.

llhttp (through httptools) does the parsing; this module knows when an answer is whole, and says in words why
one is not. A head that llhttp has already understood, byte for byte, is not parsed again: servers repeat
theirs for a second, until the Date changes. Where heads never repeat (request ids), that is given up.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterable

import httptools
from greenlet import getcurrent

from loadengine.net.reactor import READ, TIMED_OUT, WRITE, Reactor
from loadengine.net.tcp import CLOSED_EARLY, RECEIVE, Endpoint, NoAnswer, TcpConnection, cause_of

_now = time.monotonic_ns
_read, _write = os.read, os.write
MOST = 256 * 1024 * 1024
MOST_HEAD = 1024 * 1024
"""Bytes of an answer, and of its head, after which no end is waited for: a flood fills memory sooner than time."""
MOST_INTERIM = 100
"""Interim answers (1xx) before an answer; each costs the time of all other users."""
NOT_IN_TIME, WAITING = "no whole answer within the time-out", "waiting for the answer"


class Heads:
    """Heads of answers that llhttp has understood, by their bytes: status, length of the body, whether encoded.

    Only those whose body is delimited by its length and after which the connection stays open.
    """

    MOST = 512
    TOO_SOON = 2_000_000_000
    """Nanoseconds: heads that fill the table sooner do not repeat, and keeping them costs more than it saves."""

    def __init__(self) -> None:
        self.known: dict[bytes, tuple[int, int, bool]] = {}
        self._since = 0
        self._off = False
        self.last = b"\0"
        """The head that was met last, most often that of the next answer too; and what is known of it: …"""
        self.status, self.end, self.whole, self.encoded = 0, 0, -1, True

    def look_up(self, data: bytes) -> None:
        """Makes the head of `data` the last one; `whole` is then the length of the answer, -1 if unknown."""
        end = data.find(b"\r\n\r\n") + 4
        head = data[:end]
        found = self.known.get(head)
        if found is None:
            self.last, self.whole = b"\0", -1
        else:
            self.last, self.end = head, end
            self.status, size, self.encoded = found
            self.whole = end + size

    def learn(self, raw: bytes, status: int, size: int, encoded: bool) -> None:
        """Keeps the head of `raw`, a whole answer that came in one piece and says its body's length."""
        if self._off:
            return
        if not self.known:
            self._since = _now()
        elif len(self.known) >= self.MOST:
            self.known.clear()
            self._off = _now() - self._since < self.TOO_SOON
            return
        end = raw.find(b"\r\n\r\n") + 4
        if len(raw) == end + size:
            self.known[raw[:end]] = status, size, encoded


HEADS = Heads()


class HttpConnection(TcpConnection):
    """A socket, its parser, and at most one exchange at a time.

    `reusable` turns False once the server closed, asked to close, or broke the protocol.
    """

    __slots__ = (
        "_bodies", "_feed", "_finished", "_head_done", "_headless", "_interim", "_parser", "_raw",
        "_status", "done", "fresh",
    )  # fmt: skip

    def __init__(self, reactor: Reactor, endpoint: Endpoint, deadline: int) -> None:
        """Connects before `deadline` (monotonic ns). Raises NoAnswer."""
        super().__init__(reactor, endpoint, deadline)
        self.fresh = True
        """True until the first whole answer: before it, a cut connection is not a stale keep-alive."""
        self._headless = False
        self._new_parser()

    # -- one exchange ------------------------------------------------------------------------------------

    def exchange(
        self,
        head: bytes,
        deadline: int,
        body: Iterable[bytes | memoryview] | None = None,
        headless: bool = False,
    ) -> tuple[int, bytes, bytes, bool]:
        """Sends a request, waits for its whole answer: status, the head as received, body, whether it may be encoded.

        `headless` says that the answer has no body whatever its headers say (HEAD). `done` is then the time
        of the last byte. Raises NoAnswer; whatever is raised, being killed included, the connection closes.
        """
        reactor, fd = self.reactor, self.fd
        data: bytes | None = None
        try:
            reactor.handlers[fd] = getcurrent().switch
            reactor.deadlines[fd] = deadline
            if self.plain and body is None and not headless:
                head = head[_write(fd, head) :]
            if not head:
                if reactor.wait() == TIMED_OUT:
                    raise NoAnswer(NOT_IN_TIME)
                data = _read(fd, RECEIVE)
                if known := self._known(data):
                    return known
        except BlockingIOError:
            pass
        except OSError as error:
            self.close()
            raise NoAnswer(cause_of(error, WAITING)) from error
        except BaseException:
            self.close()
            raise
        return self._exchange(head, deadline, body, headless, data)

    def _exchange(
        self,
        head: bytes,
        deadline: int,
        body: Iterable[bytes | memoryview] | None,
        headless: bool,
        data: bytes | None,
    ) -> tuple[int, bytes, bytes, bool]:
        """Any exchange; `data` is the first piece of the answer, if it has come."""
        reactor, fd = self.reactor, self.fd
        wait, feed, receive, tls = reactor.wait, self._feed, self.receive, self.tls
        self._finished = self._head_done = False
        self._raw = b""
        self._bodies: list[bytes] = []
        self._headless = headless
        self._interim = pieces = received = 0
        try:
            if head:
                try:
                    sent = self.send(head)
                except BlockingIOError:
                    sent = 0
                if sent != len(head) or (tls is not None and tls.unsent):
                    self._write(memoryview(head)[sent:])
            if body is not None:
                for block in body:
                    if not self._write(memoryview(block)):
                        self.reusable = False  # answered before the body was sent
                        break
            while not self._finished:
                if data is None:
                    if (tls is None or not tls.more) and wait() == TIMED_OUT:
                        raise NoAnswer(NOT_IN_TIME)
                    try:
                        data = receive(RECEIVE)
                    except BlockingIOError:
                        continue
                if not data:
                    self._end_of_stream()
                    break
                pieces += 1
                received += len(data)
                if pieces == 1 and not headless and not self._raw and (known := self._known(data)):
                    return known
                if not self._head_done:
                    self._raw += data
                feed(data)
                if self._interim > MOST_INTERIM:
                    raise NoAnswer(f"over {MOST_INTERIM} interim answers (1xx) and no other")
                if received > RECEIVE:
                    self._bounded(received)
                data = None
            self.done = _now()
            reactor.deadlines[fd] = 0
            reactor.handlers[fd] = self.idle_handler
        except (OSError, ssl.SSLError, httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.close()
            raise NoAnswer(cause_of(error, WAITING)) from error
        except BaseException:
            self.close()
            raise
        self.fresh = False
        if not self.reusable:
            self.close()
        elif headless:
            self._new_parser()
        bodies = self._bodies
        whole = bodies[0] if len(bodies) == 1 else b"".join(bodies)
        raw = self._raw
        lower = raw[: raw.find(b"\r\n\r\n") + 4].lower()
        encoded = b"\r\ncontent-encoding:" in lower
        if pieces == 1 and not headless and self.reusable and b"\r\ncontent-length:" in lower:
            HEADS.learn(raw, self._status, len(whole), encoded)
        return self._status, raw, whole, encoded

    def _known(self, data: bytes) -> tuple[int, bytes, bytes, bool] | None:
        """The answer, if `data` is a whole one with a head met before and nothing else is to come."""
        done = _now()
        heads = HEADS
        if not data.startswith(heads.last):
            heads.look_up(data)
        if len(data) != heads.whole or not self.reusable or (self.tls is not None and self.tls.more):
            return None
        self.done = done
        self.reactor.deadlines[self.fd] = 0
        self.reactor.handlers[self.fd] = self.idle_handler
        self.fresh = False
        return heads.status, data, data[heads.end :], heads.encoded

    # -- what the parser tells ---------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Anything after the answer's end would be taken for the answer to the next request."""
        if self._finished:
            raise ValueError("bytes after the end of the answer")

    def on_headers_complete(self) -> None:
        """The head is whole; an answer to HEAD ends here."""
        self._head_done = True
        if self._headless and self._parser.get_status_code() >= 200:
            self.on_message_complete()

    def on_body(self, data: bytes) -> None:
        """A piece of the body, chunk framing removed."""
        self._bodies.append(data)

    def on_message_complete(self) -> None:
        """The answer is whole, unless it is an interim one (1xx), which is dropped."""
        self._status: int = self._parser.get_status_code()
        if self._status >= 200:
            self._finished = True
            if not self._parser.should_keep_alive():
                self.reusable = False
        else:
            self._interim += 1
            if self._interim <= MOST_INTERIM:
                self._head_done = False
                self._raw = self._raw.partition(b"\r\n\r\n")[2]

    def _bounded(self, received: int) -> None:
        """Raises NoAnswer where an answer has no end in sight."""
        if received > MOST:
            raise NoAnswer(f"the answer is over {MOST} bytes")
        if not self._head_done and len(self._raw) > MOST_HEAD:
            raise NoAnswer(f"the answer's head is over {MOST_HEAD} bytes")

    # -- the socket --------------------------------------------------------------------------------------

    def _new_parser(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data

    def _write(self, view: memoryview) -> bool:
        """Sends everything, waiting as the kernel demands; False when the answer came before that was done."""
        reactor, fd, tls = self.reactor, self.fd, self.tls
        waiting = False
        try:
            while view or (tls is not None and tls.unsent):
                if self._finished:
                    return False
                try:
                    view = view[self.send(view) :]
                    continue
                except BlockingIOError:
                    if not waiting:
                        waiting = True
                        reactor.change(fd, READ | WRITE)
                events = reactor.wait()
                if events == TIMED_OUT:
                    raise NoAnswer("the request could not be sent within the time-out")
                if events & ~WRITE:
                    self._take()
        finally:
            if waiting and self.fd >= 0:
                reactor.change(fd, READ)
        return not self._finished

    def _take(self) -> None:
        """Reads what has come, while still sending."""
        try:
            data = self.receive(RECEIVE)
        except BlockingIOError:
            return
        if not data:
            raise NoAnswer(CLOSED_EARLY)
        if not self._head_done:
            self._raw += data
        self._feed(data)
        self._bounded(0)

    def _end_of_stream(self) -> None:
        """The server closed: fine only for an answer that is delimited by closing."""
        self.reusable = False
        head = self._raw.lower()
        if not self._head_done or b"\r\ncontent-length:" in head or b"\r\ntransfer-encoding:" in head:
            raise NoAnswer(CLOSED_EARLY)
        self._status = self._parser.get_status_code()
