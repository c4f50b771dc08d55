"""What the web app tells the platform's analytics relay."""

from __future__ import annotations

import json

from core.port import Answer, Port
from scenarios.api.place import Place


def track(port: Port, place: Place, name: str, client_id: str, **params: str) -> Answer:
    """One event of a visitor who is not signed in and has consented: 202 and `{"accepted": true}`."""
    body = {"name": name, "params": params, "client_id": client_id, "consent": "granted"}
    headers = place.platform_headers() | {"Content-Type": "application/json"}
    return port.request(
        "POST", f"{place.platform}/api/track", headers=headers, body=json.dumps(body).encode()
    )
