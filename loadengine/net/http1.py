"""A thin HTTP/1.1 client for load: requests are serialised once, answers parsed by llhttp, all recorded.

    POSTS = Measure("perf.database", kind="posts")

    class Reader(OpenUser):
        def on_start(self):
            self.http.headers["authorization"] = f"Bearer {token}"
            self.posts = self.http.prepare("GET", "/rest/v1/posts?limit=20", measure=POSTS)

        @task
        def read(self):
            self.http.fetch(self.posts, expect=twenty_posts)

`expect(response)` returns None when the answer is right, or says in a few words why it is wrong; it may
also raise. It runs before the sample is recorded, so the sample knows its outcome. Redirects are answers
like any other unless asked for. Each client keeps connections of its own, the last one used first.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from gevent import socket as gsocket
from greenlet import getcurrent
from locust.exception import StopUser

from core.errors import ConfigError
from loadengine.context import LoadContext
from loadengine.measure.measure import Measure
from loadengine.measure.recorder import CANCELLED, ERROR, OK, REFUSED, RETRIED, WRONG
from loadengine.net.connection import HttpConnection
from loadengine.net.response import Response
from loadengine.net.tcp import NoAnswer

Expect = Callable[[Response], str | None]

_now = time.monotonic_ns
_JOINED = 65536  # bodies up to here are sent together with the head
_CACHED = 1000  # requests that `get` and its like keep serialised
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class StreamedBody:
    """A body that is made while it is sent. `blocks()` is called anew for each attempt."""

    size: int
    blocks: Callable[[], Iterable[bytes | memoryview]]


@dataclass(slots=True)
class PreparedRequest:
    """A request ready to send: everything but its trace and body is already bytes."""

    method: str
    template: bytes
    series: int
    has_body: bool
    body: bytes | StreamedBody | None
    expect: Expect | None


class HttpClient:
    """One person's HTTP connections to one origin.

    `headers` go with every request; assigning to it later is noticed. Not for sharing between users.
    """

    def __init__(
        self,
        engine: LoadContext,
        base_url: str,
        *,
        source: str | None = None,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
        flags: int = 0,
    ) -> None:
        self._engine = engine
        self.base_url = base_url.rstrip("/")
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"{base_url!r} is no HTTP address; write it like https://host or http://host:port."
            )
        self._prefix = parts.path
        self._host = parts.netloc.rpartition("@")[2]
        self._endpoint = engine.endpoint(parts, source, tls)
        self._timeout = int(timeout * 1e9)
        self._flags = flags
        self._any_method = engine.permit.any_method
        self._idle: list[HttpConnection] = []
        self._prepared: dict[Any, PreparedRequest] = {}
        self.headers: dict[str, str] = _Headers(self._prepared.clear)

    # -- the hot path ------------------------------------------------------------------------------------

    def fetch(
        self, request: PreparedRequest, body: bytes | StreamedBody | None = None, expect: Expect | None = None
    ) -> Response:
        """Sends a prepared request, judges and records the answer, and returns it.

        Never raises for what the server does: see `Response.error`. Raises StopUser when the load is over.
        """
        engine = self._engine
        if engine.closing or not engine.allowance.take():
            raise StopUser
        runner = getcurrent()
        sent = _now()
        intended = getattr(runner, "intended", 0)
        if intended:
            runner.intended = 0
        else:
            intended = sent
        tracer = engine.tracer
        tracer.number = number = tracer.number + 1
        head = request.template % (number, number)
        stream = None
        if request.has_body:
            head, stream = _with_body(head, request.body if body is None else body)
        flags = self._flags
        idle = self._idle
        deadline = sent + self._timeout
        while True:
            connection = None
            try:
                connection = idle.pop() if idle else HttpConnection(engine.reactor, self._endpoint, deadline)
                if not connection.reusable:
                    continue
                answer = connection.exchange(head, deadline, stream, request.method == "HEAD")
            except NoAnswer as error:
                if connection is None or connection.fresh or request.method not in _SAFE or flags & RETRIED:
                    return self._unanswered(request, str(error), flags, intended, sent, number)
                flags |= RETRIED  # a kept connection that the server had given up
                continue
            except BaseException:
                engine.recorder.record(request.series, CANCELLED, flags, intended, sent, _now())
                raise
            break
        done = connection.done
        if connection.reusable:
            idle.append(connection)
        response = Response.of(answer, intended, sent, done, number)
        recorder, number_of = engine.recorder, request.series
        recorder.series[number_of].size += len(response.body)
        engine.allowance.bytes += len(response.body)
        check = expect or request.expect
        if check is None and response.status < 400:
            recorder.record(number_of, OK, flags, intended, sent, done)
        else:
            outcome, cause = judge(response, check)
            if outcome == OK:
                recorder.record(number_of, OK, flags, intended, sent, done)
            else:
                recorder.failed(number_of, outcome, flags, intended, sent, done, cause)
                response.error = cause
        if done - intended > tracer.floor:
            tracer.slow(done - intended, number, number_of, intended)
        return response

    # -- the convenient way ------------------------------------------------------------------------------

    def prepare(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | StreamedBody | None = None,
        has_body: bool | None = None,
        measure: Measure | None = None,
        name: str | None = None,
        expect: Expect | None = None,
    ) -> PreparedRequest:
        """Serialises a request once. `name` groups paths that differ in an id; `measure` names a metric.

        Raises PermitError for a request that writes where the target permits reading alone.
        """
        if not path.startswith("/"):
            raise ConfigError(f"a request's path starts with a slash, unlike {path!r}.")
        if not self._any_method:
            self._engine.permit.demand_method(method, self._prefix + path)
        with_body = (
            has_body if has_body is not None else body is not None or method in ("POST", "PUT", "PATCH")
        )
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"host: {self._host}"]
        merged = {k.lower(): v for k, v in self.headers.items()} | {
            k.lower(): v for k, v in (headers or {}).items()
        }
        merged.setdefault("accept", "*/*")
        for key, value in merged.items():
            if "\r" in value or "\n" in value or "\r" in key or "\n" in key:
                raise ConfigError(f"the header {key} holds a line break.")
            lines.append(f"{key}: {value}")
        head = ("\r\n".join(lines) + "\r\n").encode("latin-1").replace(b"%", b"%%")
        template = head + self._engine.tracer.lines + (b"" if with_body else b"\r\n")
        chosen = measure or Measure("http", name=name or path.partition("?")[0], method=method)
        series = self._engine.recorder.new_series(chosen.metric, **chosen.labels).number
        return PreparedRequest(method, template, series, with_body, body, expect)

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | StreamedBody | None = None,
        name: str | None = None,
        measure: Measure | None = None,
        expect: Expect | None = None,
        redirects: int = 0,
    ) -> Response:
        """Prepares and sends in one call; follows up to `redirects` redirects within the origin, each recorded."""
        key = (method, path, name, measure, body is None)
        request = None if headers else self._prepared.get(key)
        if request is None:
            request = self.prepare(
                method, path, headers=headers, has_body=body is not None, name=name, measure=measure
            )
            if not headers and len(self._prepared) < _CACHED:
                self._prepared[key] = request
        response = self.fetch(request, body, None if redirects else expect)
        for left in range(redirects, 0, -1):
            if response.status not in (301, 302, 303, 307, 308) or "location" not in response.headers:
                break
            target = urlsplit(urljoin(self.base_url + path, response.headers["location"]))
            if target.netloc != urlsplit(self.base_url).netloc:
                break
            if response.status == 303 or (response.status in (301, 302) and method == "POST"):
                method, body = "GET", None
            path = (target.path or "/") + (f"?{target.query}" if target.query else "")
            response = self.request(
                method, path, headers=headers, body=body, name=name, measure=measure,
                expect=None if left > 1 else expect,
            )  # fmt: skip
        return response

    def get(self, path: str, **options: Any) -> Response:
        """GET; options as for `request`."""
        return self.request("GET", path, **options)

    def post(self, path: str, body: bytes | StreamedBody = b"", **options: Any) -> Response:
        """POST; options as for `request`."""
        return self.request("POST", path, body=body, **options)

    def put(self, path: str, body: bytes | StreamedBody = b"", **options: Any) -> Response:
        """PUT; options as for `request`."""
        return self.request("PUT", path, body=body, **options)

    def patch(self, path: str, body: bytes | StreamedBody = b"", **options: Any) -> Response:
        """PATCH; options as for `request`."""
        return self.request("PATCH", path, body=body, **options)

    def delete(self, path: str, **options: Any) -> Response:
        """DELETE; options as for `request`."""
        return self.request("DELETE", path, **options)

    def close(self) -> None:
        """Closes idle connections; those in use close when their exchange ends."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _unanswered(
        self, request: PreparedRequest, cause: str, flags: int, intended: int, sent: int, number: int
    ) -> Response:
        done = _now()
        self._engine.recorder.failed(request.series, ERROR, flags, intended, sent, done, cause)
        tracer = self._engine.tracer
        if done - intended > tracer.floor:
            tracer.slow(done - intended, number, request.series, intended)
        response = Response(0, b"", b"", intended, sent, done, number)
        response.error = cause
        return response


