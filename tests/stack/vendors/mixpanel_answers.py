"""The forms of Mixpanel's answers as JSON Schema, stated field by field from its OpenAPI descriptions.

Source: mixpanel/docs, `openapi/{ingestion,gdpr,query}.openapi.yaml` (info.license MIT), responses StrictReceived,
StrictInvalid, StrictUnauthorized, StrictTooLarge; JobCreated, CheckDeletionResponse; engage-query. No registry
has them, so what they say is said here again; unlike there, what a field's absence would hide is required.
"""

from __future__ import annotations

from typing import Any

TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
STATES = ["PENDING", "STAGING", "STARTED", "SUCCESS", "FAILURE", "REVOKED", "NOT_FOUND", "UNKNOWN"]


def of(_optional: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    """Return an object's schema with exactly these fields."""
    required = [name for name in fields if name not in _optional]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


FAILED = of(index={"type": "number"}, insert_id=TEXT, field=TEXT, message=TEXT)
JOB = of(
    tracking_id=TEXT,
    status={"enum": STATES},
    requesting_user=TEXT,
    compliance_type=TEXT,
    project_id={"type": "number"},
    date_requested=TEXT,
    distinct_ids={"type": "array", "items": TEXT},
)
PROFILE: dict[str, Any] = {
    "type": "object",
    "properties": {"$distinct_id": {"type": ["string", "integer"]}, "$properties": {"type": "object"}},
    "required": ["$distinct_id", "$properties"],
}
ANSWERS: dict[str, dict[str, Any]] = {
    "verbose": of(status={"enum": [0, 1]}, error={"type": ["string", "null"]}),
    "import": of(code={"const": 200}, num_records_imported=WHOLE, status=TEXT),
    "import refused": of(
        code={"const": 400},
        error=TEXT,
        failed_records={"type": "array", "items": FAILED, "minItems": 1},
        num_records_imported=WHOLE,
        status=TEXT,
    ),
    "refused": of(code=WHOLE, error=TEXT, status=TEXT),
    "deletion asked": of(status={"const": "ok"}, results=of(task_id=TEXT)),
    "deletion": of(status={"const": "ok"}, results=JOB),
    "profiles": of(
        page=WHOLE,
        page_size=WHOLE,
        session_id=TEXT,
        status=TEXT,
        total=WHOLE,
        results={"type": "array", "items": PROFILE},
    ),
}
