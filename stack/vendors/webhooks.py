"""Builder.io's webhooks: a POST to the platform whenever content is published, unpublished or deleted.

Source: Builder.io, "Webhooks" (payload and operations) and "Global webhooks" (own headers, payload may be
switched off). Builder.io documents neither a signature nor retries: a receiver knows it by headers that the
operator sets. The seed asks for signed webhooks, so this stand-in is Builder.io with a signing relay behind
it: `X-Builder-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256(secret, "<t>.<body>")>`, sent again until a
2xx. With the option `builder_webhook_form: "header"` it is Builder.io alone: the secret in the custom header
`X-Builder-Webhook-Secret`.
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


def signature(secret: str, body: bytes, at: int) -> str:
    """Return the `X-Builder-Signature` of a body sent at `at` (epoch seconds)."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


class Webhooks:
    """The space's webhooks and their deliveries."""

    def __init__(self, store: Store, variables: dict[str, str], options: dict[str, Any]) -> None:
        self.store = store
        self.pauses = tuple(options.get("builder_webhook_pauses", PAUSES))
        self._tasks: set[asyncio.Task[None]] = set()
        if platform := variables.get("PLATFORM_URL"):
            secret = variables["BUILDER_WEBHOOK_SECRET"]
            signed = options.get("builder_webhook_form", "signature") == "signature"
            hook = {
                "url": platform.rstrip("/") + "/api/content/webhook",
                "secret": secret if signed else "",
                "headers": {} if signed else {"X-Builder-Webhook-Secret": secret},
                "disablePayload": False,
            }
            store.put(WEBHOOK, "default", hook)

    def deliver(
        self,
        operation: str,
        model: str,
        new: dict[str, Any] | None,
        old: dict[str, Any] | None,
        of_model: list[dict[str, Any]],
    ) -> None:
        """Start the delivery of one change to the space's webhooks and those of the model; returns at once.

        A model's webhook is `{url, customHeaders: [{name, value}], disablePayload}`.
        """
        if LOSING.get():
            return
        payload = {"operation": operation, "modelName": model, "newValue": new, "previousValue": old}
        own = [
            {
                **hook,
                "secret": "",
                "headers": {one["name"]: one["value"] for one in hook.get("customHeaders") or []},
            }
            for hook in of_model
        ]
        for hook in [*self.store.all(WEBHOOK), *own]:
            shown = (
                payload if not hook.get("disablePayload") else {"operation": operation, "modelName": model}
            )
            task = asyncio.get_running_loop().create_task(self._send(hook, shown))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, hook: dict[str, Any], payload: dict[str, Any]) -> None:
        body = json.dumps(payload, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "Builder.io-Webhook", **hook["headers"]}
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
                if hook["secret"]:
                    headers["X-Builder-Signature"] = signature(hook["secret"], body, int(time.time()))
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
