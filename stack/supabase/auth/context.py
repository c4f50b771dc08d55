"""What a handler of the Auth wire is given: the request, its body, its caller, and a transaction of its own."""

from __future__ import annotations

from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from stack.supabase.auth import redirects, users
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.auth.limits import Limits
from stack.supabase.config import Config
from stack.supabase.database import Database
from stack.supabase.http import Request
from stack.supabase.mail import Mailbox
from stack.supabase.tokens import Signer, TokenError

T = TypeVar("T")
STRINGS = (
    "email", "password", "type", "token", "token_hash", "refresh_token", "auth_code", "code_verifier", "redirect_to", "role",
    "phone", "new_email", "code_challenge", "code_challenge_method", "friendly_name", "factor_type", "code",
    "challenge_id", "issuer", "id", "ban_duration",
)  # fmt: skip
KINDS: dict[str, type] = dict.fromkeys(STRINGS, str) | dict.fromkeys(
    ("data", "user_metadata", "app_metadata"), dict
)


@dataclass(frozen=True)
class Services:
    """What the handlers share."""

    database: Database
    signer: Signer
    config: Config
    limits: Limits
    mailbox: Mailbox


class Context:
    """One request to the Auth wire; ``db`` is its transaction, as ``supabase_auth_admin``."""

    db: Any
    body: dict[str, Any]
    _transaction: AbstractAsyncContextManager[Any]

    def __init__(self, request: Request, services: Services, matched: tuple[str, ...]) -> None:
        self.request, self.services, self.matched = request, services, matched
        self.config, self.options = services.config, services.config.options
        self.query = dict(request.params())

    def limit(self, kind: str) -> None:
        """Count this request among those of ``kind``. Raises AuthError 429."""
        self.services.limits.take(kind, self.request.ip)

    async def __aenter__(self) -> Context:
        """Begin the transaction."""
        self._transaction = self.services.database.transaction()
        self.db = await self._transaction.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        """Commit, or after an error roll back."""
        await self._transaction.__aexit__(*error)

    async def aside(self, work: Awaitable[T]) -> T:
        """The result of ``work``, slow on purpose, in which no connection is held.

        Nothing may be written before it, and ``db`` is another one after it.
        """
        await self.__aexit__(None, None, None)
        try:
            return await work
        finally:
            await self.__aenter__()

    async def read(self) -> None:
        """Read the JSON object sent; {} for none. Raises AuthError for another shape or a field of a wrong type."""
        try:
            value = await self.request.json()
        except ValueError as error:
            raise AuthError("bad_json", f"Could not parse request body as JSON: {error}") from error
        if not isinstance(value, dict):
            raise AuthError("bad_json", "Could not parse request body as JSON: expected an object")
        for name in KINDS.keys() & value.keys():
            given, kind = value[name], KINDS[name]
            if not isinstance(given, kind | None):
                words = f"{name} must be {'an object' if kind is dict else 'a string'}"
                raise AuthError("bad_json", f"Could not parse request body as JSON: {words}")
            if isinstance(given, str) and "\0" in given:
                raise invalid(f"{name} must not hold a NUL character")
        if value.get("phone") and not value.get("email") and not self.request.path.endswith("/verify"):
            raise AuthError("phone_provider_disabled")
        self.body = value

    def redirect_to(self) -> str:
        """Where the person is to be led at the end: what was asked for if it is allowed, else the site."""
        site = self.options.site_url
        asked = self.query.get("redirect_to") or self.request.headers.get("redirect_to") or site
        return redirects.allowed(asked, site, self.options.redirect_urls)

    def claims(self) -> dict[str, Any]:
        """The claims of the bearer token. Raises AuthError 401 for none, 403 for a bad one."""
        if not self.request.bearer:
            raise AuthError("no_authorization", "This endpoint requires a valid Bearer token", 401)
        try:
            return self.services.signer.caller(self.request.bearer).claims
        except TokenError as error:
            reason = "token has invalid claims: token is expired" if error.kind == "expired" else str(error)
            message = f"invalid JWT: unable to parse or verify signature, {reason}"
            raise AuthError("bad_jwt", message, 403) from error

    def require_admin(self) -> None:
        """Raise AuthError unless the bearer is a service key."""
        if self.claims().get("role") not in ("service_role", "supabase_admin"):
            raise AuthError("not_admin")

    async def require_user(self) -> tuple[users.Row, str | None]:
        """The signed-in user and session id. Raises AuthError 403 when either is gone, though the token still verifies."""
        claims = self.claims()
        if not claims.get("sub"):
            raise AuthError("bad_jwt", "invalid claim: missing sub claim", 403)
        try:
            user = await users.find(self.db, users.uuid_of(str(claims["sub"])))
        except AuthError as error:
            if error.code == "user_not_found":
                raise AuthError(error.code, "User from sub claim in JWT does not exist", 403) from error
            raise AuthError("bad_jwt", "invalid claim: sub claim must be a UUID", 403) from error
        session_id = claims.get("session_id")
        found = "select true from auth.sessions where id = $1"
        if session_id and not await self.db.fetchval(found, users.uuid_of(str(session_id))):
            raise AuthError("session_not_found")
        return user, session_id
