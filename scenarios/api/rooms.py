"""A room's frames as the web app writes them, for whatever socket carries them."""

from __future__ import annotations

from typing import Any

PROTOCOL = "assay.v1"


def protocols(token: str) -> list[str]:
    """The subprotocols that carry the token."""
    return [PROTOCOL, f"token.{token}"]


def send(body: str, client_id: str) -> dict[str, Any]:
    """A message; acknowledged once it is durable, the same `client_id` never stored twice."""
    return {"type": "send", "client_id": client_id, "body": body}


def status(status: str) -> dict[str, Any]:
    """A change of one's own status: online, away or busy."""
    return {"type": "status", "status": status}


def typing(on: bool) -> dict[str, Any]:
    """That one types, or no longer does."""
    return {"type": "typing", "on": on}


def replay(since: int, limit: int | None = None) -> dict[str, Any]:
    """Asks for what came after message `effects`."""
    return {"type": "replay", "since": since} | ({"limit": limit} if limit else {})


def fresh_token(token: str) -> dict[str, Any]:
    """Hands in a new token of the same person before the old one expires."""
    return {"type": "auth", "token": token}
