"""Users and their identities: rows of schema ``auth``, and the JSON that clients see."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import asyncpg

from stack.supabase.auth.errors import AuthError, invalid

Row = dict[str, Any]

SELECT = """
select u.*,
  (select coalesce(jsonb_agg(to_jsonb(i) order by i.created_at, i.id), '[]')
    from auth.identities i where i.user_id = u.id) as identities,
  (select coalesce(jsonb_agg(to_jsonb(f) - 'secret' order by f.created_at), '[]')
    from auth.mfa_factors f where f.user_id = u.id) as factors
from auth.users u where {where}"""
BY_ID, BY_EMAIL = SELECT.format(where="u.id = $1"), SELECT.format(where="u.email = $1 and not u.is_sso_user")
EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+\.[^\s@<>()\[\],;:\\\".]+")
LOCAL_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]+@localhost")


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def stamp(value: Any) -> str | None:
    """A time as the Auth server prints it."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z") if value else None


def email_of(value: Any) -> str:
    """A valid address in lower case. Raises AuthError."""
    if not isinstance(value, str) or not value:
        raise invalid("An email address is required")
    value = str(value).strip().lower()
    if len(value) > 255 or not (EMAIL.fullmatch(value) or LOCAL_EMAIL.fullmatch(value)):
        raise invalid("Unable to validate email address: invalid format")
    return str(value)


def uuid_of(value: str, what: str = "user_id") -> str:
    """A UUID's text. Raises AuthError 404, as the Auth server does for a path that holds none."""
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise AuthError(404, "validation_failed", f"{what} must be an UUID") from error


async def by_id(db: Any, user_id: str) -> Row | None:
    """The user, or None."""
    return _row(await db.fetchrow(BY_ID, user_id))


async def by_email(db: Any, email: str) -> Row | None:
    """The user, or None."""
    return _row(await db.fetchrow(BY_EMAIL, email))


def _row(record: Any) -> Row | None:
    return dict(record) if record else None


async def create(
    db: Any,
    *,
    email: str | None = None,
    password_hash: str = "",
    data: Row | None = None,
    app: Row | None = None,
    user_id: str | None = None,
    role: str = "authenticated",
    anonymous: bool = False,
    phone: str | None = None,
) -> Row:
    """Insert a user, unconfirmed, without identities. Raises AuthError 422 if the address or id is taken."""
    at, user_id = now(), user_id or str(uuid.uuid4())
    app = {} if anonymous else {"provider": "email", "providers": ["email"]} | (app or {})
    try:
        await db.execute(
            "insert into auth.users (instance_id, id, aud, role, email, phone, encrypted_password, raw_app_meta_data, "
            "raw_user_meta_data, created_at, updated_at, is_anonymous, confirmation_token, recovery_token, "
            "email_change_token_new, email_change) values ('00000000-0000-0000-0000-000000000000', $1, "
            "'authenticated', $2, $3, "
            "$4, $5, $6, $7, $8, $8, $9, '', '', '', '')",
            user_id,
            role,
            email,
            phone,
            password_hash,
            app,
            data or {},
            at,
            anonymous,
        )
    except asyncpg.UniqueViolationError as error:
        message = "A user with this email address has already been registered"
        raise AuthError(422, "email_exists", message) from error
    except asyncpg.RaiseError as error:  # a trigger of the platform refused
        raise AuthError(500, "unexpected_failure", "Database error saving new user") from error
    row = await by_id(db, user_id)
    if row is None:
        raise AuthError(500, "unexpected_failure", "Database error saving new user")
    return row


async def update(db: Any, user_id: str, **values: Any) -> Row:
    """Change columns of ``auth.users`` and return the row as it then is."""
    names = list(values)
    assign = ", ".join(f"{name} = ${n}" for n, name in enumerate(names, 3))
    await db.execute(
        f"update auth.users set updated_at = $2{', ' if assign else ''}{assign} where id = $1",
        user_id,
        now(),
        *values.values(),
    )
    row = await by_id(db, user_id)
    if row is None:
        raise AuthError(404, "user_not_found", "User not found")
    return row


async def add_identity(db: Any, user_id: str, provider: str, provider_id: str, data: Row) -> None:
    """Give the user an identity. Raises AuthError 422 if another user has it."""
    try:
        await db.execute(
            "insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, "
            "created_at, updated_at) "
            "values ($1, $2, $3, $4, $5, $5, $5)",
            provider_id,
            user_id,
            data,
            provider,
            now(),
        )
    except asyncpg.UniqueViolationError as error:
        raise AuthError(
            422, "identity_already_exists", "Identity is already linked to another user"
        ) from error


