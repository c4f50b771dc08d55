"""Steps that the content checks share: a page of the check's own at Builder.io, and how the platform serves it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from clients.http_port import WireAnswer
from clients.service_clients import ServiceClients
from clients.services.builder import page_entry
from clients.services.kv import content_keys
from core.clock import eventually
from core.description import fill
from core.ledger import Ledger
from core.run import Run
from scenarios.adapter import Adapter

PLATFORM = "platform"


@dataclass
class ContentPage:
    """One page at a path of its own. Changes tell no webhook unless asked to."""

    services: ServiceClients
    adapter: Adapter
    ledger: Ledger
    path: str
    tag: str
    elsewhere: bool = False
    """Whether Builder.io serves a page of somebody else's at this path, too: one without targeting is for every path."""
    id: str = ""

    def absent(self, answer: WireAnswer, text: str) -> bool:
        """Whether an answer serves nothing of this page's: 404, or somebody else's page where there is one."""
        return answer.status == 404 or (self.elsewhere and answer.status == 200 and text not in answer.text)

    def held(self) -> list[dict[str, Any]]:
        """The page as Builder.io serves it to the public, nobody else's."""
        return [one for one in self.services.builder.content(self.path) if one.get("id") == self.id]

    def publish(self, text: str, *, webhooks: bool = False, **more: Any) -> dict[str, Any]:
        """Creates the page, or changes it, with one text block."""
        entry = page_entry(self.path, f"Page {self.tag}", text, **more)
        if self.id:
            changed: dict[str, Any] = self.services.builder.change(self.id, entry, webhooks=webhooks)
            return changed
        planned = self.ledger.plan("builder.entry", path=self.path)
        made: dict[str, Any] = self.services.builder.create(entry, webhooks=webhooks)
        self.id = made["id"]
        planned.confirm(id=self.id)
        return made

    def get(self, **targeting: str) -> WireAnswer:
        """The page as the platform serves it."""
        answer = self.adapter.page(self.services.platform.port, self.path, **targeting)
        assert isinstance(answer, WireAnswer)
        return answer

    def changed_since(self, etag: str) -> WireAnswer:
        """The page, unless it is still the one with this ETag (304)."""
        described = self.services.run.target.description.content
        assert described is not None
        query = fill(described.page.query, {"path": self.path})
        path = self.services.platform.path("content.page", path=self.path)
        return self.services.platform.call("GET", path, params=query, headers={"If-None-Match": etag})

    def served(self, text: str, *, within: float = 30, **targeting: str) -> WireAnswer:
        """Waits until the platform serves the page with this text."""
        return eventually(
            lambda: self.get(**targeting),
            until=lambda a: a.status == 200 and text in a.text,
            within=within,
            claim=f"the platform serves {self.path} with the text {text!r}",
            service=PLATFORM,
        )

    def hook(
        self, operation: str, value: dict[str, Any] | None, previous: dict[str, Any] | None = None
    ) -> bytes:
        """A webhook's body as Builder.io documents it."""
        return json.dumps(
            {"operation": operation, "modelName": "page", "newValue": value, "previousValue": previous}
        ).encode()

    def tell(self, body: bytes, **headers: str) -> WireAnswer:
        """Sends a webhook to the platform with these headers."""
        answer: WireAnswer = self.services.platform.call(
            "POST",
            self.services.platform.path("content.webhook"),
            body=body,
            headers={"Content-Type": "application/json", **headers},
        )
        return answer

    def signed(self, body: bytes, *, at: int | None = None, secret: str | None = None) -> dict[str, str]:
        """The header of a signing relay."""
        return {"X-Builder-Signature": self.services.builder.sign(body, at=at, secret=secret)}

    def with_secret(self) -> dict[str, str]:
        """Builder.io's own custom header."""
        return {"X-Builder-Webhook-Secret": self.services.builder.webhook_secret}


def new_page(run: Run, services: ServiceClients, ledger: Ledger, adapter: Adapter) -> ContentPage:
    """A page of the check's own, not yet published; its cache entries are planned in the ledger."""
    tag = run.tag()
    path = f"/assay/{tag}"
    ledger.plan("kv.prefix", prefix=content_keys(path))
    return ContentPage(services, adapter, ledger, path, tag, elsewhere=bool(services.builder.content(path)))


def now_ms() -> int:
    """Milliseconds since the epoch, as Builder.io counts."""
    return int(time.time() * 1000)
