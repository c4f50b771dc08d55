"""Users and their identities: rows of schema ``auth``, and the JSON that clients see."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg

from stack.supabase.auth import rows
from stack.supabase.auth.errors import AuthError, invalid

Row = dict[str, Any]
NOBODY = "00000000-0000-0000-0000-000000000000"
SELECT = """
select u.*,
  (select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]')
    from auth.identities i where i.user_id = u.id) as identities,
  (select coalesce(jsonb_agg(to_jsonb(f) - 'secret' order by f.created_at), '[]')
    from auth.mfa_factors f where f.user_id = u.id) as factors
from auth.users u where {where}"""
BY_ID, BY_EMAIL = SELECT.format(where="u.id = $1"), SELECT.format(where="u.email = $1 and not u.is_sso_user")
EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]+@([^\s@<>()\[\],;:\\\"]+\.[^\s@<>()\[\],;:\\\".]+|localhost)")
# What clients see (supabase/auth, models.User, models.Identity, models.Factor); what is null is left out.
SHOWN = (
    "id", "aud", "role", "email_confirmed_at", "invited_at", "phone_confirmed_at", "confirmation_sent_at", "confirmed_at",
    "recovery_sent_at", "email_change_sent_at", "last_sign_in_at", "banned_until", "deleted_at", "created_at", "updated_at",
    "is_anonymous",
)  # fmt: skip
IDENTITY = ("user_id", "identity_data", "provider", "last_sign_in_at", "created_at", "updated_at", "email")
FACTOR = ("id", "friendly_name", "factor_type", "status", "created_at", "updated_at")


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def _shown(row: Row, names: tuple[str, ...]) -> Row:
    out: Row = {}
    for name in names:
        value = row[name]
        if name.endswith(("_at", "_until")) and value is not None:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
            value = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if value is not None:
            out[name] = str(value) if isinstance(value, uuid.UUID) else value
    return out


def public(user: Row) -> Row:
    """The user as clients see it."""
    out = _shown(user, SHOWN) | {
        "email": user["email"] or "", "phone": user["phone"] or "", "app_metadata": user["raw_app_meta_data"] or {},
        "user_metadata": user["raw_user_meta_data"] or {}, "identities": [identity(i) for i in user["identities"]],
    }  # fmt: skip
    out |= {"new_email": user["email_change"]} if user["email_change"] else {}
    return out | ({"factors": [factor(f) for f in user["factors"]]} if user["factors"] else {})


def identity(row: Row) -> Row:
    """An identity as clients see it."""
    return {"identity_id": row["id"], "id": row["provider_id"], **_shown(row, IDENTITY)}


def factor(row: Row) -> Row:
    """A factor as clients see it."""
    return _shown(row, FACTOR)


def email_of(value: Any) -> str:
    """A valid address in lower case. Raises AuthError."""
    if not isinstance(value, str) or not value:
        raise invalid("An email address is required")
    email: str = value.strip().lower()
    if len(email) > 255 or not EMAIL.fullmatch(email):
        raise invalid("Unable to validate email address: invalid format")
    return email


def uuid_of(value: str, what: str = "user_id") -> str:
    """A UUID's text. Raises AuthError 404, as the Auth server does for a path that holds none."""
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise invalid(f"{what} must be an UUID", 404) from error


async def find(db: Any, user_id: str) -> Row:
    """The user. Raises AuthError 404."""
    record = await db.fetchrow(BY_ID, user_id)
    if record is None:
        raise AuthError("user_not_found")
    return dict(record)


async def by_email(db: Any, email: str) -> Row | None:
    """The user, or None."""
    record = await db.fetchrow(BY_EMAIL, email)
    return dict(record) if record else None


