"""Storage errors: nearly all are HTTP 400, with the true status as a string in the body (supabase/storage, codes.ts)."""

from __future__ import annotations

from stack.supabase.http import HttpError
from stack.supabase.pipeline import SqlError

REFUSED = "new row violates row-level security policy"
# Of each code: the true status, its word (else the code is), and the message where none is given.
KNOWN = {
    "AccessDenied": (403, "Unauthorized", "Access denied"),
    "BucketAlreadyExists": (409, "Duplicate", "The resource already exists"),
    "DatabaseError": (500, "", "The database is not available"),
    "DatabaseTimeout": (544, "", "The connection to the database timed out"),
    "EntityTooLarge": (413, "Payload too large", "The object exceeded the maximum allowed size"),
    "ExpiredToken": (400, "", "The provided token has expired."),
    "InternalError": (500, "Internal", "Internal Server Error"),
    "InvalidBucketName": (400, "Invalid Input", "Bucket name invalid"),
    "InvalidMimeType": (415, "invalid_mime_type", ""),
    "InvalidRange": (416, "invalid_range", "invalid range provided"),
    "InvalidSignature": (400, "", "Invalid signature"),
    "KeyAlreadyExists": (409, "Duplicate", "The resource already exists"),
    "NoSuchBucket": (404, "Bucket not found", "Bucket not found"),
    "NoSuchKey": (404, "not_found", "Object not found"),
    "NotImplemented": (501, "", ""),
    "ResourceAlreadyExists": (409, "Duplicate", "The resource already exists"),
    "ResourceLocked": (423, "", "The resource is locked"),
    "ResourceNotEmpty": (409, "", "The bucket you tried to delete is not empty"),
    "ResourceReferenced": (409, "", "The resource could not be updated or removed due to a foreign key constraint"),
}  # fmt: skip
SHOWN = (500, 501, 544)  # the true statuses that are the HTTP status too


class StorageError(HttpError):
    """A refusal by its code. The client sees HTTP 400 unless the server itself failed, or ``http`` says otherwise."""

    def __init__(self, code: str, message: str = "", status: int = 0, http: int = 0, word: str = "") -> None:
        known, usual_word, usual = KNOWN.get(code, (400, "", ""))
        self.code, self.message, self.true_status = code, message or usual, status or known
        shown = http or (self.true_status if self.true_status in SHOWN else 400)
        word = word or usual_word or code
        body = {"statusCode": str(self.true_status), "error": word, "message": self.message, "code": code}
        super().__init__(shown, body)


def bad_request(message: str) -> StorageError:
    """A request that the route's schema refuses."""
    return StorageError("InvalidRequest", message, word="Error")


def bad_mime(mime: str) -> StorageError:
    """A media type that is none, or that the bucket does not take."""
    return StorageError("InvalidMimeType", f"mime type {mime} is not supported")


def no_content(message: str) -> StorageError:
    """An upload's form that holds no file, or is none."""
    return StorageError("InvalidRequest", message)


def left_out(what: str) -> StorageError:
    """501 for what the Storage server can do and this gateway cannot (README, "What answers 501")."""
    return StorageError("NotImplemented", f"{what} is not part of the embedded target")


def from_postgres(error: SqlError) -> StorageError:
    """What PostgreSQL said, as this wire says it (supabase/storage, database/errors.ts)."""
    state, text = error.sqlstate, error.message
    if state == "42501":
        return StorageError("AccessDenied", REFUSED if "row-level security" in text else text)
    if state == "23503":
        if "is still referenced" in (error.detail or ""):
            return StorageError("ResourceReferenced")
        return StorageError("InvalidRequest", "The related resource does not exist", 404)
    if code := {"23505": "ResourceAlreadyExists", "55P03": "ResourceLocked", "57014": "DatabaseTimeout"}.get(
        state
    ):
        return StorageError(code)
    if state[:2] in ("53", "57"):
        return unavailable()
    if state == "22P02":
        return StorageError("InvalidParameter", text)
    if state == "22021":  # text with a NUL: the real server fails here with 500
        return bad_request(text)
    return StorageError("DatabaseError", f"database error, code: {state}")


def unavailable() -> StorageError:
    """PostgreSQL cannot be reached."""
    return StorageError("DatabaseError", status=503, http=503)
