import datetime
import ipaddress
import ssl

import gevent
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from loadengine.net.http1 import StreamedBody
from loadengine.net.websocket import WebSocket
from tests.loadengine.patched.helpers import counts, read_request, within

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, its own authority; paths of certificate and key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def secure(serve, certificate):
    """Like serve, over TLS; gives (https address, a context that trusts it)."""

    def start(handler):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        address = serve(handler, ssl_context=context)
        return address.replace("http", "https"), ssl.create_default_context(cafile=certificate[0])

    return start


def plain(connection, reader):
    while read_request(reader):
        connection.sendall(OK)


def test_requests_over_tls_on_a_kept_connection(engine, secure):
    address, context = secure(plain)
    client = engine.client(address, tls=context, timeout=5.0)
    for _ in range(5):
        assert client.get("/x").body == b"ok"
    assert len(client._idle) == 1
    assert counts(engine) == {"ok": 5}


def test_an_unknown_authority_is_refused(engine, secure):
    address, _ = secure(plain)
    answer = engine.client(address, timeout=5.0).get("/x")
    assert answer.status == 0
    assert "the server's certificate is not valid" in answer.error


def test_another_name_is_refused(engine, secure):
    address, context = secure(plain)
    answer = engine.client(address.replace("127.0.0.1", "localhost"), tls=context, timeout=5.0).get("/x")
    assert "the server's certificate is not valid" in answer.error


def test_large_bodies_both_ways(engine, secure):
    sizes = []

    def talk(connection, reader):
        while request := read_request(reader):
            sizes.append(len(request[2]))
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n" + b"z" * 3_000_000)

    address, context = secure(talk)
    client = engine.client(address, tls=context, timeout=20.0)
    block = b"y" * (1 << 20)
    for _ in range(2):
        answer = client.put("/big", StreamedBody(12 << 20, lambda: (block for _ in range(12))))
        assert answer.body == b"z" * 3_000_000
    assert sizes == [12 << 20] * 2


def test_a_server_that_speaks_no_tls_is_an_error_in_words(engine, serve, certificate):
    address = serve(plain).replace("http", "https")
    answer = engine.client(address, timeout=2.0).get("/x")
    assert answer.status == 0
    assert "connecting" in answer.error or "time-out" in answer.error


def test_a_websocket_over_tls(engine, secure, certificate, monkeypatch):
    from tests.loadengine.patched.case_websocket import echo, speaking

    address, context = secure(speaking(echo))
    monkeypatch.setattr(engine, "_context", context)
    socket = WebSocket(engine, address.replace("http", "ws"), timeout=5.0)
    sent = [b"a", b"b" * 200_000, b"c" * 70_000, b"d"]
    for payload in sent:
        socket.say(payload)
    within(10, lambda: len(socket.inbox) == len(sent))
    assert socket.inbox == sent
    gevent.sleep(0)
