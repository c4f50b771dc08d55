"""Auth errors: the server's codes, in the shape that the client's API version understands."""

from __future__ import annotations

from typing import Any

from stack.supabase.http import HttpError, Request

API_VERSION = "2024-01-01"


class AuthError(HttpError):
    """``code`` is one of the Auth server's error codes (supabase/auth, internal/api/apierrors/errorcode.go)."""

    def __init__(self, status: int, code: str, message: str, **extra: Any) -> None:
        super().__init__(status, {"code": code, "message": message, **extra})
        self.code, self.message, self.extra = code, message, extra


def modern(request: Request) -> bool:
    """Whether the client asked for the API version whose errors are ``{code, message}``."""
    return request.headers.get("x-supabase-api-version", "") >= API_VERSION


def shaped(error: AuthError, request: Request) -> AuthError:
    """The error as this client reads it: older ones expect ``{code: 400, error_code, msg}``."""
    if modern(request):
        error.headers["x-supabase-api-version"] = API_VERSION
    else:
        error.body = {"code": error.status, "error_code": error.code, "msg": error.message, **error.extra}
    return error


def invalid(message: str) -> AuthError:
    """400 validation_failed."""
    return AuthError(400, "validation_failed", message)
