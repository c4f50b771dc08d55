"""What a handler of the Storage wire is given: the request, who asks, and the objects."""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

from stack.supabase.http import Request
from stack.supabase.storage.errors import StorageError, bad_request
from stack.supabase.storage.objects import Objects
from stack.supabase.tokens import Caller, Signer, TokenError

JWS_ERRORS = {"malformed": "JWS Protected Header is invalid", "signature": "signature verification failed",
              "expired": '"exp" claim timestamp check failed',
              "algorithm": '"alg" (Algorithm) Header Parameter value not allowed'}  # fmt: skip


class Call:
    """One request to the Storage wire. ``limit`` is the project's own, in bytes."""

    def __init__(self, request: Request, objects: Objects, signer: Signer, limit: int) -> None:
        self.request, self.objects, self._signer, self.limit = request, objects, signer, limit
        self.query = dict(request.params())
        self.upsert = request.headers.get("x-upsert") == "true"

    @cached_property
    def who(self) -> Caller:
        """The caller. Raises StorageError for a missing or bad token."""
        if not self.request.bearer:
            raise bad_request("headers must have required property 'authorization'")
        try:
            return self._signer.caller(self.request.bearer)
        except TokenError as error:
            raise StorageError("AccessDenied", JWS_ERRORS.get(error.kind, str(error))) from error

    @property
    def anyone(self) -> Caller | None:
        """The caller, or None for one without a good token."""
        try:
            return self.who
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
        try:
            claims = self._signer.unseal(self.query.get("token", ""))
        except TokenError as error:
            raise StorageError("InvalidJWT", JWS_ERRORS.get(error.kind, str(error))) from error
        if claims.get("scope") != scope or claims.get("url") != path:
            raise StorageError("InvalidSignature")
        return claims

    async def json(self) -> dict[str, Any]:
        """The JSON object sent; {} for none. Raises StorageError."""
        try:
            value = await self.request.json()
        except ValueError as error:
            raise bad_request(f"Body is not valid JSON: {error}") from error
        if not isinstance(value, dict):
            raise bad_request("body must be object")
        return value
