"""The faulty proxy itself: what it spoils, how often, and that it hands everything else on as it is."""

import json
import socket
import struct
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tests.loadprofiles.faulty import HTTP, ROOMS, Faulty

BODY = json.dumps({"title": "a letter to everybody", "from": "somebody"}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_GET(self):
        body = BODY + self.headers.get("Authorization", "").encode()
        body += self.client_address[0].encode() if self.path == "/address" else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.daemon_threads = True
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{found.server_port}"
    found.shutdown()
    found.server_close()


@pytest.mark.parametrize("kind", HTTP)
def test_every_tenth_answer_is_spoilt(server, kind):
    with Faulty(server, kind, every=10, paths="/spoil", where="http") as proxy, httpx.Client() as client:
        answers = []
        for number in range(50):
            token = f"person {number}"
            answer = client.get(proxy.url + "/spoil", headers={"Authorization": token})
            answers.append((answer.status_code, answer.content) != (200, BODY + token.encode()))
            untouched = client.get(proxy.url + "/other", headers={"Authorization": token})
            assert untouched.content == BODY + token.encode()
    assert sum(answers) == proxy.altered
    assert proxy.altered in ((4, 5) if kind == "stranger" else (5,))


def test_the_client_keeps_its_own_address(server):
    with (
        Faulty(server, "altered") as proxy,
        httpx.Client(transport=httpx.HTTPTransport(local_address="127.9.8.7")) as client,
    ):
        assert client.get(proxy.url + "/address").content.endswith(b"127.9.8.7")


def message(number):
    return json.dumps({"type": "message", "id": number, "body": "hello"}, separators=(",", ":")).encode()


@contextmanager
def room(count):
    """A server that upgrades whoever comes and sends `count` messages, an acknowledgement after each."""

    def talk():
        connection, _ = listener.accept()
        with connection:
            while b"\r\n\r\n" not in connection.recv(65536):
                pass
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            for number in range(1, count + 1):
                for payload in (message(number), b'{"type":"ack"}'):
                    connection.sendall(b"\x81" + struct.pack("!B", len(payload)) + payload)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=talk, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("kind", ROOMS)
def test_every_fourth_message_is_spoilt(kind):
    with room(8) as address, Faulty(address, kind, every=4, where="rooms") as proxy:
        data = b""
        with socket.create_connection(("127.0.0.1", int(proxy.url.rpartition(":")[2]))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\n\r\n")
            connection.settimeout(10)
            while part := connection.recv(65536):
                data += part
    assert data.startswith(b"HTTP/1.1 101")
    assert data.count(b'"ack"') == 8
    assert proxy.altered == 2
    got = [
        json.loads(b'{"type":"message"' + part.split(b"}")[0] + b"}")
        for part in data.split(b'{"type":"message"')[1:]
    ]
    wanted = {
        "lost": [1, 2, 3, 5, 6, 7],
        "duplicated": [1, 2, 3, 4, 4, 5, 6, 7, 8, 8],
        "altered": [1, 2, 3, 4, 5, 6, 7, 8],
        "swapped": [1, 2, 3, 5, 4, 6, 7],
    }[kind]
    assert [m["id"] for m in got] == wanted
    assert [m["id"] for m in got if m["body"] != "hello"] == ([4, 8] if kind == "altered" else [])
