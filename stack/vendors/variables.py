"""The environment variables of the four vendor stand-ins, as a live target would set them.

Every key is derived from one random seed kept in the stack's secrets, so that a restarted stack keeps its
keys and two stacks never share one. The forms are the vendors' own, since clients check some of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets as random_source
import uuid
from collections.abc import MutableMapping
from typing import Any

PREFIXES = {
    "BUILDER_API_URL": "/builder/cdn",
    "BUILDER_WRITE_URL": "/builder/api",
    "DATADOG_INTAKE_URL": "/datadog/intake",
    "DATADOG_API_URL": "/datadog/api",
    "GA4_COLLECT_URL": "/ga4/collect",
    "GA4_DATA_URL": "/ga4/data",
    "GA4_ADMIN_URL": "/ga4/admin",
    "MIXPANEL_API_URL": "/mixpanel/api",
    "MIXPANEL_DATA_URL": "/mixpanel/data",
    "MIXPANEL_APP_URL": "/mixpanel/app",
}
"""Where each vendor host is mounted on the one port: in reality each has a host of its own."""


def derive(seed: str, name: str) -> bytes:
    """Return 32 bytes that belong to `name` under this stack's seed."""
    return hmac.new(seed.encode(), name.encode(), hashlib.sha256).digest()


def variables(port: int, secrets: MutableMapping[str, Any]) -> dict[str, str]:
    """Return every vendor variable for a stack whose vendors listen on 127.0.0.1:`port`.

    `secrets["vendors_seed"]` is read, or created when absent: the caller keeps `secrets` with the stack's
    state, or the next start has other keys.
    """
    seed = str(secrets.setdefault("vendors_seed", random_source.token_hex(32)))

    def hexadecimal(name: str, characters: int) -> str:
        return derive(seed, name).hex()[:characters].rjust(characters, "0")

    def digits(name: str, count: int) -> str:
        number = int.from_bytes(derive(seed, name)[:8]) % (9 * 10 ** (count - 1))
        return str(10 ** (count - 1) + number)

    def token(name: str) -> str:
        return base64.urlsafe_b64encode(derive(seed, name)).decode().rstrip("=")

    base = f"http://127.0.0.1:{port}"
    return {
        **{name: base + prefix for name, prefix in PREFIXES.items()},
        "BUILDER_PUBLIC_KEY": hexadecimal("builder.public", 32),
        "BUILDER_PRIVATE_KEY": "bpk-" + hexadecimal("builder.private", 32),
        "BUILDER_WEBHOOK_SECRET": hexadecimal("builder.webhook", 48),
        "DATADOG_CLIENT_TOKEN": "pub" + hexadecimal("datadog.client", 32),
        "DATADOG_APPLICATION_ID": str(uuid.UUID(bytes=derive(seed, "datadog.application")[:16], version=4)),
        "DATADOG_API_KEY": hexadecimal("datadog.api", 32),
        "DATADOG_APP_KEY": hexadecimal("datadog.app", 40),
        "GA4_MEASUREMENT_ID": "G-" + base64.b32encode(derive(seed, "ga4.measurement")).decode()[:10],
        "GA4_API_SECRET": token("ga4.secret")[:22],
        "GA4_PROPERTY_ID": digits("ga4.property", 9),
        "GA4_ACCESS_TOKEN": "ya29." + token("ga4.access"),
        "MIXPANEL_TOKEN": hexadecimal("mixpanel.token", 32),
        "MIXPANEL_API_SECRET": hexadecimal("mixpanel.secret", 32),
        "MIXPANEL_GDPR_TOKEN": token("mixpanel.gdpr")[:30],
        "MIXPANEL_PROJECT_ID": digits("mixpanel.project", 7),
    }
