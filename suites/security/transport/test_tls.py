"""prod.security, P6.3: what goes between people, platform and services goes by TLS, to whom it should."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import psycopg

from clients.service_clients import ServiceClients
from clients.tls import GOOD, OLD, TlsFacts, plain_answer, scan
from core.errors import ServiceError
from core.expect import expect
from core.passport import check
from core.permit import Action, is_loopback
from core.run import Run
from core.target import Target
from suites.security.attempts import Attempts
from suites.types import Witness

PLATFORM = "platform"
DATABASE = "supabase.database"
SOON = timedelta(days=7)
"""Automatic renewal comes a month before the end (Let's Encrypt, Cloudflare): what is this near was not renewed."""
SCHEMES = {"https": 443, "http": 80}


def addresses(target: Target) -> Iterator[tuple[str, str, str, int]]:
    """(service, scheme, host, port) of each address that the target names over HTTP; its own machine's aside."""
    seen = set()
    for service in target.services:
        for variable in service.variables:
            parts = urlsplit(target.find(variable.name) or "") if variable.url else urlsplit("")
            if parts.scheme not in SCHEMES or not parts.hostname:
                continue
            found = (service.id, parts.scheme, parts.hostname, parts.port or SCHEMES[parts.scheme])
            if found[1:] not in seen:
                seen.add(found[1:])
                yield found


def faults_of(facts: TlsFacts, *, ours: bool, now: datetime) -> Iterator[str]:
    """What is wrong with a server's TLS. Of a vendor's host only what its clients must refuse: its versions are its own."""
    if facts.trusted:
        yield f"{facts.address} shows a certificate that clients refuse: {facts.trusted}"
    if facts.expires and facts.expires - now < SOON:
        yield f"the certificate of {facts.address} ends on {facts.expires:%Y-%m-%d %H:%M} UTC and was not renewed"
    if not set(GOOD) & set(facts.versions):
        yield f"{facts.address} takes neither TLS 1.2 nor TLS 1.3"
    if ours:
        for version in set(OLD) & set(facts.versions):
            yield f"{facts.address} takes {version.replace('_', '.').replace('v', ' ')}"
        for family in facts.weak:
            yield f"{facts.address} takes ciphers with {family}"


@check(
    "transport.tls",
    "Every address is reached by TLS: no old version, no weak cipher, a certificate of its name that clients trust",
    requirement=("prod.security", "P6.3"),
    service=PLATFORM,
    needs=("platform.tls",),
    actions=(Action.READ,),
    timeout=120,
    why_slow="a dozen handshakes with each of the target's hosts",
    threat="Whoever is on the way reads tokens and files, or answers in the platform's place.",
    references=("ASVS 12.1.1", "ASVS 12.1.2", "ASVS 12.2.1", "ASVS 12.2.2", "RFC 8996", "RFC 9325"),
    fix="Set the edge's least version to TLS 1.2, let certificates renew themselves, and send http to https.",
)
def test_tls(run: Run, services: ServiceClients, witness: Witness) -> None:
    """A handshake for each version and family of ciphers; then as a careful client. Port 80 may only lead to https."""
    attempts = Attempts(PLATFORM)
    platform = urlsplit(run.target.get("PLATFORM_URL")).hostname
    for service, scheme, host, port in addresses(run.target):
        if scheme == "http":
            attempts.must_fail(
                f"{host}:{port} is reached without TLS", is_loopback(host) and host != platform
            )
            continue
        facts = scan(host, port, run.target.permit, service)
        wrong = list(faults_of(facts, ours=host == platform, now=datetime.now(UTC)))
        attempts.must_fail("; ".join(wrong) or f"{host} is as it should be", not wrong)
        untried = (
            f"; not tried, since this machine cannot: {', '.join(facts.untried)}" if facts.untried else ""
        )
        witness("handshakes", f"{host} takes {', '.join(facts.versions)}{untried}")
        if port == 443 and (plain := plain_answer(host)) is not None:
            status, location = plain
            led = status in (301, 302, 307, 308) and location.startswith("https://")
            refused = status >= 400  # nothing is handed out, and nothing is led astray
            attempts.must_fail(
                f"http://{host}/ is answered without TLS ({status} {location})", led or refused
            )
    attempts.judge(
        "every address is reached by TLS as clients must demand it", "TLS 1.2 or 1.3, trusted, not ending"
    )


@check(
    "transport.database",
    "PostgreSQL takes no connection without TLS",
    requirement=("prod.security", "P1.1"),
    service=DATABASE,
    needs=("database.sql", "platform.tls"),
    actions=(Action.READ,),
    threat="A password and every row cross the network in clear wherever a client forgets sslmode.",
    references=("ASVS 12.3.1", "ASVS 12.3.2"),
    fix="Switch on 'Enforce SSL on incoming connections' in the project's database settings.",
)
def test_database(run: Run, services: ServiceClients, witness: Witness) -> None:
    """With sslmode=require a connection opens (positive control), with sslmode=disable it must not."""
    dsn = run.target.get("SUPABASE_DB_URL")
    run.target.permit.contact(dsn)
    opened, said = _opens(dsn, "require")
    if not opened:
        raise ServiceError(DATABASE, f"PostgreSQL opens no connection with TLS: {said}")
    opened, said = _opens(dsn, "disable")
    expect(
        not opened,
        "PostgreSQL refuses a connection without TLS",
        expected="refused",
        saw="opened" if opened else said,
        service=DATABASE,
    )
    witness("PostgreSQL's own protocol", f"refused without TLS: {said}")


def _opens(dsn: str, mode: str) -> tuple[bool, str]:
    """Whether a connection opens with this sslmode, and what was said where it does not."""
    try:
        psycopg.connect(dsn, sslmode=mode, connect_timeout=10).close()
    except psycopg.OperationalError as error:
        return False, (str(error).splitlines() or [""])[0][:200].rpartition("failed: ")[2]
    return True, ""
