"""The TLS scanner against real TLS servers, good and bad; and the check that judges by it."""

import contextlib
import ipaddress
import os
import socket
import ssl
import subprocess
import sys
import threading
import warnings
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clients import tls
from core.events import CheckFinished
from core.evidence import Evidence
from core.permit import EVERYTHING, Permit
from core.run import ROOT
from core.user_settings import for_child
from runner.check_parts import UNUSED_PLUGINS
from suites.security.transport.test_tls import faults_of

PERMIT = Permit(EVERYTHING, frozenset({"localhost", "127.0.0.1"}))
NOW = datetime.now(UTC)


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.certificate = self.sign(
            self.name, self.key.public_key(), NOW + timedelta(days=90), authority=True
        )

    def sign(self, name, public, end, *, names=(), authority=False):
        made = x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(public)
        made = made.serial_number(x509.random_serial_number()).not_valid_before(NOW - timedelta(days=100))
        made = made.not_valid_after(end).add_extension(x509.BasicConstraints(authority, None), critical=True)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def files(self, folder, *, host="localhost", days=90.0, own=False):
        """(certificate and key, the authority's certificate) in files; `own` signs the certificate by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = self
        if own:
            signer = object.__new__(Authority)
            signer.key, signer.name = key, self.name
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        made = signer.sign(name, key.public_key(), NOW + timedelta(days=days), names=names[:1])
        pem = serialization.Encoding.PEM
        secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        chain, trust = folder / f"{host}-{days}-{own}.pem", folder / "authority.pem"
        chain.write_bytes(made.public_bytes(pem) + secret)
        trust.write_bytes(self.certificate.public_bytes(pem))
        return chain, trust


@pytest.fixture(scope="module")
def authority():
    return Authority()


@contextlib.contextmanager
def serving(chain, *, least="TLSv1_2", most="TLSv1_3", ciphers=""):
    """A server that shakes hands and says goodbye."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    if ciphers:
        context.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion[least], ssl.TLSVersion[most]
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), line, context.wrap_socket(line, server_side=True) as secure:
                secure.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


BAD = {
    "an old version": ({}, {"least": "TLSv1", "ciphers": "ALL:@SECLEVEL=0"}, "takes TLS 1"),
    "no encryption": ({}, {"ciphers": "ALL:eNULL:@SECLEVEL=0"}, "takes ciphers with no encryption"),
    "nobody's certificate": (
        {},
        {"ciphers": "ALL:aNULL:@SECLEVEL=0"},
        "takes ciphers with nobody's certificate",
    ),
    "an old version alone": (
        {},
        {"least": "TLSv1_1", "most": "TLSv1_1", "ciphers": "ALL:@SECLEVEL=0"},
        "takes neither TLS 1.2 nor TLS 1.3",
    ),
    "a certificate that has ended": ({"days": -1}, {}, "certificate has expired"),
    "a certificate that ends soon": ({"days": 3}, {}, "was not renewed"),
    "another's name": ({"host": "elsewhere.example"}, {}, "Hostname mismatch"),
    "a certificate that it signed itself": ({"own": True}, {}, "certificate that clients refuse"),
}


def scanned(authority, folder, monkeypatch, certificate, server):
    chain, trust = authority.files(folder, **certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(trust))
    with serving(chain, **server) as port:
        return tls.scan("localhost", port, PERMIT, "platform")


def test_a_good_server_is_accused_of_nothing(authority, tmp_path, monkeypatch):
    facts = scanned(authority, tmp_path, monkeypatch, {}, {})
    assert list(faults_of(facts, ours=True, now=NOW)) == []
    assert facts.versions == ("TLSv1_2", "TLSv1_3")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_server_is_told_by_its_fault(authority, tmp_path, monkeypatch, name):
    certificate, server, says = BAD[name]
    facts = scanned(authority, tmp_path, monkeypatch, certificate, server)
    found = list(faults_of(facts, ours=True, now=NOW))
    assert any(says in fault for fault in found), (found, facts)


def test_of_a_vendors_host_old_versions_are_no_fault_of_the_platform(authority, tmp_path, monkeypatch):
    facts = scanned(authority, tmp_path, monkeypatch, {}, BAD["an old version"][1])
    assert list(faults_of(facts, ours=False, now=NOW)) == []


@pytest.mark.parametrize(
    ("head", "due"),
    [
        (b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://x/\r\n\r\n", (308, "https://x/")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, "")),
        (b"SSH-2.0\r\n\r\n", None),
        (b"", None),
    ],
)
def test_what_answers_without_tls(head, due):
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        line, _ = listener.accept()
        with line:
            line.recv(1000)
            line.sendall(head)

    thread = threading.Thread(target=serve)
    thread.start()
    assert tls.plain_answer("127.0.0.1", listener.getsockname()[1]) == due
    thread.join(5)
    listener.close()


def judged(folder, url, trust):
    """What becomes of the check on a live target with nothing but this address."""
    target = folder / "target.toml"
    target.write_text('[capabilities]\n"platform.api" = "required"\n"platform.tls" = "required"\n')
    run = folder / "run"
    words = [
        "--checks",
        "transport.tls",
        "--target",
        "live",
        "--target-file",
        str(target),
        "--run-dir",
        str(run),
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "suites/security/transport",
            "-q",
            "--tb=no",
            *UNUSED_PLUGINS,
            *words,
        ],
        cwd=ROOT,
        env=for_child(
            {"PLATFORM_URL": url, "SSL_CERT_FILE": str(trust)},
            without=[name for name in os.environ if name.startswith("ASSAY_")],
        ),
        capture_output=True,
        text=True,
        timeout=120,
    )
    events = Evidence(run).events(CheckFinished)
    assert events, done.stdout[-2000:] + done.stderr[-2000:]
    return events[-1]


def test_the_check_judges_by_it(authority, tmp_path):
    for name, server, outcome in (("good", {}, "met"), ("bad", BAD["no encryption"][1], "missed")):
        folder = tmp_path / name
        folder.mkdir()
        chain, trust = authority.files(folder)
        with serving(chain, **server) as port:
            event = judged(folder, f"https://localhost:{port}", trust)
        assert event.outcome == outcome, event
    assert "takes ciphers with no encryption" in event.message
    plain = tmp_path / "plain"
    plain.mkdir()
    event = judged(plain, "http://127.0.0.1:9", trust)
    assert event.outcome == "missed"
    assert "is reached without TLS" in event.message
