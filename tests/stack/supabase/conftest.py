"""One PostgreSQL and one gateway for the whole room; each test makes users of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest
from supabase import Client, create_client
from supabase.lib.client_options import SyncClientOptions

from tests.stack.supabase import engine


@pytest.fixture(scope="session")
def cluster() -> Iterator[engine.Postgres]:
    with engine.postgres() as made:
        yield made


@pytest.fixture(scope="session")
def gateway(cluster: engine.Postgres) -> Iterator[engine.Gateway]:
    with engine.gateway(cluster) as made:
        yield made


@pytest.fixture
def service(gateway: engine.Gateway) -> Iterator[Client]:
    yield from _client(gateway, gateway.keys.secret_key)


@pytest.fixture
def anon(gateway: engine.Gateway) -> Iterator[Client]:
    yield from _client(gateway, gateway.keys.publishable_key)


def _client(gateway: engine.Gateway, key: str) -> Iterator[Client]:
    with httpx.Client(timeout=20) as http:
        yield create_client(gateway.url, key, SyncClientOptions(httpx_client=http))


@pytest.fixture
def person(gateway: engine.Gateway, service: Client) -> Iterator[Callable[..., Client]]:
    """Makes signed-in people: a client each, with ``.email`` and ``.user_id`` on it."""
    opened: list[httpx.Client] = []

    def make(name: str = "somebody") -> Client:
        email = f"{name}-{uuid.uuid4().hex[:10]}@example.test"
        made = service.auth.admin.create_user({"email": email, "password": "secret-1", "email_confirm": True, "user_metadata": {"name": name}})
        http = httpx.Client(timeout=20)
        opened.append(http)
        client = create_client(gateway.url, gateway.keys.publishable_key, SyncClientOptions(httpx_client=http))
        client.auth.sign_in_with_password({"email": email, "password": "secret-1"})
        client.email, client.user_id = email, made.user.id  # type: ignore[attr-defined]
        return client

    yield make
    for http in opened:
        http.close()


@pytest.fixture
def raw(gateway: engine.Gateway) -> Iterator[httpx.Client]:
    """Bare HTTP with the publishable key."""
    with httpx.Client(base_url=gateway.url, headers={"apikey": gateway.keys.publishable_key}, timeout=20) as client:
        yield client
