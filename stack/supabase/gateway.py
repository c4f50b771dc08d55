"""What stands before the three wires on a hosted project: CORS and API keys (the API gateway's part)."""

from __future__ import annotations

import re

from stack.supabase import keys
from stack.supabase.config import Config
from stack.supabase.http import HttpError, Request, Response, json_response

# Reached without an API key, from links in mails and redirects (supabase/supabase, docker/volumes/api/kong.yml).
OPEN = re.compile(
    r"/auth/v1/(verify|callback|authorize|\.well-known/jwks\.json|health)$|/login/oauth/authorize$|/storage/v1/|/__control/"
)
BROWSER = re.compile(r"^Mozilla/5\.0 ")
EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Location, Server, Transfer-Encoding, "
    "Range-Unit, Preference-Applied, ETag, X-Total-Count, Link, X-Supabase-Api-Version, Upload-Offset, Upload-Length, "
    "Upload-Metadata, Upload-Expires, Tus-Version, Tus-Resumable, Tus-Max-Size, Tus-Extension, Retry-After"
)
IN_BROWSER = (
    "Secret API keys can only be used in a protected environment and should never be used in a browser. "
    "Delete this secret API key immediately."
)


def cors(request: Request) -> dict[str, str]:
    """Headers of every answer to a browser."""
    if "origin" not in request.headers:
        return {}
    return {"access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED, "vary": "Origin"}


def unknown(request: Request) -> Response:
    """For every other path: services that this gateway does not offer, and typing errors."""
    service = request.path.split("/")[1]
    if service in ("realtime", "functions", "graphql", "pg"):
        words = f"/{service}/v1 is not part of the embedded target (stack/supabase/README.md)"
        return json_response({"message": words}, 501)
    return json_response({"message": "no Route matched with those values"}, 404)


class Gateway:
    """Knows the project's API keys."""

    def __init__(self, config: Config) -> None:
        self._roles, self._required = config.api_keys, config.options.require_api_key
        secret = config.secrets.jwt_secret
        self._tokens = {role: keys.legacy_key(secret, role) for role in ("anon", "service_role")}

    def admit(self, request: Request) -> Response | None:
        """Answer a browser's preflight; check the API key and turn an opaque one into what the wires understand.

        An ``sb_…`` key is not a JWT: the gateway in front of a hosted project puts in ``Authorization`` a short-lived one
        for the key's role, unless a user's token stands there (Supabase docs, "Understanding API keys"). Raises HttpError.
        """
        headers = request.headers
        # TUS has an OPTIONS of its own.
        if request.method == "OPTIONS" and "access-control-request-method" in headers:
            return _preflight(request)
        bearer = request.bearer
        if "apikey" not in headers and not bearer.startswith("sb_") and OPEN.match(request.path):
            return None
        key = headers.get("apikey") or ("apikey=" in request.query and dict(request.params()).get("apikey"))
        key = key or (bearer if bearer in self._roles else "")
        role = self._roles.get(key)
        if role is None:
            if not self._required:
                return None
            if not key:
                hint = "No `apikey` request header or url param was found."
                raise _refused("No API key found in request", hint)
            raise _refused("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
        if key.startswith("sb_secret_") and BROWSER.match(headers.get("user-agent", "")):
            raise _refused("Forbidden use of secret API key in browser", IN_BROWSER)
        if key.startswith("sb_") and bearer in ("", key):
            headers["authorization"] = f"Bearer {self._tokens[role]}"
        return None


def _preflight(request: Request) -> Response:
    """Grant whatever was asked for: every origin may call, with tokens and never with cookies."""
    usual = "authorization, apikey, content-type, x-client-info"
    return Response(200, b"", {
        "access-control-allow-methods": "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT",
        "access-control-allow-headers": request.headers.get("access-control-request-headers", usual),
        "access-control-max-age": "3600",
    })  # fmt: skip


def _refused(message: str, hint: str) -> HttpError:
    return HttpError(401, {"message": message, "hint": hint})
