"""Users and their identities: rows of schema ``auth``, and the JSON that clients see."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

from stack.supabase.auth import rows
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.pipeline import DataError, SqlError, UniqueViolation

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
HOLDER = SELECT.format(
    where="""u.id is distinct from $2 and (u.email = $1 and not u.is_sso_user
  or u.id in (select user_id from auth.identities where email = $1)) limit 1"""
)
EMAIL = re.compile(
    r"[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    r"(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
PHONE = re.compile(r"[1-9][0-9]{1,14}")
# What clients see (supabase/auth, models.User, models.Identity, models.Factor); what is null or an empty text is left out.
SHOWN = (
    "id", "aud", "role", "email_confirmed_at", "invited_at", "phone_confirmed_at", "confirmation_sent_at", "confirmed_at",
    "recovery_sent_at", "email_change_sent_at", "phone_change_sent_at", "reauthentication_sent_at", "last_sign_in_at",
    "banned_until", "deleted_at", "created_at", "updated_at", "is_anonymous",
)  # fmt: skip
IDENTITY = ("user_id", "provider", "last_sign_in_at", "created_at", "updated_at", "email")
FACTOR = ("id", "friendly_name", "factor_type", "status", "created_at", "updated_at")
# Columns that hold one-time tokens, and when they were sent.
TOKENS = (
    "confirmation_token", "recovery_token", "email_change_token_new", "email_change_token_current", "phone_change_token",
    "reauthentication_token",
)  # fmt: skip
SENT = (
    "confirmation_sent_at", "recovery_sent_at", "email_change_sent_at", "phone_change_sent_at", "reauthentication_sent_at",
)  # fmt: skip


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def moment(value: datetime | str) -> str:
    """A moment as clients see it."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _shown(row: Row, names: tuple[str, ...]) -> Row:
    out: Row = {}
    for name in names:
        value = row[name]
        if value is not None and name.endswith(("_at", "_until")):
            value = moment(value)
        if value is not None:
            out[name] = str(value) if isinstance(value, uuid.UUID) else value
    return out


def public(user: Row) -> Row:
    """The user as clients see it."""
    identities = user.get("identities")
    out = _shown(user, SHOWN) | {
        "email": user["email"] or "", "phone": user["phone"] or "", "app_metadata": user["raw_app_meta_data"] or {},
        "user_metadata": user["raw_user_meta_data"] or {},
        "identities": None if identities is None else [identity(i) for i in identities],
    }  # fmt: skip
    changes = {"new_email": user["email_change"], "new_phone": user["phone_change"]}
    out |= {name: value for name, value in changes.items() if value}
    return out | ({"factors": [factor(f) for f in user["factors"]]} if user.get("factors") else {})


def changed(user: Row, loaded: Row) -> Row:
    """The user in the answer to the request that changed them, who was ``loaded`` before: the Auth server answers with the
    columns that it wrote, and with identities and generated columns as it had read them.
    """
    return public({**user, "identities": loaded["identities"], "confirmed_at": loaded["confirmed_at"]})


def identity(row: Row) -> Row:
    """An identity as clients see it."""
    data = {"identity_data": row["identity_data"]} if row["identity_data"] else {}
    return {"identity_id": row["id"], "id": row["provider_id"], **data, **_shown(row, IDENTITY)}


def factor(row: Row) -> Row:
    """A factor as clients see it."""
    at = row["last_challenged_at"]
    challenged = {"last_challenged_at": moment(at) if at else None}
    return _shown(row, FACTOR) | challenged | {"phone": row["phone"] or ""}


def email_of(value: Any) -> str:
    """A valid address in lower case (github.com/badoux/checkmail, ValidateFormat). Raises AuthError."""
    if not value:
        raise invalid("An email address is required")
    if len(value.encode()) > 255:
        raise invalid("An email address is too long")
    if not EMAIL.fullmatch(value):
        raise invalid("Unable to validate email address: invalid format")
    return str(value).lower()


def check_phone(value: str) -> None:
    """Raise AuthError for what is no phone number."""
    if not PHONE.fullmatch(value.removeprefix("+").replace(" ", "")):
        raise invalid("Invalid phone number format (E.164 required)")


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
    record = await db.fetchrow(BY_EMAIL, email.lower())
    return dict(record) if record else None


