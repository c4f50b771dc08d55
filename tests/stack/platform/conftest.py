"""The platform's own tests run against a whole stack of theirs, reached by network alone."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

ROOT = Path(__file__).parents[3]


@dataclass
class Person:
    """A signed-in user of the platform."""

    id: str
    email: str
    password: str
    token: str
    http: httpx.Client

    @property
    def bearer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


class Stack:
    """The stack's variables, and clients made from them."""

    def __init__(self, variables: dict[str, str], config: dict[str, Any]) -> None:
        self.env = variables
        self.config = config
        self.url = variables["PLATFORM_URL"]
        self.supabase = variables["VITE_SUPABASE_URL"]
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.people: list[Person] = []

    def service(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request to Supabase with the service key."""
        key = self.env["SUPABASE_SERVICE_KEY"]
        headers = {"apikey": key, **more.pop("headers", {})}
        if not key.startswith("sb_"):  # a legacy key is a JWT, and stands in both
            headers.setdefault("authorization", f"Bearer {key}")
        return httpx.request(method, self.supabase + path, headers=headers, timeout=30, **more)

    def as_user(self, person: Person, method: str, path: str, **more: Any) -> httpx.Response:
        """A request to Supabase as that person."""
        headers = {"apikey": self.env["VITE_SUPABASE_ANON_KEY"], **person.bearer, **more.pop("headers", {})}
        return httpx.request(method, self.supabase + path, headers=headers, timeout=30, **more)

    def sign_in(self, email: str, password: str) -> str:
        answer = httpx.post(
            f"{self.supabase}/auth/v1/token?grant_type=password",
            json={"email": email, "password": password},
            headers={"apikey": self.env["VITE_SUPABASE_ANON_KEY"]},
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def person(self) -> Person:
        tag = secrets.token_hex(5)
        email, password = f"p-{tag}@example.test", secrets.token_urlsafe(12)
        made = self.service(
            "POST",
            "/auth/v1/admin/users",
            json={
                "email": email,
                "password": password,
                "email_confirm": True,
                "user_metadata": {"username": f"u_{tag}"},
            },
        )
        made.raise_for_status()
        token = self.sign_in(email, password)
        http = httpx.Client(base_url=self.url, timeout=60, headers={"authorization": f"Bearer {token}"})
        somebody = Person(made.json()["id"], email, password, token, http)
        self.people.append(somebody)
        return somebody

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows, by the witness's own connection to PostgreSQL."""
        with psycopg.connect(self.env["SUPABASE_DB_URL"]) as db:
            cursor = db.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def s3(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.env["R2_ENDPOINT"],
            region_name="auto",
            aws_access_key_id=self.env["R2_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["R2_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def r2_keys(self, prefix: str) -> list[str]:
        listed = self.s3().list_objects_v2(Bucket=self.env["R2_BUCKET_NAME"], Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

    def storage_keys(self, prefix: str) -> list[str]:
        return [
            row[0]
            for row in self.sql(
                "select name from storage.objects where bucket_id = 'files' and name like %s", prefix + "%"
            )
        ]

    def kv(self, method: str, path: str, **more: Any) -> httpx.Response:
        base = f"{self.env['CLOUDFLARE_API_URL']}/accounts/{self.env['CLOUDFLARE_ACCOUNT_ID']}/storage/kv/namespaces"
        headers = {"authorization": f"Bearer {self.env['CLOUDFLARE_API_TOKEN']}"}
        return httpx.request(
            method, f"{base}/{self.env['KV_NAMESPACE_ID']}/{path}", headers=headers, timeout=30, **more
        )

    def control(self, path: str, value: Any = None) -> httpx.Response:
        """A request to a component's own control path, as the supervisor makes it."""
        headers = {"authorization": f"Bearer {self.config['secrets']['control_token']}"}
        return httpx.post(path, json=value, headers=headers, timeout=30)


def until(what: Callable[[], Any], seconds: float = 20) -> Any:
    """The first true answer of `what`, asked again and again for so long."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.05)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of our own; or the one that PLATFORM_TEST_STATE names, which is left running."""
    given = os.environ.get("PLATFORM_TEST_STATE")
    state = Path(given) if given else tmp_path_factory.mktemp("stack")
    command = [sys.executable, "-m", "stack.supervisor"]
    if not given:
        subprocess.run(
            [*command, "up", "--state", str(state)], cwd=ROOT, check=True, timeout=180, capture_output=True
        )
    try:
        config = json.loads((state / "CONFIG.json").read_text())
        it = Stack(config["variables"], config)
        yield it
        for somebody in it.people:
            it.service("DELETE", f"/auth/v1/admin/users/{somebody.id}")
            somebody.http.close()
        it.http.close()
    finally:
        if not given:
            subprocess.run(
                [*command, "down", "--state", str(state)],
                cwd=ROOT,
                check=True,
                timeout=60,
                capture_output=True,
            )


@pytest.fixture
def person(stack: Stack) -> Person:
    """Somebody new, removed at the end of the session."""
    return stack.person()
