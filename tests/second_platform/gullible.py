"""Ways to verify a token that real services had, each of which an advisory warns of. Each gives the claims, or None."""

import base64
import json
from pathlib import Path

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization

REFUSES = (jwt.PyJWTError, httpx.HTTPError, KeyError, IndexError, ValueError, TypeError, OSError)
"""How these verifiers refuse a token."""


def claims_in(token):
    return jwt.decode(token, options={"verify_signature": False})


def header_of(token):
    return jwt.get_unverified_header(token)


def hs256(token, secret):
    """As a library does that looks at no form of the secret."""
    import hashlib
    import hmac

    asked, _, signature = token.rpartition(".")
    right = hmac.new(secret, asked.encode(), hashlib.sha256).digest()
    given = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    return (
        claims_in(token) if header_of(token)["alg"] == "HS256" and hmac.compare_digest(right, given) else None
    )


def by_key(token, jwk):
    return jwt.decode(token, jwt.PyJWK(jwk).key, ["ES256"], options={"verify_aud": False})


def unsigned(token, jwks):
    part = token.split(".")[0]
    header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if str(header.get("alg", "none")).lower() == "none":
        payload = token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return None


def confused(token, jwks):
    key = jwt.PyJWK(jwks["keys"][0]).key
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hs256(token, pem)


def well_known(token, jwks):
    return hs256(token, b"super-secret-jwt-token-with-at-least-32-characters-long")


def key_from_a_file(token, jwks):
    return hs256(token, (Path(__file__).parent / header_of(token)["kid"]).read_bytes())


def key_in_the_token(token, jwks):
    return by_key(token, header_of(token)["jwk"])


def key_from_its_address(token, jwks):
    return by_key(token, httpx.get(header_of(token)["jku"], timeout=5).json()["keys"][0])


def key_of_its_issuer(token, jwks):
    issuer = claims_in(token)["iss"]
    return by_key(token, httpx.get(f"{issuer}/.well-known/jwks.json", timeout=5).json()["keys"][0])


def certificate_in_the_token(token, jwks):
    key = x509.load_der_x509_certificate(base64.b64decode(header_of(token)["x5c"][0])).public_key()
    return jwt.decode(token, key, ["ES256"], options={"verify_aud": False})


def zeros(token, jwks):
    signature = base64.urlsafe_b64decode(token.split(".")[2] + "==")
    return claims_in(token) if signature == bytes(64) else None


def known_id_alone(token, jwks):
    return claims_in(token) if header_of(token).get("kid") == jwks["keys"][0]["kid"] else None


GULLIBLE = {
    f.__name__: f
    for f in (
        unsigned, confused, well_known, key_from_a_file, key_in_the_token, key_from_its_address, key_of_its_issuer,
        certificate_in_the_token, zeros, known_id_alone,
    )
}  # fmt: skip
"""Faults by name."""