async def add_email_identity(db: Any, user: Row, verified: bool = False) -> None:
    """The identity behind an e-mail address."""
    data = {
        "sub": str(user["id"]),
        "email": user["email"],
        "email_verified": verified,
        "phone_verified": False,
    }
    extra = {k: v for k, v in (user["raw_user_meta_data"] or {}).items() if k not in data}
    await add_identity(db, str(user["id"]), "email", str(user["id"]), {**extra, **data})


async def confirm(db: Any, user: Row) -> Row:
    """Mark the e-mail address as confirmed."""
    meta = {**(user["raw_user_meta_data"] or {})}
    if user["email"]:
        meta["email_verified"] = True
        await db.execute(
            "update auth.identities set identity_data = identity_data || '{\"email_verified\": true}', updated_at = $2 "
            "where user_id = $1 and provider = 'email'",
            user["id"],
            now(),
        )
    await db.execute(
        "delete from auth.one_time_tokens where user_id = $1 and token_type = 'confirmation_token'",
        user["id"],
    )
    return await update(
        db,
        user["id"],
        email_confirmed_at=user["email_confirmed_at"] or now(),
        confirmation_token="",
        raw_user_meta_data=meta,
        is_anonymous=False,
    )


async def refresh_providers(db: Any, user_id: str) -> Row:
    """Set ``app_metadata.provider(s)`` from the identities that there are."""
    user = await by_id(db, user_id)
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    names = list(dict.fromkeys(i["provider"] for i in user["identities"]))
    app = {**(user["raw_app_meta_data"] or {})}
    if names:
        app |= {
            "provider": app.get("provider") if app.get("provider") in names else names[0],
            "providers": names,
        }
    return await update(db, user_id, raw_app_meta_data=app)


def banned(user: Row) -> bool:
    """Whether the user is banned now."""
    return user["banned_until"] is not None and user["banned_until"] > now()


def public(user: Row) -> Row:
    """The user as clients see it (supabase/auth, models.User)."""
    out: Row = {
        "id": str(user["id"]), "aud": user["aud"], "role": user["role"], "email": user["email"] or "",
        "email_confirmed_at": stamp(user["email_confirmed_at"]), "invited_at": stamp(user["invited_at"]),
        "phone": user["phone"] or "", "phone_confirmed_at": stamp(user["phone_confirmed_at"]),
        "confirmation_sent_at": stamp(user["confirmation_sent_at"]), "confirmed_at": stamp(user["confirmed_at"]),
        "recovery_sent_at": stamp(user["recovery_sent_at"]), "new_email": user["email_change"] or None,
        "email_change_sent_at": stamp(user["email_change_sent_at"]),
        "reauthentication_sent_at": stamp(user["reauthentication_sent_at"]),
        "last_sign_in_at": stamp(user["last_sign_in_at"]), "banned_until": stamp(user["banned_until"]),
        "deleted_at": stamp(user["deleted_at"]),
    }  # fmt: skip
    out = {k: v for k, v in out.items() if v is not None}
    out |= {
        "app_metadata": user["raw_app_meta_data"] or {}, "user_metadata": user["raw_user_meta_data"] or {},
        "identities": [identity(i) for i in user["identities"]], "created_at": stamp(user["created_at"]),
        "updated_at": stamp(user["updated_at"]), "is_anonymous": user["is_anonymous"],
    }  # fmt: skip
    if user["factors"]:
        out["factors"] = [factor(f) for f in user["factors"]]
    return out


def identity(row: Row) -> Row:
    """An identity as clients see it."""
    out = {
        "identity_id": row["id"], "id": row["provider_id"], "user_id": row["user_id"], "identity_data": row["identity_data"],
        "provider": row["provider"], "last_sign_in_at": stamp(row["last_sign_in_at"]),
        "created_at": stamp(row["created_at"]),
        "updated_at": stamp(row["updated_at"]),
    }  # fmt: skip
    return out | ({"email": row["email"]} if row["email"] else {})


def factor(row: Row) -> Row:
    """A factor as clients see it."""
    out = {
        "id": str(row["id"]), "friendly_name": row["friendly_name"], "factor_type": row["factor_type"],
        "status": row["status"], "created_at": stamp(row["created_at"]), "updated_at": stamp(row["updated_at"]),
    }  # fmt: skip
    return {k: v for k, v in out.items() if v is not None}
