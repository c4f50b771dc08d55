"""What a server's TLS is: versions, ciphers, certificate, chain, name and end, each by a handshake of its own."""

from __future__ import annotations

import socket
import ssl
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime

from core.errors import ServiceError
from core.permit import Permit

OLD = ("TLSv1", "TLSv1_1")
"""Versions that nobody may offer any more (RFC 8996, ASVS 12.1.1)."""
GOOD = ("TLSv1_2", "TLSv1_3")
WEAK = {
    "no encryption": "eNULL",
    "nobody's certificate": "aNULL",
    "RC4": "RC4",
    "3DES": "3DES",
    "DES": "DES",
    "export keys": "EXP",
    "MD5": "MD5",
}
"""Ciphers that nobody may take, by their families' names in OpenSSL (RFC 9325, section 4.1)."""


@dataclass(frozen=True)
class TlsFacts:
    """What handshakes with one server showed."""

    address: str
    trusted: str
    """Why a client that checks everything refuses it; empty when it does not."""
    expires: datetime | None
    """The end of the certificate, where one was shown to a client that checks."""
    versions: tuple[str, ...]
    """The versions that it takes."""
    weak: tuple[str, ...]
    """Families of weak ciphers that it takes."""
    untried: tuple[str, ...]
    """What this machine's OpenSSL cannot try."""


def scan(host: str, port: int, permit: Permit, service: str, *, timeout: float = 10.0) -> TlsFacts:
    """Asks a server for its TLS. Raises ServiceError, by the service's name, where nothing listens."""
    address = f"{host}:{port}"
    permit.contact(f"https://{address}")
    trusted, expires = _checked(host, port, service, timeout)
    versions, weak, untried = [], [], []
    for version in (*OLD, *GOOD):
        context = _blind()
        if not _limit(context, version):
            untried.append(version)
        elif _shakes(host, port, context, service, timeout):
            versions.append(version)
    for name, family in WEAK.items():
        context = _blind()
        if not _limit(context, *OLD, "TLSv1_2") or not _offer(context, family):
            untried.append(name)
        elif _shakes(host, port, context, service, timeout):
            weak.append(name)
    return TlsFacts(address, trusted, expires, tuple(versions), tuple(weak), tuple(untried))


def _checked(host: str, port: int, service: str, timeout: float) -> tuple[str, datetime | None]:
    """Connects as every careful client does: chain, name and dates."""
    context = ssl.create_default_context()
    with _connect(host, port, service, timeout) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as secure:
                end = (secure.getpeercert() or {}).get("notAfter")
        except ssl.SSLCertVerificationError as error:
            return error.verify_message or str(error), None
        except (ssl.SSLError, OSError) as error:
            return f"no handshake: {error}", None
    return "", datetime.fromtimestamp(ssl.cert_time_to_seconds(str(end)), UTC) if end else None


def _blind() -> ssl.SSLContext:
    """A client that takes any certificate and any strength, so that only what is tried decides."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def _limit(context: ssl.SSLContext, *versions: str) -> bool:
    """Offers these versions alone; False where this machine's OpenSSL has none of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are asked for because they are old
        try:
            context.minimum_version = ssl.TLSVersion[versions[0]]
            context.maximum_version = ssl.TLSVersion[versions[-1]]
        except ValueError:
            return False
    return True


def _offer(context: ssl.SSLContext, family: str) -> bool:
    try:
        context.set_ciphers(f"{family}:@SECLEVEL=0")
    except ssl.SSLError:
        return False
    return any(cipher["protocol"] != "TLSv1.3" for cipher in context.get_ciphers())


def _shakes(host: str, port: int, context: ssl.SSLContext, service: str, timeout: float) -> bool:
    """Whether the server takes what this client offers."""
    with _connect(host, port, service, timeout) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host):
                return True
        except (ssl.SSLError, ConnectionError, EOFError):
            return False
        except TimeoutError as error:
            raise ServiceError(
                service, f"a handshake with {host}:{port} did not end in {timeout:g} s"
            ) from error


def _connect(host: str, port: int, service: str, timeout: float) -> socket.socket:
    try:
        return socket.create_connection((host, port), timeout)
    except OSError as error:
        raise ServiceError(service, f"{host}:{port} does not answer: {error}") from error


def plain_answer(host: str, port: int = 80, *, timeout: float = 10.0) -> tuple[int, str] | None:
    """Status and Location of `GET /` without TLS; None where nothing answers there, which is as good as a redirect."""
    asked = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection((host, port), timeout) as line:
            line.sendall(asked.encode())
            head = b""
            while b"\r\n\r\n" not in head and (more := line.recv(4096)) and len(head) < 65_536:
                head += more
    except OSError:
        return None
    first, *lines = head.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) < 2 or not words[1].isdigit():
        return None
    location = next(
        (v.strip() for k, _, v in (x.partition(":") for x in lines) if k.lower() == "location"), ""
    )
    return int(words[1]), location