async def create(
    db: Any, *, email: str | None = None, password: str = "", data: Row | None = None, user_id: str | None = None,
    provider: str | None = "email", signs_up: bool = False, doing: str = "saving new user",
) -> Row:  # fmt: skip
    """Insert a user, unconfirmed; ``password`` is a hash. Who has an address has an identity of ``provider`` e-mail, and who
    ``signs_up`` with it has the identity's data as metadata. Raises AuthError 422 if the address or id is taken, 500 that
    names what it was ``doing`` if the project's own trigger failed.
    """
    given, user_id = user_id, user_id or str(uuid.uuid4())
    app = {"provider": provider, "providers": [provider]} if email else {}
    try:
        await rows.insert(
            db, "users", instance_id=NOBODY, id=user_id, aud="authenticated", role="authenticated", email=email,
            encrypted_password=password, raw_app_meta_data=app, raw_user_meta_data=data or {},
            is_anonymous=email is None, email_change="", **dict.fromkeys(TOKENS, ""),
        )  # fmt: skip
    except SqlError as error:
        if isinstance(error, DataError):
            raise
        taken = {"users_email_partial_key", "users_phone_key", *(["users_pkey"] if given else [])}
        if isinstance(error, UniqueViolation) and any(f'"{name}"' in error.message for name in taken):
            raise AuthError("email_exists") from error
        raise AuthError("unexpected_failure", f"Database error {doing}") from error
    if email and provider == "email":
        own = {"sub": user_id, "email": email, "email_verified": False, "phone_verified": False}
        own = {**(data or {}), **own} if signs_up else own
        await add_identity(db, user_id, provider, user_id, own)
        if signs_up:
            await rows.update(db, "users", {"id": user_id}, raw_user_meta_data=own)
    return await find(db, user_id)


async def update(db: Any, user: Row, **values: Any) -> Row:
    """Change columns of ``auth.users``, and return the row as it then is; as it was, if there is nothing to change."""
    if not values:
        return user
    await rows.update(db, "users", {"id": user["id"]}, **values)
    return await find(db, user["id"])


async def amend(db: Any, user: Row, user_metadata: Row | None = None, app_metadata: Row | None = None) -> Row:
    """Lay metadata over what there is; a null removes its key."""
    given = {"raw_user_meta_data": user_metadata, "raw_app_meta_data": app_metadata}
    return await update(db, user, **{k: _merged(user[k], new) for k, new in given.items() if new is not None})


def _merged(old: Row | None, new: Row) -> Row:
    return {k: v for k, v in {**(old or {}), **new}.items() if v is not None}


async def holder(db: Any, email: str, but: Any = None) -> Row | None:
    """The user, ``but`` this one, who has this address or an identity with it (supabase/auth, IsDuplicatedEmail)."""
    record = await db.fetchrow(HOLDER, email, but)
    return dict(record) if record else None


async def check_free(db: Any, email: str, but: Any = None) -> None:
    """Raise AuthError 422 if another user has this address, or an identity with it."""
    if await holder(db, email, but):
        raise AuthError("email_exists")


async def add_identity(db: Any, user_id: Any, provider: str, provider_id: str, data: Row) -> Row:
    """Give the user an identity. Raises AuthError 422 if another user has it."""
    try:
        await rows.insert(
            db, "identities", provider_id=provider_id, user_id=user_id, identity_data=data, provider=provider,
            last_sign_in_at=now(),
        )  # fmt: skip
    except UniqueViolation as error:
        raise AuthError("identity_already_exists") from error
    return dict(await rows.locked(db, "identities", provider=provider, provider_id=provider_id))


async def amend_identity(db: Any, user: Row, data: Row) -> bool:
    """Change the data of the user's e-mail identity; False if they have none."""
    sql = ("update auth.identities set identity_data = identity_data || $2, updated_at = now() "
           "where user_id = $1 and provider = 'email' returning true")  # fmt: skip
    return bool(await db.fetchval(sql, user["id"], data))


async def forget_links(db: Any, user: Row) -> None:
    """No link that was sent to the user works any more."""
    await db.execute("delete from auth.one_time_tokens where user_id = $1", user["id"])


async def confirm(db: Any, user: Row) -> Row:
    """Mark the e-mail address as confirmed."""
    await forget_links(db, user)
    meta = _merged(user["raw_user_meta_data"], {"email_verified": True})
    return await update(db, user, email_confirmed_at=now(), confirmation_token="", raw_user_meta_data=meta)


async def set_email(db: Any, user: Row, email: str, refused: str, **changes: Any) -> Row:
    """A new address. Raises AuthError 500 in the words ``refused`` if another user has it by now."""
    try:
        return await update(db, user, email=email, **changes)
    except UniqueViolation as error:
        raise AuthError("unexpected_failure", refused) from error


async def set_password(db: Any, user: Row, hashed: str, keep_session: str | None) -> Row:
    """A new password ends every session but ``keep_session``, and every link and code that was sent."""
    ended = "delete from auth.sessions where user_id = $1 and id is distinct from $2"
    await db.execute(ended, user["id"], keep_session)
    await forget_links(db, user)
    forgotten = dict.fromkeys(TOKENS, "") | dict.fromkeys(SENT)
    return await update(db, user, encrypted_password=hashed, **forgotten)


async def refresh_providers(db: Any, user: Row) -> Row:
    """Set ``app_metadata.provider(s)`` from the identities that there are, the oldest first."""
    user = await find(db, user["id"])
    names = list(dict.fromkeys(i["provider"] for i in user["identities"]))
    return await amend(db, user, None, {"providers": names} | ({"provider": names[0]} if names else {}))


def check_not_banned(user: Row, message: str = "", status: int = 403) -> None:
    """Raise AuthError for a user who is banned now."""
    if user["banned_until"] is not None and user["banned_until"] > now():
        raise AuthError("user_banned", message, status)