class _Headers(dict[str, str]):
    """A client's headers; a change makes cached requests stale."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    def __setitem__(self, name: str, value: str) -> None:
        super().__setitem__(name, value)
        self._changed()

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._changed()


def judge(response: Response, expect: Expect | None) -> tuple[int, str]:
    """The outcome of an answer, and the cause if it is not right."""
    status = response.status
    if status == 429:
        return REFUSED, "answered 429"
    if status >= 500:
        return ERROR, f"answered {status}"
    if expect is None:
        return (OK, "") if status < 400 else (WRONG, f"answered {status}")
    try:
        cause = expect(response)
    except Exception as error:
        cause = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:200]
    return (OK, "") if cause is None else (WRONG, cause)


def split_lines(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Header lines as pairs of name and value."""
    pairs = (line.partition(b": ") for line in lines.split(b"\r\n") if line)
    return [(name, value) for name, _, value in pairs]


def _with_body(
    head: bytes, body: bytes | StreamedBody | None
) -> tuple[bytes, Iterable[bytes | memoryview] | None]:
    if isinstance(body, StreamedBody):
        return head + b"content-length: %d\r\n\r\n" % body.size, body.blocks()
    body = body or b""
    head += b"content-length: %d\r\n\r\n" % len(body)
    return (head + body, None) if len(body) <= _JOINED else (head, (body,))


def resolve(host: str, port: int) -> tuple[int, tuple[Any, ...]]:
    """Address family and address of a host, by gevent's resolver. Raises ConfigError."""
    try:
        family, _, _, _, address = gsocket.getaddrinfo(host, port, type=gsocket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(f"the host {host} cannot be resolved ({error}); check the address.") from None
    return family, address
