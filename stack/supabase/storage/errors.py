"""Storage errors: nearly all are HTTP 400, with the true status as a string in the body (supabase/storage, codes.ts)."""

from __future__ import annotations

import asyncpg

from stack.supabase.http import HttpError


class StorageError(HttpError):
    """``status`` is the true one, in the body; the client sees ``http`` (400 unless the server itself failed)."""

    def __init__(self, status: int, error: str, message: str, code: str, http: int | None = None) -> None:
        shown = http or (status if status >= 500 else 400)
        super().__init__(shown, {"statusCode": str(status), "error": error, "message": message, "code": code})
        self.code, self.message, self.true_status = code, message, status


def no_bucket() -> StorageError:
    """The bucket is not there, or not for this caller."""
    return StorageError(404, "Bucket not found", "Bucket not found", "NoSuchBucket")


def no_object() -> StorageError:
    """The object is not there, or not for this caller."""
    return StorageError(404, "not_found", "Object not found", "NoSuchKey")


def denied(message: str = "new row violates row-level security policy") -> StorageError:
    """A policy or a token says no."""
    return StorageError(403, "Unauthorized", message, "AccessDenied")


def too_large() -> StorageError:
    """Beyond the bucket's or the project's limit."""
    return StorageError(
        413, "Payload too large", "The object exceeded the maximum allowed size", "EntityTooLarge"
    )


def bad_type(mime: str) -> StorageError:
    """Not among the bucket's allowed types."""
    return StorageError(415, "invalid_mime_type", f"mime type {mime} is not supported", "InvalidMimeType")


def bad_key(key: str) -> StorageError:
    """Characters that S3 would not take."""
    return StorageError(400, "InvalidKey", f"Invalid key: {key}", "InvalidKey")


def bad_request(message: str) -> StorageError:
    """A body that the route's schema refuses."""
    return StorageError(400, "Error", message, "InvalidRequest")


def bad_token(message: str) -> StorageError:
    """A signed URL's token that does not verify, or is for something else."""
    return StorageError(400, "InvalidJWT", message, "InvalidJWT")


def bad_signature() -> StorageError:
    """A valid token for another object or another use."""
    return StorageError(400, "InvalidSignature", "Invalid signature", "InvalidSignature")


def duplicate(bucket: bool = False) -> StorageError:
    """It is there already."""
    code = "BucketAlreadyExists" if bucket else "KeyAlreadyExists"
    return StorageError(409, "Duplicate", "The resource already exists", code)


def from_postgres(error: asyncpg.PostgresError) -> StorageError:
    """What PostgreSQL said, as this wire says it."""
    state = error.sqlstate or ""
    if state == "42501":
        text = str(error)
        return denied("new row violates row-level security policy" if "row-level security" in text else text)
    if state == "23505":
        return duplicate()
    if state == "23503":
        return no_bucket()
    if state == "57014":
        return StorageError(
            544, "DatabaseTimeout", "The connection to the database timed out", "DatabaseTimeout"
        )
    if state[:2] in ("53", "57"):
        return unavailable()
    if state[:2] == "22":
        return bad_request(str(error))
    if state == "P0001":
        return StorageError(400, "DatabaseError", str(error), "DatabaseError")
    return StorageError(500, "DatabaseError", f"database error, code: {state}", "DatabaseError")


def unavailable() -> StorageError:
    """PostgreSQL cannot be reached."""
    return StorageError(503, "DatabaseError", "The database is not available", "DatabaseError")
