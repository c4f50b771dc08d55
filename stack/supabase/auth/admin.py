"""/admin: users and links, for whoever holds a service key."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from stack.supabase.auth import links, passwords, redirects, rows, signup, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.http import Response, json_response

Json = dict[str, Any]
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


async def _user(ctx: Context) -> users.Row:
    ctx.require_admin()
    return await users.find(ctx.db, users.uuid_of(ctx.matched[0]))


async def list_users(ctx: Context) -> Response:
    """GET /admin/users?page=&per_page=, newest first."""
    ctx.require_admin()
    try:
        page, size = max(int(ctx.query.get("page") or 1), 1), int(ctx.query.get("per_page") or 50)
    except ValueError as error:
        raise invalid("Bad Pagination Parameters") from error
    size = min(max(size, 1), 1000)
    statement = users.SELECT.format(where="true") + " order by u.created_at desc, u.id limit $1 offset $2"
    total: int = await ctx.db.fetchval("select count(*) from auth.users")
    found = await ctx.db.fetch(statement, size, min((page - 1) * size, 2**62))
    last = max((total + size - 1) // size, 1)
    pages = [f'</admin/users?page={page + 1}&per_page={size}>; rel="next"'] if page < last else []
    pages.append(f'</admin/users?page={last}&per_page={size}>; rel="last"')
    body = {"users": [users.public(dict(row)) for row in found], "aud": "authenticated"}
    return json_response(body, headers={"x-total-count": str(total), "link": ", ".join(pages)})


async def get_user(ctx: Context) -> Json:
    """GET /admin/users/{id}."""
    return users.public(await _user(ctx))


async def create_user(ctx: Context) -> Json:
    """POST /admin/users; no mail is sent."""
    ctx.require_admin()
    body = ctx.body
    if not body.get("email"):
        raise invalid("Cannot create a user without either an email or phone")
    email, hashed = users.email_of(body["email"]), await _hash(ctx)
    user = await users.create(
        ctx.db, email=email, password=hashed, data=body.get("user_metadata"),
        app=body.get("app_metadata"), user_id=users.uuid_of(body["id"], "id") if body.get("id") else None,
        role=body.get("role") or "authenticated", verified=bool(body.get("email_confirm")),
    )  # fmt: skip
    if body.get("ban_duration"):
        user = await users.update(ctx.db, user, banned_until=_banned_until(body["ban_duration"]))
    return users.public(await users.confirm(ctx.db, user) if body.get("email_confirm") else user)


async def change_user(ctx: Context) -> Json:
    """PUT /admin/users/{id}."""
    user, body, hashed = await _user(ctx), ctx.body, await _hash(ctx)
    changes: Json = {"encrypted_password": hashed} if hashed else {}
    if body.get("role"):
        changes["role"] = body["role"]
    for given, column in (("user_metadata", "raw_user_meta_data"), ("app_metadata", "raw_app_meta_data")):
        if body.get(given) is not None:
            changes[column] = users.merged(user[column], body[given])
    if body.get("ban_duration"):
        changes["banned_until"] = _banned_until(body["ban_duration"])
    user = await users.update(ctx.db, user, **changes)
    if body.get("email") and (email := users.email_of(body["email"])) != user["email"]:
        await users.check_free(ctx.db, email)
        user = await users.apply_email(ctx.db, user, email)
    if body.get("email_confirm") and not user["email_confirmed_at"]:
        user = await users.confirm(ctx.db, user)
    return users.public(user)


async def delete_user(ctx: Context) -> Json:
    """DELETE /admin/users/{id}."""
    user = await _user(ctx)
    if ctx.body.get("should_soft_delete"):
        raise AuthError("feature_disabled", "soft deletion of a user is not part of the embedded target")
    await rows.delete(ctx.db, "refresh_tokens", user_id=str(user["id"]))
    await rows.delete(ctx.db, "users", id=user["id"])
    return {}


async def generate_link(ctx: Context) -> Json:
    """POST /admin/generate_link: what a mail would carry, without the mail."""
    ctx.require_admin()
    body, hashed = ctx.body, await _hash(ctx)
    db = ctx.db  # only now: hashing took the former one away
    kind, email, data = body.get("type"), users.email_of(body.get("email")), body.get("data") or {}
    asked = body.get("redirect_to") or ctx.redirect_to()
    target = redirects.allowed(asked, ctx.options.site_url, ctx.options.redirect_urls)
    user, address = await users.by_email(db, email), email
    if kind == "signup":
        if user is not None and user["email_confirmed_at"]:
            raise AuthError("email_exists")
        if not body.get("password"):
            raise invalid("Signup requires a valid password")
        user = user or await users.create(db, email=email, password=hashed, data=data)
    elif kind == "invite":
        user = await signup.invited(ctx, email)
    elif kind == "magiclink" and user is None:
        user, kind = await users.create(db, email=email, data=data), "signup"
    elif user is None:
        raise AuthError("user_not_found", "User with this email not found")
    elif kind in ("email_change_new", "email_change_current"):
        changed = users.email_of(body.get("new_email"))
        user = await users.update(db, user, email_change=changed, email_change_confirm_status=0)
        address, kind = (changed, "email_change") if kind == "email_change_new" else (email, kind)
    elif kind not in ("magiclink", "recovery"):
        raise invalid(f"Invalid email action link type requested: {kind}")
    link = await links.make(ctx, user, kind, address, target)
    return users.public(await users.find(db, user["id"])) | {
        "action_link": link.url, "email_otp": link.otp, "hashed_token": link.token_hash,
        "verification_type": kind if kind == "signup" else body["type"], "redirect_to": target,
    }  # fmt: skip


async def _hash(ctx: Context) -> str:
    return await passwords.set_by(ctx, ctx.body["password"]) if ctx.body.get("password") else ""


def _banned_until(duration: str) -> Any:
    if duration == "none":
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", duration)
    if "".join(a + b for a, b in parts) != duration:
        raise invalid(f"invalid format for ban duration: {duration}")
    return users.now() + timedelta(seconds=min(sum(float(n) * UNITS[u] for n, u in parts), 1e10))
