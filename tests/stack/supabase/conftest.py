"""One PostgreSQL and one gateway for the whole room; each test makes users of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from supabase import create_client
from supabase.lib.client_options import SyncClientOptions

from tests.stack.supabase import engine

PASSWORD = "secret-1"


@dataclass
class Person:
    """Somebody signed in. ``client`` is the official one, ``http`` bare requests in their name."""

    id: str
    email: str
    client: Any
    http: httpx.Client


@pytest.fixture(scope="session")
def cluster() -> Iterator[engine.Postgres]:
    with engine.postgres() as made:
        yield made


@pytest.fixture(scope="session")
def gateway(cluster: engine.Postgres) -> Iterator[engine.Gateway]:
    with engine.gateway(cluster) as made:
        yield made


@pytest.fixture
def service(gateway: engine.Gateway) -> Iterator[Any]:
    """The official client with the secret key."""
    with httpx.Client(timeout=20) as http:
        yield create_client(gateway.url, gateway.keys.secret_key, SyncClientOptions(httpx_client=http))


@pytest.fixture
def anon(gateway: engine.Gateway) -> Iterator[Any]:
    """The official client with the publishable key."""
    with httpx.Client(timeout=20) as http:
        yield create_client(gateway.url, gateway.keys.publishable_key, SyncClientOptions(httpx_client=http))


@pytest.fixture
def person(gateway: engine.Gateway, service: Any) -> Iterator[Callable[..., Person]]:
    """Makes signed-in people."""
    opened: list[httpx.Client] = []

    def make(name: str = "somebody") -> Person:
        email = f"{name}-{uuid.uuid4().hex[:10]}@example.test"
        made = service.auth.admin.create_user(
            {"email": email, "password": PASSWORD, "email_confirm": True, "user_metadata": {"name": name}}
        )
        http, key = httpx.Client(timeout=20), gateway.keys.publishable_key
        client = create_client(gateway.url, key, SyncClientOptions(httpx_client=http))
        session = client.auth.sign_in_with_password({"email": email, "password": PASSWORD}).session
        assert session is not None
        headers = {"apikey": key, "authorization": f"Bearer {session.access_token}"}
        bare = httpx.Client(base_url=gateway.url, headers=headers, timeout=20)
        opened.extend((http, bare))
        return Person(made.user.id, email, client, bare)

    yield make
    for http in opened:
        http.close()


@pytest.fixture
def raw(gateway: engine.Gateway) -> Iterator[httpx.Client]:
    """Bare HTTP with the publishable key."""
    with httpx.Client(
        base_url=gateway.url, headers={"apikey": gateway.keys.publishable_key}, timeout=20
    ) as client:
        yield client


@pytest.fixture
def root(gateway: engine.Gateway) -> Iterator[httpx.Client]:
    """Bare HTTP with the secret key."""
    with httpx.Client(
        base_url=gateway.url, headers={"apikey": gateway.keys.secret_key}, timeout=20
    ) as client:
        yield client
