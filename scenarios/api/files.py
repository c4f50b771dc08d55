"""Files through the platform: upload in one request or in parts, read, list, remove."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from core.port import Answer, Port
from scenarios.api.place import Place


def upload(
    port: Port,
    place: Place,
    token: str,
    *,
    name: str,
    data: bytes,
    mime: str = "application/octet-stream",
    folder: str = "/",
    sha256: str | None = None,
) -> Answer:
    """Uploads a file in one request: 201 and `{"file": File}`."""
    headers = place.platform_headers(token) | {"Content-Type": mime}
    if sha256:
        headers["X-Content-SHA256"] = sha256
    query = urlencode({"name": name, "folder": folder})
    return port.request("POST", f"{place.platform}/api/upload?{query}", headers=headers, body=data)


def start(
    port: Port,
    place: Place,
    token: str,
    *,
    name: str,
    size: int,
    mime: str = "application/octet-stream",
    folder: str = "/",
    sha256: str | None = None,
) -> Answer:
    """Begins an upload in parts: 201 and `{"upload": {...}}`."""
    body: dict[str, object] = {"name": name, "size": size, "mime": mime, "folder": folder}
    if sha256:
        body["sha256"] = sha256
    return _json(port, "POST", f"{place.platform}/api/upload/start", place, token, body)


def put_part(port: Port, place: Place, token: str, upload: str, number: int, data: bytes) -> Answer:
    """Sends part `number` (1…)."""
    headers = place.platform_headers(token) | {"Content-Type": "application/octet-stream"}
    return port.request(
        "PUT", f"{place.platform}/api/upload/{upload}/parts/{number}", headers=headers, body=data
    )


def complete(port: Port, place: Place, token: str, upload: str, *, sha256: str | None = None) -> Answer:
    """Ends an upload in parts: 201 and `{"file": File}`."""
    body: dict[str, object] = {"sha256": sha256} if sha256 else {}
    return _json(port, "POST", f"{place.platform}/api/upload/{upload}/complete", place, token, body)


def parts_of(data: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """(number, bytes) of each part; all but the last exactly `size` long."""
    for number, begin in enumerate(range(0, len(data), size), 1):
        yield number, data[begin : begin + size]


def content(port: Port, place: Place, token: str, file: str) -> Answer:
    """A file's bytes."""
    return port.request(
        "GET", f"{place.platform}/api/files/{quote(file)}/content", headers=place.platform_headers(token)
    )


def remove(port: Port, place: Place, token: str, file: str) -> Answer:
    """Removes a file, all its versions and their objects: 204."""
    return port.request(
        "DELETE", f"{place.platform}/api/files/{quote(file)}", headers=place.platform_headers(token)
    )


def _json(port: Port, method: str, url: str, place: Place, token: str, body: dict[str, object]) -> Answer:
    headers = place.platform_headers(token) | {"Content-Type": "application/json"}
    return port.request(method, url, headers=headers, body=json.dumps(body).encode())


def refusal(answer: Answer) -> dict[str, Any]:
    """The platform's words for a refused request (`code`, `message`, `details`); empty when it refused nothing."""
    body = answer.json()
    found = body.get("error") if isinstance(body, dict) else None
    return found if isinstance(found, dict) else {}
