"""No answer is waited for without end, however it drips, and none unpacks without end."""

import contextlib
import gzip
import socket
import threading
import zlib

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
import zstandard

from clients import http, pages
from clients.http import GuardedTransport
from clients.http_port import HttpPort
from clients.s3 import S3
from clients.services import auth, builder, database, kv, storage
from core.errors import ServiceError
from core.permit import EVERYTHING, Permit, host_of
from core.secret import Secret

HEAD = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: "x"\r\nContent-Length: 100000\r\n\r\n'
INFORM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


class Server:
    """Answers every request by what `answer(connection, over)` sends."""

    def __init__(self, answer):
        self._answer, self.over, self.asked = answer, threading.Event(), 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            self.asked += 1
            self._answer(connection, self.over)

    def close(self):
        self.over.set()
        self._listener.close()


@pytest.fixture
def serving():
    servers = []

    def make(answer):
        servers.append(Server(answer))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def dripping(start, drop):
    """Sends `start`, then `drop` for as long as anybody reads."""

    def answer(connection, over):
        connection.sendall(start)
        while not over.wait(0.05):
            connection.sendall(drop)

    return answer


def permit(server):
    return Permit(EVERYTHING, frozenset({host_of(server.url)}))


@pytest.mark.parametrize(
    ("start", "drop"), [(HEAD, b" "), (HEAD[:17], b"X-More: 1\r\n"), (b"H", b""), (INFORM, INFORM)]
)
def test_an_answer_that_drips_ends(serving, monkeypatch, start, drop):
    monkeypatch.setattr(http, "TOTAL", 0.5)
    server = serving(dripping(start, drop))
    port = HttpPort("kv", permit(server), base=server.url)
    with pytest.raises(ServiceError, match=r"^kv: GET .*(within|cut after|in its time)"):
        port.request("GET", "/keys")
    port.close()


@pytest.mark.parametrize("ask", [lambda s3: s3.get("x"), lambda s3: s3.keys("x")])
@pytest.mark.parametrize(
    ("start", "drop"), [(HEAD, b" "), (HEAD[:17], b"X-More: 1\r\n"), (b"H", b""), (INFORM, INFORM)]
)
def test_an_s3_answer_that_drips_ends(serving, monkeypatch, start, drop, ask):
    monkeypatch.setattr(http, "TOTAL", 0.5)
    server = serving(dripping(start, drop))
    s3 = S3("r2", server.url, Secret("key-of-nobody"), Secret("secret-of-nobody"), "bucket", permit(server))
    with pytest.raises(ServiceError, match=r"^r2: GET .*(in its time|within 0.5 s|cut after|gave no answer)"):
        ask(s3)
    s3.close()


def bomb(pack, coding=b"gzip"):
    packed = pack(b" " * 30_000_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n"
    return lambda connection, over: connection.sendall(head % (coding, len(packed)) + packed)


def bare(data):
    """Deflate without zlib's head, which some servers send and httpx reads (RFC 9110, 8.4.1.2)."""
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(data) + packing.flush()


CODINGS = [
    (gzip.compress, b"gzip"),
    (zlib.compress, b"deflate"),
    (bare, b"deflate"),
    (gzip.compress, b"GZIP , identity"),
]


@pytest.mark.parametrize(("pack", "coding"), CODINGS)
def test_a_bomb_is_cut_while_it_unpacks(serving, pack, coding):
    server = serving(bomb(pack, coding))
    with (
        http.httpx.Client(transport=http.GuardedTransport("kv", permit(server), largest=1_000_000)) as client,
        pytest.raises(ServiceError, match="unpacks to over 1000000 bytes"),
    ):
        client.get(server.url)


@pytest.mark.parametrize(("pack", "coding"), CODINGS[:3])
def test_what_unpacks_to_its_limit_is_read(serving, pack, coding):
    server = serving(bomb(pack, coding))
    port = HttpPort("kv", permit(server), base=server.url)
    assert len(port.request("GET", "/").content) == 30_000_000
    port.close()


@pytest.mark.parametrize(
    ("pack", "coding"),
    [
        (lambda data: brotli.compress(data, quality=1), b"br"),
        (lambda data: zstandard.compress(data, 1), b"zstd"),
        (lambda data: gzip.compress(gzip.compress(data)), b"gzip, gzip"),
        (lambda data: data[:100], b"snappy"),
        (gzip.compress, b"x-gzip"),
    ],
)
def test_a_coding_that_nobody_asked_for_is_no_answer(serving, pack, coding):
    server = serving(bomb(pack, coding))
    port = HttpPort("kv", permit(server), base=server.url)
    with pytest.raises(
        ServiceError, match=rf"^kv: GET .* in the coding '{coding.decode()}', for which nobody asked"
    ):
        port.request("GET", "/")
    port.close()


def test_an_objects_own_coding_is_a_note_of_its_owners(serving):
    """S3 gives bytes back as they were put, whatever Content-Encoding was noted of them."""
    server = serving(bomb(lambda data: b"kept as it is", b"br"))
    s3 = S3("r2", server.url, Secret("key-of-nobody"), Secret("secret-of-nobody"), "bucket", permit(server))
    assert s3.get("x") == b"kept as it is"
    s3.close()


def test_an_answer_cut_at_any_byte_is_no_answer(serving):
    """Each cut of a small answer, by HTTP and by S3: an error with the service's name, never a part taken for the whole."""
    body = b"<ListBucketResult/>"
    whole = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    length = [0]
    server = serving(lambda connection, over: connection.sendall(whole[: length[0]]))
    port = HttpPort("kv", permit(server), base=server.url)
    s3 = S3("r2", server.url, Secret("key-of-nobody"), Secret("secret-of-nobody"), "bucket", permit(server))
    for length[0] in range(len(whole)):
        with pytest.raises(ServiceError, match=r"^kv: "):
            port.request("GET", "/")
        for ask in (s3.get, s3.keys):
            with pytest.raises(ServiceError, match=r"^r2: "):
                ask("x")
    length[0] = len(whole)
    assert port.request("GET", "/").content == s3.get("x") == body
    assert s3.keys("x") == []
    port.close()
    s3.close()


def test_a_listing_that_never_ends_ends(serving):
    body = b'{"result": [{"name": "a"}], "result_info": {"cursor": "again"}}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    server = serving(lambda connection, over: connection.sendall(head % len(body) + body))
    client = object.__new__(kv.KvClient)
    client.port = HttpPort("kv", permit(server), base=server.url)
    with pytest.raises(ServiceError, match="never ends"):
        client.keys("a")
    assert server.asked == 2, "a cursor that was given before tells"
    client.port.close()


def _json(body):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Range: 0-0/999\r\nConnection: close\r\n"
    return lambda number: head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _keys(number):
    body = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t%d</NextContinuationToken>"
        b"<Contents><Key>a</Key></Contents></ListBucketResult>" % number
    )
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _entries(number, page=b'{"id": "1", "name": "a"}, ' * 999):
    return _json(b"[" + page + b'{"id": "1", "name": "a"}]')(number)


