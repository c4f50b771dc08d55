"""What stands before the three wires on a hosted project: CORS and API keys (the API gateway's part)."""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from stack.supabase import keys
from stack.supabase.http import HttpError, Request, Response, json_response

# Reached without an API key, from links in mails and redirects (supabase/supabase, docker/volumes/api/kong.yml).
OPEN = re.compile(
    r"/auth/v1/(verify|callback|authorize|oauth/local|\.well-known/jwks\.json|health)$|/storage/v1/|/__control/"
)
BROWSER = re.compile(r"^Mozilla/5\.0 ")
EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, "
    "Transfer-Encoding, Range-Unit, "
    "Preference-Applied, ETag, X-Total-Count, Link, X-Supabase-Api-Version, Upload-Offset, Upload-Length, Upload-Metadata, "
    "Upload-Expires, Tus-Version, Tus-Resumable, Tus-Max-Size, Tus-Extension, Retry-After"
)


def is_preflight(request: Request) -> bool:
    """Whether this is a browser asking for permission (not TUS's own OPTIONS)."""
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def preflight(request: Request) -> Response:
    """Grant whatever was asked for: every origin may call, with tokens and never with cookies."""
    wanted = request.headers.get(
        "access-control-request-headers", "authorization, apikey, content-type, x-client-info"
    )
    return Response(
        200,
        b"",
        {
            "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT",
            "access-control-allow-headers": wanted,
            "access-control-max-age": "3600",
        },
    )


def cors(request: Request) -> dict[str, str]:
    """Headers of every answer to a browser."""
    if "origin" not in request.headers:
        return {}
    return {"access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED, "vary": "Origin"}


def admit(request: Request, known: dict[str, str], required: bool) -> None:
    """Check the API key and turn an opaque one into what the wires understand.

    An ``sb_…`` key is not a JWT: the gateway in front of a hosted project puts in ``Authorization`` a short-lived one for
    the key's role, unless a user's token stands there (Supabase docs, "Understanding API keys"). Raises HttpError 401.
    """
    if (
        OPEN.match(request.path)
        and "apikey" not in request.headers
        and not _bearer(request).startswith("sb_")
    ):
        return
    key = request.headers.get("apikey") or (parse_qs(request.query).get("apikey") or [""])[0]
    bearer = _bearer(request)
    if not key and bearer in known:
        key = bearer
    if not key:
        if not required:
            return
        raise HttpError(
            401,
            {
                "message": "No API key found in request",
                "hint": "No `apikey` request header or url param was found.",
            },
        )
    role = known.get(key)
    if role is None:
        if not required:
            return
        raise HttpError(
            401,
            {
                "message": "Invalid API key",
                "hint": "Double check your Supabase `anon` or `service_role` API key.",
            },
        )
    if key.startswith("sb_secret_") and BROWSER.match(request.headers.get("user-agent", "")):
        raise HttpError(
            401,
            {
                "message": "Forbidden use of secret API key in browser",
                "hint": "Secret API keys can only be used in a protected environment and should never be used in a browser. "
                "Delete this secret API key immediately.",
            },
        )
    if key.startswith("sb_") and bearer in ("", key):
        request.headers["authorization"] = f"Bearer {_short_lived(role)}"


def unknown(request: Request) -> Response:
    """For every other path: services that this gateway does not offer, and typing errors."""
    service = request.path.split("/")[1]
    if service in ("realtime", "functions", "graphql", "pg"):
        return json_response(
            {"message": f"/{service}/v1 is not part of the embedded target (stack/supabase/README.md)"}, 501
        )
    return json_response({"message": "no Route matched with those values"}, 404)


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


_legacy: dict[str, str] = {}


def use_secret(secret: str) -> None:
    """Mint, once, the JWTs that stand for opaque keys."""
    _legacy.update({role: keys.legacy_key(secret, role) for role in ("anon", "service_role")})


def _short_lived(role: str) -> str:
    return _legacy[role]
