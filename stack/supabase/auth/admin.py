"""/admin: users and links, for whoever holds a service key."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from stack.supabase.auth import passwords, redirects, signup, users, verify
from stack.supabase.auth.account import merged
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.http import Response, json_response

Json = dict[str, Any]
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


async def _user(ctx: Context, db: Any) -> users.Row:
    user = await users.by_id(db, users.uuid_of(ctx.matched[0]))
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    return user


async def list_users(ctx: Context) -> Response:
    """GET /admin/users?page=&per_page=, newest first."""
    ctx.require_admin()
    try:
        page, size = max(int(ctx.query.get("page") or 1), 1), int(ctx.query.get("per_page") or 50)
    except ValueError as error:
        raise invalid("Bad Pagination Parameters") from error
    size = min(max(size, 1), 1000)
    statement = users.SELECT.format(where="true") + " order by u.created_at desc, u.id limit $1 offset $2"
    async with ctx.services.database.connection() as db:
        total: int = await db.fetchval("select count(*) from auth.users")
        rows = await db.fetch(statement, size, min((page - 1) * size, 2**62))
    last = max((total + size - 1) // size, 1)
    links = [f'</admin/users?page={page + 1}&per_page={size}>; rel="next"'] if page < last else []
    links.append(f'</admin/users?page={last}&per_page={size}>; rel="last"')
    body = {"users": [users.public(dict(row)) for row in rows], "aud": "authenticated"}
    return json_response(body, headers={"x-total-count": str(total), "link": ", ".join(links)})


async def get_user(ctx: Context) -> Json:
    """GET /admin/users/{id}."""
    ctx.require_admin()
    async with ctx.services.database.connection() as db:
        return users.public(await _user(ctx, db))


async def create_user(ctx: Context) -> Json:
    """POST /admin/users; no mail is sent."""
    ctx.require_admin()
    body = await ctx.body()
    if not body.get("email"):
        if body.get("phone"):
            raise AuthError(
                501, "phone_provider_disabled", "users by phone are not part of the embedded target"
            )
        raise invalid("Cannot create a user without either an email or phone")
    email = users.email_of(body["email"])
    hashed = await _hash(ctx, body)
    async with ctx.transaction() as db:
        user = await users.create(
            db,
            email=email,
            password_hash=hashed or "",
            data=body.get("user_metadata"),
            app=body.get("app_metadata"),
            user_id=users.uuid_of(body["id"], "id") if body.get("id") else None,
            role=body.get("role") or "authenticated",
        )
        confirmed = bool(body.get("email_confirm"))
        await users.add_email_identity(db, user, confirmed)
        if body.get("ban_duration"):
            await users.update(db, user["id"], banned_until=_banned_until(body["ban_duration"]))
        user = await users.confirm(db, user) if confirmed else await users.update(db, user["id"])
        return users.public(user)


async def change_user(ctx: Context) -> Json:
    """PUT /admin/users/{id}."""
    ctx.require_admin()
    body = await ctx.body()
    hashed = await _hash(ctx, body)
    async with ctx.transaction() as db:
        user = await _user(ctx, db)
        changes: Json = {}
        if hashed:
            changes["encrypted_password"] = hashed
        if body.get("role"):
            changes["role"] = body["role"]
        if body.get("user_metadata") is not None:
            changes["raw_user_meta_data"] = merged(user["raw_user_meta_data"], body["user_metadata"])
        if body.get("app_metadata") is not None:
            changes["raw_app_meta_data"] = merged(user["raw_app_meta_data"], body["app_metadata"])
        if body.get("ban_duration"):
            changes["banned_until"] = _banned_until(body["ban_duration"])
        user = await users.update(db, user["id"], **changes)
        if body.get("email") and users.email_of(body["email"]) != user["email"]:
            taken = await users.by_email(db, users.email_of(body["email"]))
            if taken is not None:
                raise AuthError(
                    422, "email_exists", "A user with this email address has already been registered"
                )
            user = await verify.apply_email(db, user, users.email_of(body["email"]))
        if body.get("email_confirm") and not user["email_confirmed_at"]:
            user = await users.confirm(db, user)
        return users.public(user)


async def delete_user(ctx: Context) -> Json:
    """DELETE /admin/users/{id}; with ``should_soft_delete`` the row stays, unrecognisable."""
    ctx.require_admin()
    body = await ctx.body()
    async with ctx.transaction() as db:
        user = await _user(ctx, db)
        if body.get("should_soft_delete"):
            await db.execute("delete from auth.sessions where user_id = $1", user["id"])
            await db.execute("delete from auth.identities where user_id = $1", user["id"])
            await users.update(
                db, user["id"], deleted_at=users.now(), email=None, encrypted_password="", raw_user_meta_data={},
                raw_app_meta_data={},
            )  # fmt: skip
        else:
            await db.execute("delete from auth.refresh_tokens where user_id = $1", str(user["id"]))
            await db.execute("delete from auth.users where id = $1", user["id"])
    return {}


async def generate_link(ctx: Context) -> Json:
    """POST /admin/generate_link: what a mail would carry, without the mail."""
    ctx.require_admin()
    body = await ctx.body()
    kind, email = body.get("type"), users.email_of(body.get("email"))
    asked = body.get("redirect_to") or ctx.redirect_to()
    target = redirects.allowed(asked, ctx.options.site_url, ctx.options.redirect_urls)
    async with ctx.transaction() as db:
        user = await users.by_email(db, email)
        address = email
        if kind == "signup":
            user = await _signup_by_link(ctx, db, user, body, email)
        elif kind == "invite":
            user = await signup.invited(db, email, body.get("data") or {})
        elif kind == "magiclink" and user is None:
            user = await signup.new_email_user(db, email, "", body.get("data") or {})
            kind = "signup"
        elif user is None:
            raise AuthError(404, "user_not_found", "User with this email not found")
        elif kind in ("email_change_new", "email_change_current"):
            address = users.email_of(body.get("new_email"))
            user = await users.update(db, user["id"], email_change=address, email_change_confirm_status=0)
            kind, address = (
                ("email_change", address) if kind == "email_change_new" else ("email_change_current", email)
            )
        elif kind not in ("magiclink", "recovery"):
            raise invalid(f"Invalid email action link type requested: {kind}")
        link = await ctx.services.links.make(db, user, kind, address, target)
        shown = users.public(await users.update(db, user["id"]))
    return shown | {
        "action_link": link.url, "email_otp": link.otp, "hashed_token": link.token_hash,
        "verification_type": body["type"] if kind != "signup" else "signup", "redirect_to": link.redirect_to,
    }  # fmt: skip


async def _signup_by_link(ctx: Context, db: Any, user: users.Row | None, body: Json, email: str) -> users.Row:
    if user is not None and user["email_confirmed_at"]:
        raise AuthError(422, "email_exists", "A user with this email address has already been registered")
    if not body.get("password"):
        raise invalid("Signup requires a valid password")
    hashed = await _hash(ctx, body)
    return user or await signup.new_email_user(db, email, hashed or "", body.get("data") or {})


async def _hash(ctx: Context, body: Json) -> str | None:
    if body.get("password"):
        passwords.check(body["password"], ctx.options.password_min_length)
        return await passwords.hashed(body["password"], ctx.options.bcrypt_cost)
    return body.get("password_hash") or None


def _banned_until(duration: str) -> Any:
    if duration == "none":
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", duration)
    if "".join(a + b for a, b in parts) != duration:
        raise invalid(f"invalid format for ban duration: {duration}")
    return users.now() + timedelta(seconds=min(sum(float(n) * UNITS[u] for n, u in parts), 1e10))
