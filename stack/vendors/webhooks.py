"""Builder.io's webhooks: a POST to the platform whenever content is published, unpublished or deleted.

Source: Builder.io, "Webhooks" (payload and operations) and "Global webhooks" (own headers, payload may be
switched off). Builder.io documents no signature: a receiver is told apart by headers that the operator
sets. The widely used convention of its users is `x-builder-signature`, the hexadecimal HMAC-SHA256 of the
raw body under a shared secret, which is what this stand-in adds; see the README.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import time
import uuid
from typing import Any

import httpx

from stack.vendors.store import LOSING, Store

WEBHOOK = "builder.webhook"
DELIVERY = "builder.delivery"
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt after a delivery that did not answer 2xx."""
DEADLINE = 5.0
"""Seconds that a receiver has to answer one attempt."""


def signature(secret: str, body: bytes) -> str:
    """Return the `x-builder-signature` of a body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class Webhooks:
    """The space's webhooks and their deliveries."""

    def __init__(self, store: Store, variables: dict[str, str], options: dict[str, Any]) -> None:
        self.store = store
        self.pauses = tuple(options.get("builder_webhook_pauses", PAUSES))
        self._tasks: set[asyncio.Task[None]] = set()
        if platform := variables.get("PLATFORM_URL"):
            store.put(
                WEBHOOK,
                "default",
                {
                    "url": platform.rstrip("/") + "/api/content/webhook",
                    "secret": variables["BUILDER_WEBHOOK_SECRET"],
                    "headers": {},
                    "disablePayload": False,
                },
            )

    def deliver(
        self, operation: str, model: str, new: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> None:
        """Start the delivery of one change to every webhook; returns at once."""
        if LOSING.get():
            return
        payload = {"operation": operation, "modelName": model, "newValue": new, "previousValue": old}
        for hook in self.store.all(WEBHOOK):
            shown = (
                payload if not hook.get("disablePayload") else {"operation": operation, "modelName": model}
            )
            task = asyncio.get_running_loop().create_task(self._send(hook, shown))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, hook: dict[str, Any], payload: dict[str, Any]) -> None:
        body = json.dumps(payload, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "Builder.io-Webhook", **hook["headers"]}
        if hook.get("secret"):
            headers["x-builder-signature"] = signature(hook["secret"], body)
        entry = payload.get("newValue") or payload.get("previousValue") or {}
        delivery = {
            "id": uuid.uuid4().hex,
            "url": hook["url"],
            "operation": payload["operation"],
            "entry": entry.get("id"),
            "attempts": [],
            "delivered": False,
        }
        async with httpx.AsyncClient(timeout=DEADLINE, trust_env=False) as client:
            for pause in (0.0, *self.pauses):
                await asyncio.sleep(pause)
                attempt: dict[str, Any] = {"at": time.time()}
                try:
                    answer = await client.post(hook["url"], content=body, headers=headers)
                    attempt["status"] = answer.status_code
                    delivery["delivered"] = answer.is_success
                except httpx.HTTPError as error:
                    attempt["error"] = f"{type(error).__name__}: {error}"
                delivery["attempts"].append(attempt)
                self.store.put(DELIVERY, delivery["id"], delivery)
                if delivery["delivered"]:
                    return
        print(f"builder: webhook to {hook['url']} given up: {delivery['attempts'][-1]}", file=sys.stderr)
