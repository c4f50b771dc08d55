"""P6.3, P1.2: nobody gives themselves what is not theirs to give, by fields that a form does not have."""

from __future__ import annotations

from typing import Any

from clients.service_clients import ServiceClients
from core.errors import ServiceError
from core.expect import expect, expect_equal
from core.passport import check
from core.run import Run
from scenarios.adapter import Adapter
from suites.auth.people import claims_of
from suites.security.attempts import Attempts, HostilePort, said
from suites.types import NewActor, NewFile, Witness

AUTH = "supabase.auth"
PLATFORM = "platform"


def raised(other: str) -> dict[str, Any]:
    """Fields of a user that Auth alone may set."""
    return {
        "app_metadata": {"provider": "email", "role": "admin", "assay_raised": True},
        "raw_app_meta_data": {"assay_raised": True},
        "role": "service_role",
        "aud": "assay-raised",
        "is_super_admin": True,
        "is_sso_user": True,
        "id": other,
        "banned_until": "2000-01-01T00:00:00Z",
        "email_confirmed_at": "2000-01-01T00:00:00Z",
    }


@check(
    "security.own_role",
    "A person who changes their account changes neither their role, nor their rights, nor whose account it is",
    requirement=("P1.2", "P6.3"),
    service=AUTH,
    needs=("auth.email",),
    threat="Whoever can write their own role is an administrator.",
    references=(
        "ASVS 8.2.3",
        "ASVS 15.3.3",
        "API3:2023 Broken Object Property Level Authorization",
        "CWE-915",
    ),
    fix="Decide roles by app_metadata or a table that people cannot write; never by user_metadata.",
)
def test_own_role(run: Run, services: ServiceClients, actor: NewActor, witness: Witness) -> None:
    """One change with every such field beside one that is theirs: this is kept, the others not, nor in the next token."""
    person, other = actor(), actor()
    before = services.auth.user(person.id) or {}
    body = {"data": {"assay": "theirs"}, **raised(other.id)}
    services.auth.as_user(
        "PUT", "/user", person.access_token, body=body
    )  # whatever it answers: judged by what is kept
    plain = services.auth.as_user("PUT", "/user", person.access_token, body={"data": {"assay": "theirs"}})
    plain.expect(200, claim="a person changes what is theirs (positive control)")
    after = services.auth.user(person.id) or {}
    witness("the admin API", "the account before and after")
    expect_equal(
        (after.get("user_metadata") or {}).get("assay"), "theirs", "their own word is kept", service=AUTH
    )
    attempts = Attempts(AUTH)
    for name in ("id", "role", "aud", "email_confirmed_at", "app_metadata", "banned_until"):
        attempts.must_fail(f"they set {name}", after.get(name) == before.get(name), repr(after.get(name)))
    if services.database.sql:
        admin = services.database.sql.value(
            "select coalesce(is_super_admin, false) from auth.users where id = %s", (person.id,)
        )
        attempts.must_fail("they make themselves super admin", admin is False)
    session = services.auth.port.request(
        "POST", "/token", params={"grant_type": "refresh_token"}, body={"refresh_token": person.refresh_token}
    )
    claims = claims_of(str(session.expect(200, claim="the session goes on").json(dict)["access_token"]))
    old = claims_of(person.access_token)
    for name in ("sub", "role", "aud", "app_metadata"):
        attempts.must_fail(
            f"the next token has another {name}", claims.get(name) == old.get(name), claims.get(name)
        )
    attempts.judge("who changes their account changes neither role nor rights", "as it was")


EXTRA = ("owner_id", "user_id", "owner", "created_by", "author_id")
"""Fields by which tables of files name whose one is."""


@check(
    "security.extra_fields",
    "A change of a file changes what its form has, and no owner, key, size or store",
    requirement=("P2.3", "P6.3"),
    service=PLATFORM,
    needs=(
        "platform.api",
        "auth.email",
        "platform.files",
        "platform.files",
        "platform.files.*.change",
        "platform.files.*.show",
    ),
    threat="A field too many gives a file away, or leads to another's bytes.",
    references=("ASVS 15.3.3", "API3:2023 Broken Object Property Level Authorization", "CWE-915"),
    fix="Take from a request the fields that a form has, by name, and no others.",
)
def test_extra_fields(
    run: Run, services: ServiceClients, adapter: Adapter, actor: NewActor, made: NewFile, witness: Witness
) -> None:
    """The change is sent with further fields; what the description of the file says of them stays, and so do its bytes."""
    person, other, attempts = actor(), actor(), Attempts(PLATFORM)
    port, token = services.platform.port, person.access_token
    for kind, described in run.target.description.platform.files.items():
        if described.change is None or described.show is None or described.change.body != "json":
            continue
        file = made(500, described.type)
        taken = adapter.upload(port, token, name=file.name, data=file.data, mime=file.mime, kind=kind)
        if taken.status != described.upload.answers:
            raise ServiceError(PLATFORM, f"preparing a file: {said(taken)}")
        stored = adapter.stored(taken, kind)
        held = _words(stored.whole, described.change.fields)
        extra = dict.fromkeys(EXTRA, other.id) | {name: _another(value) for name, value in held.items()}
        route = described.change.model_copy(update={"fields": {**extra, **described.change.fields}})
        sent = adapter.ask(HostilePort(port), route, token, id=stored.id, name=f"new-{file.name}", folder="/")
        attempts.must_fail(f"changing a {kind} with fields too many breaks it", sent.status < 500, said(sent))
        plain = adapter.ask(port, described.change, token, id=stored.id, name=f"new-{file.name}", folder="/")
        expect(
            200 <= plain.status < 300,
            f"a {kind} is changed (positive control)",
            saw=said(plain),
            service=PLATFORM,
        )
        shown = adapter.ask(port, described.show, token, id=stored.id)
        attempts.must_fail(f"a {kind} is its owner's no more", shown.status == 200, said(shown))
        for name, value in extra.items():
            attempts.must_fail(
                f"{name} of a {kind} can be set",
                f'"{name}":{_json(value)}' not in shown.text.replace(" ", ""),
                value,
            )
        theirs = adapter.ask(port, described.show, other.access_token, id=stored.id)
        attempts.must_fail(f"a {kind} is given away", theirs.status in (401, 403, 404), said(theirs))
        if described.read is not None:
            back = adapter.read_file(port, token, stored.id, kind=kind)
            attempts.must_fail(f"a {kind} has other bytes", back.content == file.data, said(back))
        witness(PLATFORM, f"{len(extra)} fields too many of a {kind}")
    attempts.judge("a change changes what its form has", "owner, key, size, type and store as they were")


def _words(whole: Any, form: dict[str, Any]) -> dict[str, Any]:
    """What a file's description says beside what its form has: texts and numbers."""
    kept = {
        k: v
        for k, v in dict(whole).items()
        if k not in form and isinstance(v, str | int) and not isinstance(v, bool)
    }
    return {k: v for k, v in kept.items() if not k.endswith("_at")}


def _another(value: Any) -> Any:
    return value + 1_000_003 if isinstance(value, int) else f"assay-{value}"


def _json(value: Any) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'
