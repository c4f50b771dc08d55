"""A person's session with Supabase Auth, and who the platform takes them for."""

from __future__ import annotations

import json

from core.port import Answer, Port
from scenarios.api.place import Place


def sign_in(port: Port, place: Place, email: str, password: str) -> Answer:
    """Signs in by password: a session (`access_token`, `refresh_token`, `expires_at`, `user`)."""
    return _token(port, place, "password", email=email, password=password)


def refresh(port: Port, place: Place, refresh_token: str) -> Answer:
    """Exchanges a refresh token, which is good once, for a new session."""
    return _token(port, place, "refresh_token", refresh_token=refresh_token)


def me(port: Port, place: Place, token: str) -> Answer:
    """Whom the platform sees: `id`, `email`, `role`, `expires_at`, and the `address` they come from."""
    return port.request("GET", f"{place.platform}/api/me", headers=place.platform_headers(token))


def _token(port: Port, place: Place, kind: str, **body: str) -> Answer:
    headers = place.rest_headers() | {
        "Content-Type": "application/json",
        "X-Supabase-Api-Version": "2024-01-01",
    }
    address = f"{place.supabase}/auth/v1/token?grant_type={kind}"
    return port.request("POST", address, headers=headers, body=json.dumps(body).encode())