async def create(
    db: Any, *, email: str | None = None, password: str = "", data: Row | None = None, app: Row | None = None,
    user_id: str | None = None, role: str = "authenticated", with_identity: bool = True, verified: bool = False,
) -> Row:  # fmt: skip
    """Insert a user, unconfirmed; ``password`` is a hash. Raises AuthError 422 if the address or id is taken."""
    user_id = user_id or str(uuid.uuid4())
    tokens = ("confirmation_token", "recovery_token", "email_change_token_new", "email_change")
    app = {"provider": "email", "providers": ["email"]} | (app or {}) if email else {}
    try:
        await rows.insert(
            db, "users", instance_id=NOBODY, id=user_id, aud="authenticated", role=role, email=email,
            encrypted_password=password, raw_app_meta_data=app, raw_user_meta_data=data or {},
            is_anonymous=email is None, **dict.fromkeys(tokens, ""),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise AuthError("email_exists") from error
    except asyncpg.RaiseError as error:  # a trigger of the platform refused
        raise AuthError("unexpected_failure", "Database error saving new user", 500) from error
    if email and with_identity:
        own = {"sub": user_id, "email": email, "email_verified": verified, "phone_verified": False}
        await add_identity(db, user_id, "email", user_id, {**(data or {}), **own})
    return await find(db, user_id)


async def update(db: Any, user: Row, **values: Any) -> Row:
    """Change columns of ``auth.users`` and return the row as it then is."""
    await rows.update(db, "users", {"id": user["id"]}, **values)
    return await find(db, user["id"])


async def check_free(db: Any, email: str) -> None:
    """Raise AuthError 422 if a user has this address."""
    if await by_email(db, email) is not None:
        raise AuthError("email_exists")


async def add_identity(db: Any, user_id: str, provider: str, provider_id: str, data: Row) -> None:
    """Give the user an identity. Raises AuthError 422 if another user has it."""
    try:
        await rows.insert(
            db, "identities", provider_id=provider_id, user_id=user_id, identity_data=data, provider=provider,
            last_sign_in_at=now(),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise AuthError("identity_already_exists") from error


async def confirm(db: Any, user: Row) -> Row:
    """Mark the e-mail address as confirmed."""
    meta = dict(user["raw_user_meta_data"] or {})
    if user["email"]:
        meta["email_verified"] = True
        await _amend_identity(db, user, {"email_verified": True})
    await rows.delete(db, "one_time_tokens", user_id=user["id"], token_type="confirmation_token")  # noqa: S106
    return await update(
        db, user, email_confirmed_at=user["email_confirmed_at"] or now(), confirmation_token="", raw_user_meta_data=meta,
        is_anonymous=False,
    )  # fmt: skip


async def _amend_identity(db: Any, user: Row, data: Row) -> bool:
    sql = ("update auth.identities set identity_data = identity_data || $2, updated_at = now() "
           "where user_id = $1 and provider = 'email' returning true")  # fmt: skip
    return bool(await db.fetchval(sql, user["id"], data))


async def apply_email(db: Any, user: Row, email: str) -> Row:
    """Give the user a new confirmed address, on the account and on its e-mail identity (made if there was none)."""
    user_id = str(user["id"])
    data = {"sub": user_id, "email": email, "email_verified": True}
    if not await _amend_identity(db, user, data):
        await add_identity(db, user_id, "email", user_id, {**data, "phone_verified": False})
    user = await update(
        db, user, email=email, email_change="", email_change_confirm_status=0, email_change_token_new="",
        email_change_token_current="", email_confirmed_at=now(), is_anonymous=False,
        raw_user_meta_data={**(user["raw_user_meta_data"] or {}), "email_verified": True},
    )  # fmt: skip
    return await refresh_providers(db, user)


async def refresh_providers(db: Any, user: Row) -> Row:
    """Set ``app_metadata.provider(s)`` from the identities that there are."""
    user = await find(db, user["id"])
    names, app = (
        list(dict.fromkeys(i["provider"] for i in user["identities"])),
        user["raw_app_meta_data"] or {},
    )
    if names:
        first = app["provider"] if app.get("provider") in names else names[0]
        app |= {"provider": first, "providers": names}
    return await update(db, user, raw_app_meta_data=app)


def check_not_banned(user: Row, status: int = 400) -> None:
    """Raise AuthError for a user who is banned now."""
    if user["banned_until"] is not None and user["banned_until"] > now():
        raise AuthError("user_banned", status=status)


def merged(old: Row | None, new: Row) -> Row:
    """Metadata with ``new`` laid over; a null removes its key."""
    return {k: v for k, v in {**(old or {}), **new}.items() if v is not None}
