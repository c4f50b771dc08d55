"""REST errors: PostgREST's codes, and what HTTP status each PostgreSQL error becomes (PostgREST docs, "Errors")."""

from __future__ import annotations

import json
from typing import Any

from stack.supabase.http import HttpError
from stack.supabase.pipeline import SqlError
from stack.supabase.tokens import TokenError

STATUS = {
    "PGRST001": 503, "PGRST103": 416, "PGRST106": 406, "PGRST107": 406, "PGRST116": 406, "PGRST117": 405, "PGRST125": 404,
    "PGRST201": 300, "PGRST202": 404, "PGRST203": 300, "PGRST205": 404, "PGRST301": 401, "PGRST303": 401, "PGRST127": 501,
    "23503": 409, "23505": 409, "25006": 405, "21000": 500, "42P17": 500, "42883": 404, "42P01": 404, "57P01": 503,
    "53400": 500, "P0001": 400, "PGRST": 400,
    "08": 503, "09": 500, "0L": 403, "0P": 403, "25": 500, "28": 403, "2D": 500, "38": 500, "39": 500, "3B": 500,
    "40": 500, "53": 503, "54": 500, "55": 500, "57": 500, "58": 500, "F0": 500, "HV": 500, "P0": 500, "XX": 500,
}  # fmt: skip


class ApiError(HttpError):
    """An error in PostgREST's shape; its code says which HTTP status it has, 400 being the rule."""

    def __init__(
        self, code: str, message: str, details: Any = None, hint: str | None = None, status: int = 0
    ) -> None:
        body = {"code": code, "details": details, "hint": hint, "message": message}
        found = status or STATUS.get(code) or (0 if code.startswith("PG") else STATUS.get(code[:2])) or 400
        super().__init__(found, body, {"proxy-status": f"PostgREST; error={code}"})


def left_out(what: str) -> ApiError:
    """501 for what PostgREST can do and this gateway cannot (README, "What answers 501")."""
    return ApiError("PGRST127", "Feature not implemented", f"{what}: not part of the embedded target")


def out_of_range(why: str) -> ApiError:
    """416 for a limit, an offset or a Range header that cannot be."""
    return ApiError("PGRST103", "Requested range not satisfiable", why)


def from_token(error: TokenError) -> ApiError:
    """401, with the challenge that RFC 6750 asks for."""
    code = "PGRST303" if error.kind in ("expired", "early", "claims") else "PGRST301"
    detail = "None of the keys was able to decode the JWT" if error.kind == "signature" else None
    refused = ApiError(code, str(error), detail)
    words = str(error).replace('"', "'")
    refused.headers["www-authenticate"] = f'Bearer error="invalid_token", error_description="{words}"'
    return refused


def no_where(verb: str) -> ApiError:
    """400 for a write without a filter: hosted projects load safeupdate for the API (Supabase docs, "Safe update")."""
    return ApiError("21000", f"{verb} requires a WHERE clause", status=400)


MESSAGE = "MESSAGE must be a JSON object with obligatory keys: 'code', 'message' and optional keys: 'details', 'hint'."
COULD_NOT_PARSE = "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"
DETAIL = (
    "DETAIL must be a JSON object with obligatory keys: 'status', 'headers' and optional key: 'status_text'."
)


def _raised(error: SqlError) -> ApiError:
    """`raise sqlstate 'PGRST'`: the function chose the whole answer (PostgREST docs, "Raise errors with HTTP status")."""

    def parsed(text: str, what: str, hint: str, *needed: str) -> dict[str, Any]:
        try:
            value = json.loads(text)
            if isinstance(value, dict) and all(key in value for key in needed):
                return value
        except ValueError:
            pass
        raise ApiError("PGRST121", COULD_NOT_PARSE, f"Invalid JSON value for {what}: '{text}'", hint, 500)

    body = parsed(error.message, "MESSAGE", MESSAGE, "code", "message")
    if error.detail is None:
        raise ApiError("PGRST121", COULD_NOT_PARSE, "DETAIL is missing in the RAISE statement", DETAIL, 500)
    about = parsed(error.detail, "DETAIL", DETAIL, "status", "headers")
    made = ApiError(body["code"], body["message"], body.get("details"), body.get("hint"), about["status"])
    made.headers |= {name.lower(): str(value) for name, value in about["headers"].items()}
    return made


def from_postgres(error: SqlError, anonymous: bool) -> ApiError:
    """The answer for an error raised by PostgreSQL. A denial is 401 to the anonymous role and 403 to any other."""
    code, status = error.sqlstate, 0
    if code == "PGRST":
        return _raised(error)
    if code.startswith("PT"):
        status = (
            int(code[2:]) if code[2:].isdigit() else 500
        )  # `raise sqlstate 'PT418'`: the function chose it
    elif code == "21000" and error.message.endswith("requires a WHERE clause"):
        status = 400
    elif code == "22023" and error.message.startswith("role ") and error.message.endswith("does not exist"):
        status = 401
    elif code == "42501":
        status = 401 if anonymous else 403
    refused = ApiError(code, error.message, error.detail, error.hint, status)
    if status == 401:
        refused.headers["www-authenticate"] = "Bearer"
    return refused
