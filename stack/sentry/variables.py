"""The environment variables of the Sentry pair (Bugsink behind the recorder), as a live target sets them."""

from __future__ import annotations

import hashlib
import hmac
import secrets as random_source
from collections.abc import MutableMapping
from typing import Any

ORGANISATION = "assay"
PROJECT = "platform"
PROJECT_ID = 1
ENVIRONMENT = "embedded"


def derive(seed: str, name: str) -> str:
    """Return 64 hexadecimal digits that belong to `name` under this stack's seed."""
    return hmac.new(seed.encode(), name.encode(), hashlib.sha256).hexdigest()


def variables(port: int, secrets: MutableMapping[str, Any]) -> dict[str, str]:
    """Return every Sentry variable for a stack whose envelope recorder listens on 127.0.0.1:`port`.

    `secrets["sentry_seed"]` is read, or created when absent: the caller keeps `secrets` with the stack's
    state. The data source name's key is Bugsink's own (a UUID as 32 digits); the recorder translates the
    auth token, which has the form of a Sentry user token, into Bugsink's.
    """
    seed = str(secrets.setdefault("sentry_seed", random_source.token_hex(32)))
    return {
        "SENTRY_DSN": f"http://{derive(seed, 'dsn')[:32]}@127.0.0.1:{port}/{PROJECT_ID}",
        "SENTRY_URL": f"http://127.0.0.1:{port}",
        "SENTRY_AUTH_TOKEN": "sntryu_" + derive(seed, "token"),
        "SENTRY_ORG": ORGANISATION,
        "SENTRY_PROJECT": PROJECT,
        "SENTRY_ENVIRONMENT": ENVIRONMENT,
    }