LISTINGS = {
    "kv: a cursor that is always new": (
        kv.KvClient,
        lambda number: _json(b'{"result": [{"name": "a"}], "result_info": {"cursor": "%d"}}' % number)(
            number
        ),
        lambda client: client.keys("a"),
    ),
    "supabase.storage: a folder in a folder": (
        storage.StorageClient,
        _json(b'[{"id": null, "name": "a"}]'),
        lambda client: client.keys("a"),
    ),
    "supabase.storage: full pages": (storage.StorageClient, _entries, lambda client: client.keys("a")),
    "supabase.auth: full pages": (
        auth.AuthClient,
        _json(b'{"users": [' + b'{"id": "1"}, ' * 199 + b'{"id": "2"}]}'),
        lambda client: client.ids_of("a@b.c"),
    ),
    "builder: full pages": (
        builder.BuilderClient,
        _json(b'{"results": [' + b"{}, " * 99 + b"{}]}"),
        lambda client: client.named("a"),
    ),
    "supabase.database: more rows to come": (
        database.DatabaseClient,
        lambda number: _json(b'[{"id": "a"}]')(number).replace(b"0-0/999", b"0-0/%d" % (number + 9)),
        lambda client: client.rows_past_policies("posts"),
    ),
    "r2: a token that is always new": (S3, _keys, lambda client: client.keys("a")),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_without_end_is_an_error_of_its_service(serving, monkeypatch, name):
    monkeypatch.setattr(pages, "MOST_PAGES", 12)
    kind, page, ask = LISTINGS[name]
    service = name.partition(":")[0]
    server = serving(lambda connection, over: connection.sendall(page(server.asked)))
    if kind is S3:
        client = S3(
            service, server.url, Secret("key-of-nobody"), Secret("secret-of-nobody"), "bucket", permit(server)
        )
    else:
        client = object.__new__(kind)
        port = HttpPort(service, permit(server), base=server.url)
        client.port = client._read = client._admin = port
        client.bucket, client.public_key, client._secret = "bucket", "key", Secret("secret-of-nobody")
    with pytest.raises(ServiceError, match=rf"^{service}: .* never ends \(12 pages\)"):
        ask(client)
    assert server.asked >= 12


def test_an_s3_listing_that_gives_one_token_again_is_an_error_of_its_service(serving):
    """boto3 itself stops there; what was read so far is no whole listing."""
    server = serving(lambda connection, over: connection.sendall(_keys(7)))
    s3 = S3("r2", server.url, Secret("key-of-nobody"), Secret("secret-of-nobody"), "bucket", permit(server))
    with pytest.raises(ServiceError, match=r"^r2: .*token"):
        s3.keys("a")
    assert server.asked == 2
    s3.close()


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_packed_body_without_its_end_is_no_answer(pack):
    whole = pack(b'{"a": 1}' * 100)
    for length in range(1, len(whole)):
        packed = whole[:length]
        inner = httpx.MockTransport(
            lambda _, packed=packed, name="gzip" if pack is gzip.compress else "deflate": httpx.Response(
                200, headers={"content-encoding": name}, stream=httpx.ByteStream(packed)
            )
        )
        permit = Permit(EVERYTHING, frozenset({"127.0.0.1"}))
        client = httpx.Client(transport=GuardedTransport("kv", permit, inner=inner))
        with client, pytest.raises((ServiceError, httpx.DecodingError)):
            client.get("http://127.0.0.1/")
