"""/admin: users and links, for whoever holds a service key."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timedelta
from typing import Any

from stack.supabase.auth import audit, links, pages, passwords, rows, signup, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.http import Response
from stack.supabase.pipeline import SqlError

Json = dict[str, Any]
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
BCRYPT = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}")


async def _user(ctx: Context) -> users.Row:
    ctx.require_admin()
    return await users.find(ctx.db, users.uuid_of(ctx.matched[0]))


async def list_users(ctx: Context) -> Response:
    """GET /admin/users?page=&per_page=&filter=, newest first; without identities and factors."""
    ctx.require_admin()
    page, where, values = pages.asked(ctx), "aud = 'authenticated'", []
    if ctx.query.get("filter"):
        where += " and (email like $1 or raw_user_meta_data->>'full_name' ilike $1)"
        values = [f"%{ctx.query['filter']}%"]
    found = await page.select(ctx, f"auth.users where {where}", "created_at desc, id", *values)
    return page.response({"users": [users.public(dict(row)) for row in found], "aud": "authenticated"})


async def get_user(ctx: Context) -> Json:
    """GET /admin/users/{id}."""
    return users.public(await _user(ctx))


async def create_user(ctx: Context) -> Json:
    """POST /admin/users; no mail is sent, and any password is taken."""
    ctx.require_admin()
    body = ctx.body
    if not body.get("email") and not body.get("phone"):
        raise invalid("Cannot create a user without either an email or phone")
    _check_phone(body)
    email = users.email_of(body["email"])
    await users.check_free(ctx.db, email)
    if body.get("password") is not None and body.get("password_hash"):
        raise invalid("Only a password or a password hash should be provided")
    hashed, user_id, banned = await _hash(ctx), _id(body.get("id")), _ban(body)
    data = body.get("user_metadata")
    created = await users.create(
        ctx.db, email=email, password=hashed, data=data, user_id=user_id, doing="creating new user"
    )
    await audit.about(ctx, created, "user_signedup", provider="email")
    user = await users.update(ctx.db, created, **_role(body), **banned)
    user = await users.amend(ctx.db, user, None, body.get("app_metadata"))
    return users.changed(await users.confirm(ctx.db, user) if body.get("email_confirm") else user, created)


async def _hash(ctx: Context) -> str:
    if given := ctx.body.get("password_hash"):
        if not BCRYPT.fullmatch(given):
            raise AuthError("unexpected_failure", "Error creating user")
        return str(given)
    given = ctx.body.get("password")
    return await passwords.hashed(ctx, given) if given else passwords.unknown_to_all()


def _id(given: str | None) -> str | None:
    try:
        own = users.uuid_of(given) if given else None
    except AuthError as error:
        raise invalid("ID must conform to the uuid v4 format") from error
    if own == users.NOBODY:
        raise invalid("ID cannot be a nil uuid")
    return own


def _role(body: Json) -> dict[str, str]:
    return {"role": body["role"].strip()} if body.get("role") else {}


def _check_phone(body: Json) -> None:
    if body.get("phone"):
        users.check_phone(body["phone"])
        raise AuthError("phone_provider_disabled")


async def change_user(ctx: Context) -> Json:
    """PUT /admin/users/{id}."""
    loaded, body, db = await _user(ctx), ctx.body, ctx.db
    email = users.email_of(body["email"]) if body.get("email") else ""
    _check_phone(body)
    banned, password, hashed = _ban(body), body.get("password"), None
    if password is not None:
        passwords.check(ctx, password)
        hashed, db = await passwords.hashed(ctx, password), ctx.db
    user = await users.update(db, loaded, **_role(body))
    user = await users.confirm(db, user) if body.get("email_confirm") else user
    user = await users.set_password(db, user, hashed, None) if hashed else user
    identities = loaded["identities"]
    if email:
        verified = {"email": email, "email_verified": bool(body.get("email_confirm"))}
        if not await users.amend_identity(db, user, verified):
            own = {"sub": str(user["id"]), "phone_verified": False, **verified}
            made = await users.add_identity(db, user["id"], "email", str(user["id"]), own)
            identities = [*identities, {**made, "id": str(made["id"])}]
        unnamed = user["is_anonymous"] and not body.get("email_confirm")
        user = await users.set_email(db, user, email, "Error updating user", is_anonymous=unnamed)
    user = await users.amend(db, user, body.get("user_metadata"), body.get("app_metadata"))
    user = await users.update(db, user, **banned)
    await audit.about(ctx, user, "user_modified")
    return users.changed(user, {**loaded, "identities": identities})


async def delete_user(ctx: Context) -> Json:
    """DELETE /admin/users/{id}; softly, so that the row stays and tells nothing, if the body says so."""
    user = await _user(ctx)
    soft = ctx.sent and ctx.body.get("should_soft_delete")
    await audit.about(ctx, user, "user_deleted")
    if soft:
        if user["deleted_at"] is None:
            await _delete_softly(ctx, user)
        return {}
    await rows.delete(ctx.db, "refresh_tokens", user_id=str(user["id"]))
    try:
        await rows.delete(ctx.db, "users", id=user["id"])
    except SqlError as error:  # a row of the project's still names them
        raise AuthError("unexpected_failure", "Database error deleting user") from error
    return {}


async def _delete_softly(ctx: Context, user: users.Row) -> None:
    """Hash what names the person, forget the rest (supabase/auth, models.User.SoftDeleteUser)."""

    def hidden(value: str | None) -> str:
        digest = hashlib.sha256(f"{user['id']}{value or ''}".encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    await users.forget_links(ctx.db, user)
    await users.update(
        ctx.db, user, email=hidden(user["email"]), phone=hidden(user["phone"])[:15], encrypted_password=None,
        email_change=hidden(user["email_change"]), phone_change=hidden(user["phone_change"])[:15],
        raw_user_meta_data={}, raw_app_meta_data={}, deleted_at=users.now(), **dict.fromkeys(users.TOKENS[:-1], ""),
    )  # fmt: skip
    for one in user["identities"]:
        name = hidden(f"{one['provider']}:{one['provider_id']}")
        await rows.update(ctx.db, "identities", {"id": one["id"]}, identity_data={}, provider_id=name)
    for table in ("mfa_factors", "sessions"):
        await rows.delete(ctx.db, table, user_id=user["id"])


async def generate_link(ctx: Context) -> Json:
    """POST /admin/generate_link: what a mail would carry, without the mail."""
    ctx.require_admin()
    body = ctx.body
    kind, email, data = body.get("type"), users.email_of(body.get("email")), body.get("data") or {}
    target, user = ctx.redirect_to(body.get("redirect_to")), await users.by_email(ctx.db, email)
    loaded, address = user, email
    if user is None and kind in ("recovery", "email_change_current", "email_change_new"):
        raise AuthError("user_not_found", "User with this email not found")
    if kind == "signup" or (kind == "magiclink" and user is None):
        user = await _signs_up(ctx, user, email, data, kind)
        kind = "signup"
    elif kind == "invite":
        user = await signup.invited(ctx, email)
    elif kind in ("magiclink", "recovery"):
        await audit.record(ctx, user, "user_recovery_requested")
    elif kind in ("email_change_new", "email_change_current"):
        if kind == "email_change_current" and not ctx.options.secure_email_change:
            raise invalid("Enable secure email change to generate link for current email")
        changed = users.email_of(body.get("new_email"))
        await users.check_free(ctx.db, changed, user and user["id"])
        if user:
            user = await users.update(ctx.db, user, email_change=changed, email_change_confirm_status=0)
        address = changed if kind == "email_change_new" else email
    else:
        raise invalid(f"Invalid email action link type requested: {kind or ''}")
    assert user is not None
    link = await links.make(ctx, user, kind, address, target)
    user = await users.find(ctx.db, user["id"])
    return users.changed(user, loaded or user) | {
        "action_link": link.url, "email_otp": link.otp, "hashed_token": links.hash_of(email, link.otp),
        "verification_type": kind, "redirect_to": target,
    }  # fmt: skip


async def _signs_up(ctx: Context, user: users.Row | None, email: str, data: Json, kind: str) -> users.Row:
    if user is not None:
        if user["email_confirmed_at"]:
            raise AuthError("email_exists")
        return await users.amend(ctx.db, user, data)
    if kind == "magiclink":
        hashed = passwords.unknown_to_all()
    else:
        if not (password := ctx.body.get("password")):
            raise invalid("Signup requires a valid password")
        passwords.check(ctx, password)
        hashed = await passwords.hashed(ctx, password)
    return await users.create(ctx.db, email=email, password=hashed, data=data)


def _ban(body: Json) -> dict[str, datetime | None]:
    """The columns that ``ban_duration`` sets; it is a duration as Go writes it. Raises AuthError."""
    given = body.get("ban_duration")
    if not given:
        return {}
    if given == "none":
        return {"banned_until": None}
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)([^\d.]*)", given)
    if "".join(a + b for a, b in parts) != given.removeprefix("-").removeprefix("+") or not parts:
        raise _bad_duration(f'invalid duration "{given}"')
    for _, unit in parts:
        if not unit:
            raise _bad_duration(f'missing unit in duration "{given}"')
        if unit not in UNITS:
            raise _bad_duration(f'unknown unit "{unit}" in duration "{given}"')
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if seconds > 2**63 / 1e9:
        raise _bad_duration(f'invalid duration "{given}"')
    return {"banned_until": users.now() + timedelta(seconds=-seconds if given[0] == "-" else seconds)}


def _bad_duration(why: str) -> AuthError:
    return invalid(f"invalid format for ban duration: time: {why}")
