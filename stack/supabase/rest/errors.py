"""REST errors: PostgREST's codes, and what HTTP status each PostgreSQL error becomes (PostgREST docs, "Errors")."""

from __future__ import annotations

import json
from typing import Any

from stack.supabase.http import HttpError
from stack.supabase.pipeline import SqlError
from stack.supabase.tokens import TokenError

EXACT = {
    "23503": 409, "23505": 409, "25006": 405, "21000": 400, "42P17": 500, "42883": 404, "42P01": 404, "57P01": 503,
    "53400": 500, "P0001": 400,
}  # fmt: skip
BY_CLASS = {
    "08": 503, "09": 500, "0L": 403, "0P": 403, "25": 500, "28": 403, "2D": 500, "38": 500, "39": 500, "3B": 500,
    "40": 500, "53": 503, "54": 500, "55": 500, "57": 500, "58": 500, "F0": 500, "HV": 500, "P0": 500, "XX": 500,
}  # fmt: skip


class ApiError(HttpError):
    """An error in PostgREST's shape."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Any = None,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        body = {"code": code, "details": details, "hint": hint, "message": message}
        super().__init__(status, body, {"proxy-status": f"PostgREST; error={code}", **(headers or {})})
        self.code = code


def from_token(error: TokenError) -> ApiError:
    """401, with the challenge that RFC 6750 asks for."""
    code = "PGRST303" if error.kind in ("expired", "early", "claims") else "PGRST301"
    detail = "None of the keys was able to decode the JWT" if error.kind == "signature" else None
    challenge = f'Bearer error="invalid_token", error_description="{str(error).replace(chr(34), chr(39))}"'
    return ApiError(401, code, str(error), detail, headers={"www-authenticate": challenge})


def unavailable() -> ApiError:
    """503 while PostgreSQL cannot be reached."""
    return ApiError(503, "PGRST001", "Database client error. Retrying the connection.")


def from_postgres(error: SqlError, anonymous: bool) -> ApiError:
    """The answer for an error raised by PostgreSQL. A denial is 401 to the anonymous role and 403 to any other."""
    code, message, detail, hint = error.sqlstate, error.message, error.detail, error.hint
    if code == "PGRST":
        return _raised(message, detail)
    if code.startswith("PT") and code[2:].isdigit():
        status = int(code[2:])
    elif code == "42501":
        status = 401 if anonymous else 403
    else:
        status = EXACT.get(code) or BY_CLASS.get(code[:2], 400)
    headers = {"www-authenticate": "Bearer"} if status == 401 else None
    return ApiError(status, code, message, detail, hint, headers)


def _raised(message: str, detail: str | None) -> ApiError:
    """``raise sqlstate 'PGRST'``: the function chose body, status and headers itself, as two JSON texts."""
    try:
        body, answer = json.loads(message), json.loads(detail or "")
        error = ApiError(
            int(answer["status"]), body["code"], body["message"], body.get("details"), body.get("hint")
        )
        error.headers.update({k.lower(): str(v) for k, v in answer.get("headers", {}).items()})
    except (ValueError, KeyError, TypeError):
        return ApiError(500, "PGRST121", "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error")
    return error
