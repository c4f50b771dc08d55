"""What a handler of the Auth wire is given: the request, its body, its caller, and a transaction of its own."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn, TypeVar

from stack.supabase.auth import redirects, users
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.auth.limits import Limits
from stack.supabase.config import Config
from stack.supabase.database import Database
from stack.supabase.http import HttpError, Request
from stack.supabase.mail import Mailbox
from stack.supabase.tokens import Signer, TokenError

T = TypeVar("T")
PREFIX = "/auth/v1"
MAX_BODY = 1 << 20
ADMINISTRATORS = ("service_role", "supabase_admin")
# What hCaptcha and Turnstile give to their keys for tests (docs.hcaptcha.com, developers.cloudflare.com/turnstile).
SOLVED = ("10000000-aaaa-bbbb-cccc-000000000001", "XXXX.DUMMY.TOKEN.XXXX")
STRINGS = (
    "email", "password", "type", "token", "token_hash", "refresh_token", "auth_code", "code_verifier", "redirect_to", "role",
    "phone", "new_email", "code_challenge", "code_challenge_method", "friendly_name", "factor_type", "code",
    "challenge_id", "issuer", "id", "ban_duration", "current_password", "password_hash", "provider", "id_token",
)  # fmt: skip
KINDS: dict[str, type] = (
    dict.fromkeys(STRINGS, str)
    | dict.fromkeys(("data", "user_metadata", "app_metadata", "gotrue_meta_security"), dict)
    | dict.fromkeys(("create_user", "email_confirm", "should_soft_delete"), bool)
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
    _raw: bytes
    _transaction: AbstractAsyncContextManager[Any]

    def __init__(self, request: Request, services: Services, matched: tuple[str, ...]) -> None:
        self.request, self.services, self.matched = request, services, matched
        self.config, self.options = services.config, services.config.options
        self.path, self.query = request.path.removeprefix(PREFIX), dict(request.params())

    @property
    def base(self) -> str:
        """The Auth server's public address."""
        return self.config.url + PREFIX

    def limit(self, group: str) -> None:
        """Count this request among those of ``group``. Raises AuthError 429."""
        header = self.request.headers.get(self.options.rate_limit_header, "")
        self.services.limits.take(group, header.partition(",")[0].strip() or self.request.ip)

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
        """Receive the body. Raises AuthError 413."""
        try:
            self._raw = await self.request.body(MAX_BODY)
        except HttpError as error:
            message = f"Request body too large (max {MAX_BODY} bytes)"
            raise AuthError("request_entity_too_large", message, 413) from error

    @property
    def sent(self) -> bool:
        """Whether there is a body at all."""
        return bool(self._raw)

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object sent. Raises AuthError for another shape or a field of a wrong type.

        Looked at when it is first needed, so that who may not come in hears of that first. Half a surrogate pair becomes
        U+FFFD, as in Go.
        """
        try:
            value = json.loads(self._raw.decode("utf-8", "replace"), parse_constant=_no_constant)
            if b"\\ud" in self._raw.lower():
                text = json.dumps(value, ensure_ascii=False)
                value = json.loads(re.sub("[\ud800-\udfff]", "\ufffd", text))
        except (ValueError, RecursionError) as error:
            raise _unparsable(str(error)) from error
        if not isinstance(value, dict):
            raise _unparsable("expected an object")
        for name in KINDS.keys() & value.keys():
            given, kind = value[name], KINDS[name]
            if not isinstance(given, kind | None):
                raise _unparsable(f"{name} must be {kind.__name__}")
            if isinstance(given, str) and "\0" in given:
                raise invalid(f"{name} must not hold a NUL character")
        return value

    def redirect_to(self, asked: str | None = None) -> str:
        """Where the person is to be led at the end: what was asked for if it is allowed, else the site."""
        site, headers = self.options.site_url, self.request.headers
        for given in (
            asked,
            headers.get("redirect_to") or self.query.get("redirect_to"),
            headers.get("referer"),
        ):
            if given and redirects.allowed(given, site, self.options.redirect_urls):
                return given
        return site

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
        if self.claims().get("role") not in ADMINISTRATORS:
            raise AuthError("not_admin")

    def check_captcha(self) -> None:
        """Raise AuthError where a CAPTCHA is asked for and none was solved, unless an administrator asks (verifyCaptcha)."""
        if not self.options.captcha or self.query.get("grant_type") in ("pkce", "refresh_token", "id_token"):
            return
        with contextlib.suppress(AuthError):
            return self.require_admin()
        token = (self.body.get("gotrue_meta_security") or {}).get("captcha_token") or ""
        if token not in SOLVED:
            why = "invalid-input-response" if token else "no captcha_token found"
            raise AuthError("captcha_failed", f"captcha protection: request disallowed ({why})")

    async def require_user(self) -> tuple[users.Row, str | None]:
        """The signed-in user and session id. Raises AuthError 403 when either is gone, though the token still verifies,
        or when the user is banned.
        """
        claims = self.claims()
        if not claims.get("sub"):
            raise AuthError("bad_jwt", "invalid claim: missing sub claim", 403)
        try:
            user = await users.find(self.db, users.uuid_of(str(claims["sub"])))
        except AuthError as error:
            if error.code == "user_not_found":
                raise AuthError(error.code, "User from sub claim in JWT does not exist", 403) from error
            raise AuthError("bad_jwt", "invalid claim: sub claim must be a UUID", 400) from error
        session_id = claims.get("session_id")
        found = "select true from auth.sessions where id = $1"
        if session_id and not await self.db.fetchval(found, users.uuid_of(str(session_id))):
            raise AuthError("session_not_found")
        users.check_not_banned(user)
        return user, session_id


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _unparsable(why: str) -> AuthError:
    return AuthError("bad_json", f"Could not parse request body as JSON: {why}")
