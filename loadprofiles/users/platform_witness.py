"""Asks the platform on a path that the measured load does not use: its API over a plain HTTP connection."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from core.permit import Permit

TIMEOUT = 10.0


class WitnessError(Exception):
    """The platform did not tell; the text says why, alike for alike failures."""


class Witness:
    """One connection to one origin, opened again when the server has closed it."""

    def __init__(self, permit: Permit, origin: str) -> None:
        parts = urlsplit(permit.contact(origin))
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.netloc, timeout=TIMEOUT, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT)

    def ask(self, path: str, token: str) -> dict[str, Any]:
        """The JSON document at `path`. Raises Unreadable."""
        try:
            try:
                return self._ask(path, token)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._connection.close()
                return self._ask(path, token)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise WitnessError(f"{type(error).__name__}") from error

    def _ask(self, path: str, token: str) -> dict[str, Any]:
        self._connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise WitnessError(f"answered {answer.status}")
        return dict(json.loads(body))

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()
