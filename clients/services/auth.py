"""Supabase Auth: people as the platform's own SDK sees them, identities through the admin API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx
from supabase import Client as Supabase
from supabase.lib.client_options import SyncClientOptions
from supabase_auth import SyncMemoryStorage

from clients import http
from clients.http_port import LARGE, HttpPort, WireAnswer
from clients.login_budget import paced
from clients.mailbox import Mailbox
from clients.pages import pages
from clients.sdk import SupabaseTransport, guarded
from clients.services import Probe
from clients.strict_json import read_json
from core.errors import ServiceError
from core.ownership import carries_tag
from core.run import Run
from core.secret import named_secrets
from core.service import Service, Variable

_PUBLIC_KEYS = (
    "SUPABASE_PUBLISHABLE_KEY",
    "SUPABASE_ANON_KEY",
    "VITE_SUPABASE_PUBLISHABLE_KEY",
    "NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY",
    "NEXT_PUBLIC_SUPABASE_ANON_KEY",
)
SUPABASE_URL = Variable(
    "VITE_SUPABASE_URL", aliases=("SUPABASE_URL", "NEXT_PUBLIC_SUPABASE_URL"), local="API_URL", url=True
)
PUBLIC_KEY = Variable(
    "VITE_SUPABASE_ANON_KEY",
    aliases=(
        "VITE_SUPABASE_PUBLISHABLE_KEY",
        "SUPABASE_PUBLISHABLE_KEY",
        "SUPABASE_ANON_KEY",
        "NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY",
        "NEXT_PUBLIC_SUPABASE_ANON_KEY",
    ),
    local="ANON_KEY",
)
SECRET_KEY = Variable(
    "SUPABASE_SERVICE_KEY",
    aliases=("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
    local="SERVICE_ROLE_KEY",
    secret=True,
)
DB_URL = Variable(
    "SUPABASE_DB_URL",
    local="DB_URL",
    secret=True,
    url=True,
    witness=True,
    right="a role that reads every table past row-level security, e.g. postgres; through the pooler's address",
    lost="rows, policies and auth.users as PostgreSQL holds them; the service key's REST answers in their place",
)

SERVICE = Service(
    id="supabase.auth",
    title="Supabase Auth",
    variables=(
        SUPABASE_URL,
        PUBLIC_KEY,
        SECRET_KEY,
        DB_URL,
        Variable(
            "MAILBOX_URL",
            local="INBUCKET_URL",
            url=True,
            witness=True,
            optional=True,
            right="read and delete messages of the test identities' domain",
            lost="that confirmation and recovery mails really arrive; links come from the admin API instead",
        ),
        Variable("MAIL_DOMAIN", optional=True),
        Variable("OAUTH_TEST_PROVIDER", optional=True),
    ),
    capabilities={
        "auth.email": "people register, confirm, log in and recover by e-mail and password",
        "auth.mail": "Supabase sends mail that Assay can read in a mailbox",
        "auth.oauth": "people log in through an OAuth provider whose sign-in page takes a test identity",
        "auth.anonymous": "people may start anonymously and become permanent",
        "auth.mfa": "people may add a TOTP factor",
    },
    guide="docs/live-target.md#supabase",
    identity=(SUPABASE_URL.name,),
)
ATTRIBUTE = "auth"
_SECRET = frozenset(
    {
        "access_token", "refresh_token", "hashed_token", "provider_token", "provider_refresh_token", "secret",
        "action_link", "client_secret",
    }
)  # fmt: skip


def secrets_in(answer: object) -> Iterator[str]:
    """What of Auth's answer must not be told: tokens, one-time links and second factors' secrets, however deep."""
    if isinstance(answer, dict):
        for name, value in answer.items():
            if name in _SECRET and isinstance(value, str):
                yield value
            yield from secrets_in(value)
    elif isinstance(answer, list):
        for value in answer:
            yield from secrets_in(value)


BEHIND_CAPTCHA = ("/signup", "/token", "/recover", "/otp", "/magiclink", "/resend")
"""Addresses of Auth before which a CAPTCHA may stand (supabase.com/docs/guides/auth/auth-captcha)."""


class AuthClient:
    """Supabase Auth of the target.

    `person()` gives a new SDK client, as a browser would have; `admin` is the SDK with the secret key;
    `port` speaks to /auth/v1 itself.
    """

    def __init__(self, run: Run) -> None:
        target = run.target
        self.run = run
        self.url = target.get(SUPABASE_URL.name).rstrip("/")
        self.public_key = target.get(PUBLIC_KEY.name)
        self._secret = target.secret(SECRET_KEY.name)
        inner = paced(run, http.EndingTransport())
        self._http = httpx.Client(
            transport=SupabaseTransport(target.permit, inner=inner),
            timeout=http.TIMEOUT,
            follow_redirects=False,
            event_hooks={"request": [self._pass_captcha, self._learn_sent], "response": [self._learn]},
        )
        self.port = self._port(
            httpx.Client(
                transport=http.GuardedTransport(SERVICE.id, target.permit, inner=inner),
                timeout=http.TIMEOUT,
                follow_redirects=False,
            )
        )
        self.supabase_admin = self._client(self._secret.reveal())
        self.admin = self.supabase_admin.auth.admin
        self.mailbox = Mailbox(url, target.permit) if (url := target.find("MAILBOX_URL")) else None
        self.domain = target.find("MAIL_DOMAIN") or "assay.example"
        """Domain of the test identities' addresses; no mail is sent there unless MAILBOX_URL reads it."""

    def _pass_captcha(self, request: httpx.Request) -> None:
        """Where the project says that a CAPTCHA stands before Auth, test people pass it by the secret key as bearer."""
        if not self.run.target.description.people.captcha:
            return
        asked = request.url.path.rpartition("/auth/v1")[2]
        bearer = request.headers.get("Authorization", "")
        if asked in BEHIND_CAPTCHA and bearer in ("", f"Bearer {self.public_key}"):
            request.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
            request.headers["apikey"] = self._secret.reveal()  # a key of the new kind stands in both

    def _learn(self, response: httpx.Response) -> None:
        """Every session, key and signed link that Supabase hands out becomes known to the redactor as it comes."""
        if "json" not in response.headers.get("content-type", ""):
            return
        response.read()
        self.run.redactor.learn(named_secrets(response.content[:LARGE].decode("utf-8", "replace")))
        if "/auth/v1/" in response.request.url.path:
            with suppress(ValueError):
                self.run.redactor.learn(secrets_in(read_json(response.content)))

    def _learn_sent(self, request: httpx.Request) -> None:
        """What is exchanged for a session (a code and its verifier, a mailed token) becomes known before it is sent."""
        if "/auth/v1/" in request.url.path and isinstance(request.stream, httpx.ByteStream):
            sent = f"{request.url} {request.content[:LARGE].decode('utf-8', 'replace')}"
            self.run.redactor.learn(named_secrets(sent))

    def _port(self, client: httpx.Client | None = None) -> HttpPort:
        client = client or http.client(SERVICE.id, self.run.target.permit)
        client.event_hooks["request"] += [self._pass_captcha, self._learn_sent]
        client.event_hooks["response"].append(self._learn)
        return HttpPort(
            SERVICE.id,
            self.run.target.permit,
            base=f"{self.url}/auth/v1",
            headers={
                "apikey": self.public_key,
                "Accept": "application/json",
                "X-Supabase-Api-Version": "2024-01-01",  # errors as {code, message}, as the SDKs ask for them
            },
            client=client,
        )

    def unpaced(self) -> HttpPort:
        """A port that neither keeps to the login budget nor waits for a limit; close it after use."""
        return self._port()

    def person(self) -> Supabase:
        """A client with the public key and no session, its own memory, no background refresh."""
        return self._client(self.public_key)

    def _client(self, key: str) -> Supabase:
        options = SyncClientOptions(
            storage=SyncMemoryStorage(),
            auto_refresh_token=False,
            httpx_client=self._http,
            postgrest_client_retry=False,
        )
        return guarded(Supabase.create(self.url, key, options), SERVICE.id)

    def unlike_described(self) -> list[str]:
        """What Auth's own settings say otherwise than `[people]`, in words; it tells of sign-up and confirmation."""
        description, stated = (
            self.run.target.description,
            self.port.request("GET", "/settings").demand(200).json(dict),
        )
        people = description.people
        settings = (
            ("register", people.register_, not stated.get("disable_signup", False)),
            ("confirm", people.confirm, "none" if stated.get("mailer_autoconfirm") else "mail"),
        )
        return [
            f"{description.where(f'people.{name}') or 'target.toml [people]'} says {name} = {json.dumps(said)}, and Auth's "
            f"settings say {json.dumps(seen)}"
            for name, said, seen in settings
            if said != seen
        ]

    def as_user(
        self, method: str, path: str, token: str, body: Any = None, *, params: Mapping[str, Any] | None = None
    ) -> WireAnswer:
        """One request to /auth/v1 with a user's token."""
        return self.port.request(
            method, path, headers={"Authorization": f"Bearer {token}"}, body=body, params=params
        )

    def as_admin(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None
    ) -> WireAnswer:
        """One request to /auth/v1 with the secret key."""
        key = self._secret.reveal()
        headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        return self.port.request(method, path, headers=headers, body=body, params=params)

    def ids_of(self, email: str) -> list[str]:
        """The ids of all users with this e-mail, in whatever letters, through the admin API; there should be one at most."""
        return list(self._ids_of(email))

    def find_id(self, email: str) -> str | None:
        """The user's id by e-mail, through the admin API, newest users first."""
        return next(self._ids_of(email), None)

    def _ids_of(self, email: str) -> Iterator[str]:
        for number in pages(SERVICE.id, f"looking for {email} among all users"):
            answer = self.as_admin("GET", "/admin/users", params={"page": number + 1, "per_page": 200})
            users = answer.demand(200).json(dict).get("users", [])
            yield from (
                str(user["id"]) for user in users if str(user.get("email", "")).lower() == email.lower()
            )
            if len(users) < 200:
                return

    def user(self, identifier: str) -> dict[str, Any] | None:
        """A person as the admin API shows them, or None."""
        answer = self.as_admin("GET", f"/admin/users/{identifier}")
        return None if answer.status == 404 else dict(answer.demand(200).json(dict))

    def is_ours(self, user: Mapping[str, Any]) -> bool:
        """Whether a person is a test identity of this run: the address is of our domain and carries the run's tag."""
        local, _, domain = str(user.get("email") or "").lower().rpartition("@")
        return domain == self.domain.lower() and carries_tag(self.run.id, local)

    def delete_user(self, identifier: str) -> None:
        """Deletes a user for good; quiet when there is none."""
        self.as_admin("DELETE", f"/admin/users/{identifier}", body={"should_soft_delete": False}).demand(
            200, 204, 404
        )

    def close(self) -> None:
        """Closes every connection."""
        self._http.close()
        self.port.close()
        if self.mailbox:
            self.mailbox.close()


def probes(run: Run) -> dict[str, Probe]:
    """What the doctor asks: the settings with the public key, the users with the secret one, the mailbox."""
    client = AuthClient(run)

    def public_key() -> str:
        settings = client.port.request("GET", "/settings").demand(200).json(dict)
        return f"accepted; sign-up {'off' if settings.get('disable_signup') else 'on'}"

    def secret_key() -> str:
        client.as_admin("GET", "/admin/users", params={"page": 1, "per_page": 1}).demand(200)
        return "accepted by the admin API"

    def mailbox() -> str:
        assert client.mailbox is not None
        return f"answers; {len(client.mailbox.for_address('nobody@assay.example'))} messages for nobody"

    def people() -> str:
        if wrong := client.unlike_described():
            raise ServiceError(SERVICE.id, "; ".join(wrong))
        return "sign-up and confirmation are as [people] says"

    found: dict[str, Probe] = {"public key": public_key, "secret key": secret_key, "people": people}
    return {**found, "mailbox": mailbox} if client.mailbox else found
