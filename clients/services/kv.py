"""Cloudflare KV: the platform's content cache, seen through Cloudflare's own API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from clients.http_port import HttpPort
from clients.pages import pages
from clients.services import Probe, undoing
from clients.services.r2 import ACCOUNT, API_TOKEN, API_URL
from clients.strict_json import read_json, strict_json
from core.errors import Missed, ServiceError
from core.ledger import Undo
from core.ownership import demand_tag
from core.run import Run
from core.service import Service, Variable

NAMESPACE = Variable("KV_NAMESPACE_ID")

SERVICE = Service(
    id="kv",
    title="Cloudflare KV",
    variables=(ACCOUNT, API_TOKEN, API_URL, NAMESPACE),
    capabilities={"cache.kv": "content is kept in a KV namespace"},
    guide="docs/live-target.md#cloudflare",
    identity=(ACCOUNT.name, NAMESPACE.name),
)
ATTRIBUTE = "kv"


class KvClient:
    """One namespace through the account's API (developers.cloudflare.com/api, resource kv)."""

    def __init__(self, run: Run) -> None:
        target = run.target
        token = target.secret(API_TOKEN.name).reveal()
        account, namespace = target.get(ACCOUNT.name), target.get(NAMESPACE.name)
        self.port = HttpPort(
            SERVICE.id,
            target.permit,
            base=f"{target.get(API_URL.name).rstrip('/')}/accounts/{account}/storage/kv/namespaces/{namespace}",
            headers={"Authorization": f"Bearer {token}"},
        )

    def get(self, key: str) -> bytes | None:
        """The value, or None."""
        answer = self.port.request("GET", f"/values/{quote(key, safe='')}")
        return None if answer.status == 404 else answer.demand(200).content

    def kept(self, key: str) -> dict[str, Any]:
        """What the platform keeps under a key, as JSON; Missed when that is no object, or lacks what is asked of it."""
        content = self.get(key)

        def on_missing(what: str) -> Missed:
            claim = f"KV keeps a page whole under {key}"
            return Missed(claim, expected=what, saw=repr(content)[:300], service=SERVICE.id)

        try:
            value = read_json(content or b"")
        except ValueError:
            raise on_missing("JSON") from None
        if not isinstance(value, dict):
            raise on_missing("an object")
        page: dict[str, Any] = strict_json(value, on_missing)
        return page

    def put(self, key: str, value: bytes) -> None:
        """Stores a value; for the witness's own markers."""
        self.port.request("PUT", f"/values/{quote(key, safe='')}", body=value).demand(200)

    def delete(self, *keys: str) -> None:
        """Removes keys; absent ones are no failure."""
        for key in keys:
            self.port.request("DELETE", f"/values/{quote(key, safe='')}").demand(200, 404)

    def keys(self, prefix: str) -> list[str]:
        """Keys that begin with `prefix`. Listing may lag behind writing on the real service."""
        return [str(entry["name"]) for entry in self._entries(prefix)]

    def lasting_keys(self) -> list[str]:
        """Every key that does not expire by itself (`expiration` in Cloudflare's listing of keys)."""
        return [str(entry["name"]) for entry in self._entries("") if not entry.get("expiration")]

    def _entries(self, prefix: str) -> Iterator[dict[str, Any]]:
        cursor, seen = "", set[str]()
        for _ in pages(SERVICE.id, what := f"listing keys of '{prefix}'"):
            params = {"prefix": prefix, "limit": 1000} | ({"cursor": cursor} if cursor else {})
            document = self.port.request("GET", "/keys", params=params).demand(200).json(dict)
            yield from document.get("result") or []
            cursor = (document.get("result_info") or {}).get("cursor") or ""
            if cursor in seen:
                raise ServiceError(SERVICE.id, f"{what} never ends: a cursor comes again")
            if not cursor:
                return
            seen.add(cursor)

    def close(self) -> None:
        """Closes every connection."""
        self.port.close()


def content_keys(path: str) -> str:
    """The prefix of every kept variant of a content page."""
    return f"content:page:{path}|"


def undoers(run: Run) -> dict[str, Undo]:
    """`kv.prefix` {prefix}: every key that begins so; the prefix holds the run's tag."""

    def undo_prefix(key: Mapping[str, Any]) -> None:
        client = undoing(KvClient, run)
        prefix = demand_tag(run.id, key.get("prefix", ""), "the start of a KV key")
        client.delete(*(name for name in client.keys(prefix) if name.startswith(prefix)))

    return {"kv.prefix": undo_prefix}


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: a listing through the account's API."""

    def namespace() -> str:
        KvClient(run).keys("assay-doctor-nothing")
        return "the namespace answers the account's API"

    return {"API witness": namespace}
