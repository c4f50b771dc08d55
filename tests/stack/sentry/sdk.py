"""The real Python SDK, for one block of a test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sentry_sdk
from sentry_sdk.scope import use_isolation_scope

from tests.stack.vendors.running import Running


@contextlib.contextmanager
def sdk(sentry: Running, **options: Any) -> Iterator[sentry_sdk.Client]:
    """Speak to `sentry` inside the block; everything is sent when it ends."""
    given = {"dsn": sentry.env["SENTRY_DSN"], "default_integrations": False, **options}
    client = sentry_sdk.Client(**given)
    scope = sentry_sdk.Scope(client=client)
    with use_isolation_scope(scope), sentry_sdk.new_scope():
        yield client
    client.flush(10)
    client.close()
