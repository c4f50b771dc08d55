"""Being a user: tokens, reading and changing oneself, logging out, identities."""

from __future__ import annotations

from typing import Any

from stack.supabase.auth import links, passwords, users, verify
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.auth.sessions import Reused
from stack.supabase.http import Response

Json = dict[str, Any]
BAD_LOGIN = "Invalid login credentials"


async def token(ctx: Context) -> Json:
    """POST /token: the grants password, refresh_token and pkce."""
    ctx.services.limits.take("token", ctx.request.ip)
    grant = ctx.query.get("grant_type")
    if grant == "password":
        return await _password(ctx)
    if grant == "refresh_token":
        return await _refresh(ctx)
    if grant == "pkce":
        body = await ctx.body()
        async with ctx.transaction() as db:
            user, method = await links.redeem(
                db, body.get("auth_code") or "", body.get("code_verifier") or ""
            )
            return await ctx.services.sessions.start(db, user, method, ctx.request)
    if grant in ("id_token", "web3"):
        raise AuthError(501, "feature_disabled", f"grant_type={grant} is not part of the embedded target")
    raise AuthError(400, "invalid_credentials", "unsupported_grant_type")


async def _password(ctx: Context) -> Json:
    body = await ctx.body()
    if body.get("phone"):
        raise AuthError(422, "phone_provider_disabled", "Phone logins are disabled")
    if not body.get("email"):
        raise invalid("missing email or phone")
    async with ctx.services.database.connection() as db:
        user = await users.by_email(db, str(body["email"]).strip().lower())
    if user is None or not user["encrypted_password"]:
        raise AuthError(400, "invalid_credentials", BAD_LOGIN)
    if users.banned(user):
        raise AuthError(400, "user_banned", "User is banned")
    if not await passwords.matches(body.get("password") or "", user["encrypted_password"]):
        raise AuthError(400, "invalid_credentials", BAD_LOGIN)
    if not user["email_confirmed_at"]:
        raise AuthError(400, "email_not_confirmed", "Email not confirmed")
    async with ctx.transaction() as db:
        return await ctx.services.sessions.start(db, user, "password", ctx.request)


async def _refresh(ctx: Context) -> Json:
    given = (await ctx.body()).get("refresh_token")
    if not given:
        raise AuthError(400, "validation_failed", "refresh_token required")
    async with ctx.transaction() as db:
        try:
            return await ctx.services.sessions.refresh(db, given)
        except Reused:
            pass  # leave the block in peace: the family's revocation is to be committed
    raise AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")


async def get(ctx: Context) -> Json:
    """GET /user."""
    async with ctx.services.database.connection() as db:
        user, _ = await ctx.require_user(db)
    return users.public(user)


async def change(ctx: Context) -> Json:
    """PUT /user: metadata, password, e-mail address."""
    body = await ctx.body()
    if body.get("phone"):
        raise AuthError(422, "phone_provider_disabled", "Phone provider is disabled")
    if "app_metadata" in body and ctx.claims().get("role") != "service_role":
        raise AuthError(403, "not_admin", "Updating app_metadata requires admin privileges")
    async with ctx.transaction() as db:
        user, session_id = await ctx.require_user(db)
        if (
            (body.get("password") or body.get("email"))
            and ctx.claims().get("aal") != "aal2"
            and _has_factor(user)
        ):
            message = "AAL2 session is required to update email or password when MFA is enabled."
            raise AuthError(401, "insufficient_aal", message)
        if body.get("password") is not None:
            user = await _new_password(ctx, db, user, session_id, body["password"])
        if body.get("data"):
            user = await users.update(
                db, user["id"], raw_user_meta_data=merged(user["raw_user_meta_data"], body["data"])
            )
        if body.get("email") and body["email"].strip().lower() != user["email"]:
            user = await _new_email(ctx, db, user, body)
        return users.public(user)


def merged(old: Json | None, new: Json) -> Json:
    """Metadata with ``new`` laid over; a null removes its key."""
    return {k: v for k, v in {**(old or {}), **new}.items() if v is not None}


def _has_factor(user: users.Row) -> bool:
    return any(f["status"] == "verified" for f in user["factors"])


async def _new_password(
    ctx: Context, db: Any, user: users.Row, session_id: str | None, password: str
) -> users.Row:
    if user["is_anonymous"]:
        raise AuthError(
            422,
            "validation_failed",
            "Updating password of an anonymous user without an email or phone is not allowed",
        )
    passwords.check(password, ctx.options.password_min_length)
    if await passwords.matches(password, user["encrypted_password"]):
        raise AuthError(422, "same_password", "New password should be different from the old password.")
    hashed = await passwords.hashed(password, ctx.options.bcrypt_cost)
    await ctx.services.sessions.end(db, user["id"], session_id, "others" if session_id else "global")
    return await users.update(db, user["id"], encrypted_password=hashed)


async def _new_email(ctx: Context, db: Any, user: users.Row, body: Json) -> users.Row:
    email, pkce = users.email_of(body["email"]), links.challenge(body)
    if await users.by_email(db, email) is not None:
        raise AuthError(422, "email_exists", "A user with this email address has already been registered")
    user = await users.update(db, user["id"], email_change=email, email_change_confirm_status=0)
    if ctx.options.autoconfirm:
        return await verify.apply_email(db, user, email)
    if pkce:
        await links.open_flow(db, pkce, "email", "email_change", user["id"])
    first_of_two = ctx.options.secure_email_change and user["email"]
    await ctx.services.links.send(db, user, "email_change", email, ctx.redirect_to(), bool(pkce))
    if first_of_two:
        await ctx.services.links.send(
            db, user, "email_change_current", user["email"], ctx.redirect_to(), bool(pkce)
        )
    return await users.update(db, user["id"])


async def reauthenticate(ctx: Context) -> Json:
    """GET /reauthenticate: a mail with a nonce."""
    async with ctx.transaction() as db:
        user, _ = await ctx.require_user(db)
        if not user["email"]:
            raise invalid("Reauthentication requires the user to have an email or a phone number")
        await ctx.services.links.send(db, user, "reauthentication", user["email"], ctx.redirect_to())
    return {}


async def log_out(ctx: Context) -> Response:
    """POST /logout?scope=global|local|others."""
    scope = ctx.query.get("scope", "global")
    if scope not in ("global", "local", "others"):
        raise invalid(f"Unsupported logout scope {scope!r}")
    async with ctx.transaction() as db:
        user, session_id = await ctx.require_user(db)
        await ctx.services.sessions.end(db, user["id"], session_id, scope)
    return Response(204)


async def unlink(ctx: Context) -> Json:
    """DELETE /user/identities/{id}."""
    identity_id = users.uuid_of(ctx.matched[0], "identity_id")
    async with ctx.transaction() as db:
        user, _ = await ctx.require_user(db)
        if not ctx.options.manual_linking:
            raise AuthError(404, "manual_linking_disabled", "Manual linking is disabled")
        if identity_id not in [i["id"] for i in user["identities"]]:
            raise AuthError(422, "identity_not_found", "Identity doesn't exist")
        if len(user["identities"]) <= 1:
            raise AuthError(
                422, "single_identity_not_deletable", "User must have at least 1 identity after unlinking"
            )
        await db.execute("delete from auth.identities where id = $1", identity_id)
        await users.refresh_providers(db, user["id"])
    return {}
