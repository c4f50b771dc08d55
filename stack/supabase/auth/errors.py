"""Auth errors: the server's codes, in the shape that the client's API version understands."""

from __future__ import annotations

from typing import Any

from stack.supabase.http import HttpError, Request, Response

API_VERSION = "2024-01-01"
JSON = "application/json"  # without a character set, as the Auth server sends it
# What stands for a code where it is raised bare (supabase/auth, internal/api/apierrors/errorcode.go and its uses).
KNOWN = {
    "email_exists": (422, "A user with this email address has already been registered"),
    "email_provider_disabled": (422, "Email logins are disabled"),
    "flow_state_not_found": (404, "invalid flow state, no valid flow state found"),
    "identity_already_exists": (422, "Identity is already linked to another user"),
    "invalid_credentials": (400, "Invalid login credentials"),
    "insufficient_aal": (422, "AAL2 required to unenroll verified factor"),
    "manual_linking_disabled": (404, "Manual linking is disabled"),
    "mfa_factor_not_found": (404, "Factor not found"),
    "not_admin": (403, "User not allowed"),
    "otp_expired": (403, "Token has expired or is invalid"),
    "phone_provider_disabled": (422, "Phone logins are disabled"),
    "refresh_token_not_found": (400, "Invalid Refresh Token: Refresh Token Not Found"),
    "session_expired": (400, "Invalid Refresh Token: Session Expired"),
    "session_not_found": (403, "Session from session_id claim in JWT does not exist"),
    "signup_disabled": (422, "Signups not allowed for this instance"),
    "unexpected_failure": (500, "Internal Server Error"),
    "user_banned": (403, "User is banned"),
    "user_not_found": (404, "User not found"),
}


class AuthError(HttpError):
    """A refusal by its code. ``keep`` commits what was done nevertheless; ``instead`` is answered in its place."""

    keep = False
    instead: Response | None = None

    def __init__(self, code: str, message: str = "", status: int = 0, **extra: Any) -> None:
        known_status, known_message = KNOWN.get(code, (400, ""))
        self.code, self.message, self.extra = code, message or known_message, extra
        super().__init__(status or known_status, {"code": code, "message": self.message, **extra})


def invalid(message: str, status: int = 400) -> AuthError:
    """validation_failed."""
    return AuthError("validation_failed", message, status)


def oauth_error(error: str, description: str) -> AuthError:
    """A refusal in OAuth's own shape, which has no code of ours and is the same for every version."""
    return AuthError("", description, error=error)


def modern(request: Request) -> bool:
    """Whether the client asked for the API version whose errors are ``{code, message}``."""
    return request.headers.get("x-supabase-api-version", "") >= API_VERSION


def shaped(error: AuthError, request: Request) -> AuthError:
    """The error as this client reads it: older ones expect ``{code: 400, error_code, msg}``."""
    error.headers["content-type"] = JSON
    if modern(request):
        error.headers["x-supabase-api-version"] = API_VERSION
    if not error.code:
        error.body = {"error": error.extra["error"], "error_description": error.message}
    elif not modern(request):
        error.body = {"code": error.status, "error_code": error.code, "msg": error.message, **error.extra}
    return error
