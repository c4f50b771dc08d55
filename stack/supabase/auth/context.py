"""What a handler of the Auth wire is given: the request, its parameters, its caller, and the services."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from stack.supabase.auth import redirects, users
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.auth.limits import Limits
from stack.supabase.auth.links import Links
from stack.supabase.auth.sessions import Sessions
from stack.supabase.config import Config
from stack.supabase.database import Database
from stack.supabase.http import Request
from stack.supabase.tokens import Signer, TokenError

ADMIN_ROLES = ("service_role", "supabase_admin")
STRINGS = (
    "email", "password", "type", "token", "token_hash", "refresh_token", "auth_code", "code_verifier", "redirect_to", "role",
    "phone", "nonce", "new_email", "code_challenge", "code_challenge_method", "friendly_name", "factor_type", "code",
    "challenge_id", "issuer", "password_hash", "id", "ban_duration",
)  # fmt: skip


@dataclass(frozen=True)
class Services:
    """What the handlers share."""

    database: Database
    signer: Signer
    config: Config
    limits: Limits
    links: Links
    sessions: Sessions


class Context:
    """One request to the Auth wire."""

    def __init__(self, request: Request, services: Services, matched: tuple[str, ...]) -> None:
        self.request, self.services, self.matched = request, services, matched
        self.options = services.config.options
        self.query = dict(request.params())

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction as ``supabase_auth_admin``."""
        return self.services.database.transaction()

    async def body(self) -> dict[str, Any]:
        """The JSON object sent; {} for none. Raises AuthError for another shape or a field of a wrong type."""
        raw = await self.request.body()
        if not raw.strip():
            return {}
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise AuthError(400, "bad_json", f"Could not parse request body as JSON: {error}") from error
        if not isinstance(value, dict):
            raise AuthError(400, "bad_json", "Could not parse request body as JSON: expected an object")
        for name in STRINGS:
            if value.get(name) is not None and not isinstance(value[name], str):
                raise AuthError(
                    400, "bad_json", f"Could not parse request body as JSON: {name} must be a string"
                )
            if "\0" in (value.get(name) or ""):
                raise invalid(f"{name} must not hold a NUL character")
        for name in ("data", "user_metadata", "app_metadata"):
            if value.get(name) is not None and not isinstance(value[name], dict):
                raise AuthError(
                    400, "bad_json", f"Could not parse request body as JSON: {name} must be an object"
                )
        return value

    def redirect_to(self) -> str:
        """Where the person is to be led at the end: what was asked for if it is allowed, else the site."""
        asked = (
            self.query.get("redirect_to") or self.request.headers.get("redirect_to") or self.options.site_url
        )
        return redirects.allowed(asked, self.options.site_url, self.options.redirect_urls)

    def claims(self) -> dict[str, Any]:
        """The claims of the bearer token. Raises AuthError 401 for none, 403 for a bad one."""
        scheme, _, token = self.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token")
        try:
            return self.services.signer.caller(token.strip()).claims
        except TokenError as error:
            reason = "token has invalid claims: token is expired" if error.kind == "expired" else str(error)
            message = f"invalid JWT: unable to parse or verify signature, {reason}"
            raise AuthError(403, "bad_jwt", message) from error

    def require_admin(self) -> None:
        """Raise AuthError unless the bearer is a service key."""
        if self.claims().get("role") not in ADMIN_ROLES:
            raise AuthError(403, "not_admin", "User not allowed")

    async def require_user(self, db: Any) -> tuple[users.Row, str | None]:
        """The signed-in user and session id. Raises AuthError 403 when either is gone, though the token still verifies."""
        claims = self.claims()
        subject = claims.get("sub")
        if not subject:
            raise AuthError(403, "bad_jwt", "invalid claim: missing sub claim")
        try:
            user_id = users.uuid_of(str(subject))
        except AuthError as error:
            raise AuthError(403, "bad_jwt", "invalid claim: sub claim must be a UUID") from error
        user = await users.by_id(db, user_id)
        if user is None:
            raise AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
        session_id = claims.get("session_id")
        if session_id and not await db.fetchval(
            "select true from auth.sessions where id = $1", users.uuid_of(str(session_id))
        ):
            raise AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist")
        return user, session_id
