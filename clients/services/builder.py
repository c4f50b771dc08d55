"""Builder.io: content entries through its write API, and what its content API serves to the public."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

from clients.http_port import HttpPort, WireAnswer
from clients.pages import pages
from clients.services import Probe, undoing
from core.ledger import Undo
from core.ownership import NotOursError, carries_tag, demand_tag
from core.run import Run
from core.service import Service, Variable

PUBLIC_KEY = Variable("BUILDER_PUBLIC_KEY")
PRIVATE_KEY = Variable("BUILDER_PRIVATE_KEY", secret=True)
WEBHOOK_SECRET = Variable("BUILDER_WEBHOOK_SECRET", secret=True)

SERVICE = Service(
    id="builder",
    title="Builder.io",
    variables=(
        PUBLIC_KEY,
        PRIVATE_KEY,
        WEBHOOK_SECRET,
        Variable("BUILDER_API_URL", default="https://cdn.builder.io", url=True),
        Variable("BUILDER_WRITE_URL", default="https://builder.io", url=True),
    ),
    capabilities={
        "content.api": "pages come from Builder.io",
        "content.webhook": "Builder.io's webhook refreshes the platform's content",
        "content.editor": "pages open in Builder.io's visual editor",
    },
    guide="docs/live-target.md#builder",
    identity=(PUBLIC_KEY.name,),
)
ATTRIBUTE = "builder"
MODEL = "page"
_PAGE = 100
"""Entries in one answer at most (www.builder.io/c/docs/content-api, `limit`)."""


def name_of(path: str) -> str:
    """The name of our entry for a path: by it the entry is known again."""
    return f"assay {path}"


def page_entry(
    path: str, title: str, marker: str, *, published: str = "published", **more: Any
) -> dict[str, Any]:
    """An entry of the model `page` for one path, with one text block that holds `marker`."""
    return {
        "name": name_of(path),
        "published": published,
        "query": [
            {"@type": "@builder.io/core:Query", "property": "urlPath", "operator": "is", "value": path}
        ],
        "data": {
            "title": title,
            "url": path,
            "blocks": [
                {
                    "@type": "@builder.io/sdk:Element",
                    "id": "builder-" + hashlib.sha256(marker.encode()).hexdigest()[:32],
                    "component": {"name": "Text", "options": {"text": f"<p>{marker}</p>"}},
                }
            ],
        },
        **more,
    }


class BuilderClient:
    """`content` asks what the public may see; `create`, `change`, `delete` edit with the private key."""

    def __init__(self, run: Run) -> None:
        target = run.target
        self.run = run
        self.public_key = target.get(PUBLIC_KEY.name)
        self._private = target.secret(PRIVATE_KEY.name)
        self._webhook = target.secret(WEBHOOK_SECRET.name)
        self._read = HttpPort(
            SERVICE.id,
            target.permit,
            base=target.get("BUILDER_API_URL"),
            headers={"Accept": "application/json"},
        )
        self._write = HttpPort(
            SERVICE.id,
            target.permit,
            base=target.get("BUILDER_WRITE_URL"),
            headers={"Accept": "application/json", "Authorization": f"Bearer {self._private.reveal()}"},
        )

    def content(
        self, path: str, *, fresh: bool = True, model: str = MODEL, **attributes: str
    ) -> list[dict[str, Any]]:
        """Published entries for a path, as Builder.io serves them. `fresh` passes by its edge cache."""
        params: dict[str, Any] = {
            "apiKey": self.public_key,
            "limit": 1,
            "userAttributes": json.dumps({"urlPath": path, **attributes}),
        }
        if fresh:
            params |= {"cachebust": "true", "cacheSeconds": 0}
        answer = self._read.request("GET", f"/api/v3/content/{model}", params=params)
        return list(answer.demand(200).json(dict).get("results", []))

    def raw_content(self, model: str, **params: Any) -> WireAnswer:
        """One request to the content API with these parameters alone."""
        return self._read.request("GET", f"/api/v3/content/{model}", params=params)

    def entry(self, identifier: str, *, model: str = MODEL) -> dict[str, Any] | None:
        """One entry by its id, a draft too, or None."""
        answer = self._read.request(
            "GET", f"/api/v3/content/{model}/{identifier}", params={**self._all(), "limit": 1}
        )
        return None if answer.status == 404 else dict(answer.demand(200).json(dict))

    def named(self, name: str, *, model: str = MODEL) -> list[dict[str, Any]]:
        """Every entry of exactly this name, drafts too, whatever audience it is for."""
        found: list[dict[str, Any]] = []
        for number in pages(SERVICE.id, f"listing the entries called '{name}'"):
            params = {**self._all(), "query.name": name, "limit": _PAGE, "offset": number * _PAGE}
            answer = self._read.request("GET", f"/api/v3/content/{model}", params=params)
            page = list(answer.demand(200).json(dict).get("results", []))
            found += [entry for entry in page if entry.get("name") == name]
            if len(page) < _PAGE:
                break
        return found

    def _all(self) -> dict[str, Any]:
        """Parameters by which nothing is left out and no cache answers."""
        return {
            "apiKey": self.public_key,
            "includeUnpublished": "true",
            "noTargeting": "true",
            "cachebust": "true",
            "cacheSeconds": 0,
        }

    def create(
        self, entry: Mapping[str, Any], *, model: str = MODEL, webhooks: bool = True
    ) -> dict[str, Any]:
        """Creates an entry; plan it in the ledger as `builder.entry` first."""
        answer = self._write.request(
            "POST", f"/api/v1/write/{model}", body=dict(entry), params=_trigger(webhooks)
        )
        return dict(answer.demand(200, 201).json(dict))

    def change(
        self, identifier: str, change: Mapping[str, Any], *, model: str = MODEL, webhooks: bool = True
    ) -> dict[str, Any]:
        """Merges a change into an entry."""
        answer = self._write.request(
            "PATCH", f"/api/v1/write/{model}/{identifier}", body=dict(change), params=_trigger(webhooks)
        )
        return dict(answer.demand(200).json(dict))

    def delete(self, identifier: str, *, model: str = MODEL, webhooks: bool = True) -> None:
        """Deletes an entry; quiet when it is gone."""
        path = f"/api/v1/write/{model}/{identifier}"
        self._write.request("DELETE", path, params=_trigger(webhooks)).demand(200, 204, 404)

    def write_as(self, key: str, entry: Mapping[str, Any], *, model: str = MODEL) -> WireAnswer:
        """Tries to create an entry with another key; for the check that the key matters."""
        return self._write.request(
            "POST", f"/api/v1/write/{model}", body=dict(entry), headers={"Authorization": f"Bearer {key}"}
        )

    def sign(self, body: bytes, *, at: int | None = None, secret: str | None = None) -> str:
        """The value of `X-Builder-Signature` for a webhook's body, as the platform's signing relay makes it."""
        moment = int(time.time()) if at is None else at
        key = (secret or self._webhook.reveal()).encode()
        digest = hmac.new(key, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        return f"t={moment},v1={digest}"

    @property
    def webhook_secret(self) -> str:
        """The shared secret; for a header alone."""
        return self._webhook.reveal()

    def close(self) -> None:
        """Closes every connection."""
        self._read.close()
        self._write.close()


def _trigger(webhooks: bool) -> dict[str, str]:
    return {} if webhooks else {"triggerWebhooks": "false"}


def undoers(run: Run) -> dict[str, Undo]:
    """`builder.entry` {path, id?, model?}: by the id that Builder.io gave it, else every entry of our name for the path.

    What is served for the path says nothing: a page without targeting is served for every path. No webhook is told: the
    platform would keep the page anew after its cache was emptied, and others' webhooks may build and send.
    """

    def undo_entry(key: Mapping[str, Any]) -> None:
        client = undoing(BuilderClient, run)
        model = key.get("model", MODEL)
        if key.get("id"):
            there = client.entry(key["id"], model=model)
            if there and not carries_tag(run.id, there.get("name")):
                raise NotOursError(f"Builder.io's entry '{there.get('name')}' is not named as one of ours")
            client.delete(key["id"], model=model, webhooks=False)
            return
        name = name_of(demand_tag(run.id, key.get("path", ""), "the path of a page"))
        for entry in client.named(name, model=model):
            client.delete(entry["id"], model=model, webhooks=False)

    return {"builder.entry": undo_entry}


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: the page model with the public key."""

    def public_key() -> str:
        BuilderClient(run).content("/assay-doctor-nothing")
        return f"accepted; model '{MODEL}' answers"

    return {"public key": public_key}
