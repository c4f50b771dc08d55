"""What a handler of the Storage wire is given: the request, who asks, and the objects."""

from __future__ import annotations

import re
import time
from functools import cached_property
from typing import Any

from stack.supabase.http import Request
from stack.supabase.storage.errors import StorageError, bad_request
from stack.supabase.storage.objects import Objects
from stack.supabase.storage.schema import Schema, Unfit, fit
from stack.supabase.tokens import Caller, Signer, TokenError

JWS_ERRORS = {"malformed": "JWS Protected Header is invalid", "signature": "signature verification failed",
              "expired": '"exp" claim timestamp check failed',
              "algorithm": '"alg" (Algorithm) Header Parameter value not allowed'}  # fmt: skip
NOT_JSON = "Body is not valid JSON but content-type is set to 'application/json'"
EMPTY = "Body cannot be empty when content-type is set to 'application/json'"


def _said(error: TokenError, token: str) -> str:
    """What the server's library says of a bad token."""
    return "Invalid Compact JWS" if token.count(".") != 2 else JWS_ERRORS.get(error.kind, str(error))


class Call:
    """One request to the Storage wire. ``limit`` is the project's own, in bytes."""

    def __init__(self, request: Request, objects: Objects, signer: Signer, limit: int) -> None:
        self.request, self.objects, self._signer, self.limit = request, objects, signer, limit
        self.query = dict(request.params())
        self.upsert = request.headers.get("x-upsert") == "true"

    @cached_property
    def verified(self) -> Caller:
        """The caller. Raises StorageError for a missing or bad token."""
        token = re.sub(r"^Bearer\s+", "", self.request.headers.get("authorization", ""), flags=re.IGNORECASE)
        try:
            return self._signer.caller(token)
        except TokenError as error:
            raise StorageError("AccessDenied", _said(error, token)) from error

    @property
    def who(self) -> Caller:
        """The caller, on routes whose schema asks for the header. Raises StorageError."""
        if "authorization" not in self.request.headers:
            raise bad_request("headers must have required property 'authorization'")
        return self.verified

    @property
    def anyone(self) -> Caller | None:
        """The caller, or None for one without a good token."""
        try:
            return self.verified
        except StorageError:
            return None

    def limit_of(self, bucket: Any) -> int:
        """How long a file in ``bucket`` may be, in bytes."""
        own = bucket["file_size_limit"]
        return self.limit if own is None else min(self.limit, own)

    def seal(self, scope: str, path: str, seconds: int, **claims: Any) -> str:
        """The token of a signed URL for ``path``."""
        now = int(time.time())
        return self._signer.seal({**claims, "url": path, "scope": scope, "iat": now, "exp": now + seconds})

    def unseal(self, scope: str, path: str) -> dict[str, Any]:
        """The claims of the request's ``token``, made for ``scope`` and ``path``. Raises StorageError."""
        if "token" not in self.query:
            raise bad_request("querystring must have required property 'token'")
        token = self.query["token"]
        try:
            claims = self._signer.unseal(token)
        except TokenError as error:
            raise StorageError("InvalidJWT", _said(error, token)) from error
        if claims.get("scope") != scope:
            raise StorageError("InvalidSignature", f"Token is not scoped for {scope}")
        if claims.get("url") != path:
            raise StorageError("InvalidSignature")
        return claims

    async def json(self, schema: Schema) -> dict[str, Any]:
        """The JSON object sent, as ``schema`` asks for it. Raises StorageError."""
        given = await self._parsed()
        try:
            fitting: dict[str, Any] = fit(given, schema, "body")
        except Unfit as error:
            raise bad_request(str(error)) from error
        return fitting

    async def _parsed(self) -> Any:
        """The body, read as its content type says (Fastify's parsers: JSON and plain text)."""
        kind = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await self.request.body()
        if kind == "application/json":
            try:
                return await self.request.json() if body else None
            except ValueError as error:
                raise StorageError("InvalidRequest", NOT_JSON, word="FastifyError") from error
        if kind == "text/plain" or not body:
            return body.decode("utf-8", "replace") if body else None
        raise StorageError("InvalidMimeType", "Invalid Content-Type header")
