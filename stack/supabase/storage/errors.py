"""Storage errors: nearly all are HTTP 400, with the true status as a string in the body (supabase/storage, codes.ts)."""

from __future__ import annotations

import asyncpg

from stack.supabase.http import HttpError

# Of each code: the true status, its word, and the message where none is given.
KNOWN = {
    "AccessDenied": (403, "Unauthorized", "new row violates row-level security policy"),
    "BucketAlreadyExists": (409, "Duplicate", "The resource already exists"),
    "DatabaseError": (500, "DatabaseError", "The database is not available"),
    "DatabaseTimeout": (544, "DatabaseTimeout", "The connection to the database timed out"),
    "EntityTooLarge": (413, "Payload too large", "The object exceeded the maximum allowed size"),
    "InvalidBucketName": (400, "Invalid Input", "Bucket name invalid"),
    "InvalidMimeType": (415, "invalid_mime_type", "mime type is not valid"),
    "InvalidRange": (416, "InvalidRange", "The requested range is not satisfiable"),
    "InvalidRequest": (400, "Error", ""),
    "InvalidSignature": (400, "InvalidSignature", "Invalid signature"),
    "KeyAlreadyExists": (409, "Duplicate", "The resource already exists"),
    "NoContentProvided": (400, "InvalidRequest", "No content provided"),
    "NoSuchBucket": (404, "Bucket not found", "Bucket not found"),
    "NoSuchKey": (404, "not_found", "Object not found"),
    "NotFound": (404, "Not Found", ""),
    "NotImplemented": (501, "NotImplemented", ""),
    "ResourceNotEmpty": (409, "ResourceNotEmpty", "The bucket you tried to delete is not empty"),
}


class StorageError(HttpError):
    """A refusal by its code. The client sees HTTP 400 unless the server itself failed, or ``http`` says otherwise."""

    def __init__(self, code: str, message: str = "", status: int = 0, http: int = 0) -> None:
        known, word, usual = KNOWN.get(code, (400, code, ""))
        self.code, self.message, self.true_status = code, message or usual, status or known
        shown = http or (self.true_status if self.true_status >= 500 else 400)
        body = {"statusCode": str(self.true_status), "error": word, "message": self.message, "code": code}
        super().__init__(shown, body)


def bad_request(message: str) -> StorageError:
    """A body that the route's schema refuses."""
    return StorageError("InvalidRequest", message)


def left_out(what: str) -> StorageError:
    """501 for what the Storage server can do and this gateway cannot (README, "What answers 501")."""
    return StorageError("NotImplemented", f"{what} is not part of the embedded target")


def from_postgres(error: asyncpg.PostgresError) -> StorageError:
    """What PostgreSQL said, as this wire says it."""
    state, text = error.sqlstate or "", str(error)
    if state == "42501":
        return StorageError("AccessDenied", "" if "row-level security" in text else text)
    if code := {"23505": "KeyAlreadyExists", "23503": "NoSuchBucket", "57014": "DatabaseTimeout"}.get(state):
        return StorageError(code)
    if state[:2] in ("53", "57"):
        return unavailable()
    if state[:2] == "22":
        return bad_request(text)
    if state == "P0001":
        return StorageError("DatabaseError", text, 400)
    return StorageError("DatabaseError", f"database error, code: {state}")


def unavailable() -> StorageError:
    """PostgreSQL cannot be reached."""
    return StorageError("DatabaseError", status=503)
