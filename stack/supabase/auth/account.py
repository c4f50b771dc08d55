"""Being a user: tokens, reading and changing oneself, logging out, identities."""

from __future__ import annotations

from typing import Any

from stack.supabase.auth import links, passwords, rows, sessions, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.http import Response

Json = dict[str, Any]


async def token(ctx: Context) -> Json:
    """POST /token: the grants password, refresh_token and pkce."""
    ctx.limit("token")
    grant, body = ctx.query.get("grant_type"), ctx.body
    if grant == "password":
        return await _password(ctx)
    if grant == "refresh_token":
        if not body.get("refresh_token"):
            raise invalid("refresh_token required")
        return await sessions.refresh(ctx, body["refresh_token"])
    if grant == "pkce":
        user, method = await links.redeem(ctx, body.get("auth_code") or "", body.get("code_verifier") or "")
        return await sessions.start(ctx, user, method)
    if grant in ("id_token", "web3"):
        raise AuthError("feature_disabled", f"grant_type={grant} is not part of the embedded target")
    raise AuthError("invalid_credentials", "unsupported_grant_type")


async def _password(ctx: Context) -> Json:
    if not ctx.body.get("email"):
        raise invalid("missing email or phone")
    user = await users.by_email(ctx.db, ctx.body["email"].strip().lower())
    if user is None or not user["encrypted_password"]:
        raise AuthError("invalid_credentials")
    users.check_not_banned(user)
    password = ctx.body.get("password") or ""
    if not await ctx.aside(passwords.matches(password, user["encrypted_password"])):
        raise AuthError("invalid_credentials")
    if not user["email_confirmed_at"]:
        raise AuthError("email_not_confirmed", "Email not confirmed")
    return await sessions.start(ctx, user, "password")


async def get(ctx: Context) -> Json:
    """GET /user. A token without an audience, or with another than `X-JWT-AUD` asks for, is refused (Auth, user.go)."""
    user = (await ctx.require_user())[0]
    told = ctx.claims().get("aud") or ""
    audience = (told[0] if told else "") if isinstance(told, list) else told
    if not audience or ctx.request.headers.get("x-jwt-aud", audience) != audience:
        raise invalid("Token audience doesn't match request audience")
    return users.public(user)


async def change(ctx: Context) -> Json:
    """PUT /user: metadata, password, e-mail address."""
    body, claims = ctx.body, ctx.claims()
    if "app_metadata" in body and claims.get("role") != "service_role":
        raise AuthError("not_admin", "Updating app_metadata requires admin privileges")
    user, session_id = await ctx.require_user()
    strong = claims.get("aal") == "aal2" or not any(f["status"] == "verified" for f in user["factors"])
    if (body.get("password") or body.get("email")) and not strong:
        message = "AAL2 session is required to update email or password when MFA is enabled."
        raise AuthError("insufficient_aal", message, 401)
    if body.get("password") is not None:
        user = await _new_password(ctx, user, session_id, body["password"])
    if body.get("data"):
        meta = users.merged(user["raw_user_meta_data"], body["data"])
        user = await users.update(ctx.db, user, raw_user_meta_data=meta)
    if body.get("email") and body["email"].strip().lower() != user["email"]:
        user = await _new_email(ctx, user, users.email_of(body["email"]))
    return users.public(user)


async def _new_password(ctx: Context, user: users.Row, session_id: str | None, password: str) -> users.Row:
    if user["is_anonymous"]:
        message = "Updating password of an anonymous user without an email or phone is not allowed"
        raise invalid(message, 422)
    hashed = await passwords.set_by(ctx, password)
    if await ctx.aside(passwords.matches(password, user["encrypted_password"])):
        message = "New password should be different from the old password."
        raise AuthError("same_password", message, 422)
    await sessions.end(ctx, user, session_id, "others" if session_id else "global")
    return await users.update(ctx.db, user, encrypted_password=hashed)


async def _new_email(ctx: Context, user: users.Row, email: str) -> users.Row:
    await users.check_free(ctx.db, email)
    if ctx.options.autoconfirm:
        return await users.apply_email(ctx.db, user, email)
    user = await users.update(ctx.db, user, email_change=email, email_change_confirm_status=0)
    await links.send(ctx, user, "email_change", email, "email_change")
    if ctx.options.secure_email_change and user["email"]:
        await links.send(ctx, user, "email_change_current", user["email"], "email_change")
    return await users.find(ctx.db, user["id"])


async def reauthenticate(ctx: Context) -> Json:
    """GET /reauthenticate: a mail with a nonce."""
    user, _ = await ctx.require_user()
    if not user["email"]:
        raise invalid("Reauthentication requires the user to have an email or a phone number")
    await links.send(ctx, user, "reauthentication", user["email"])
    return {}


async def log_out(ctx: Context) -> Response:
    """POST /logout?scope=global|local|others."""
    scope = ctx.query.get("scope", "global")
    if scope not in ("global", "local", "others"):
        raise invalid(f"Unsupported logout scope {scope!r}")
    await sessions.end(ctx, *await ctx.require_user(), scope)
    return Response(204)


async def unlink(ctx: Context) -> Json:
    """DELETE /user/identities/{id}."""
    identity_id = users.uuid_of(ctx.matched[0], "identity_id")
    user, _ = await ctx.require_user()
    if not ctx.options.manual_linking:
        raise AuthError("manual_linking_disabled")
    if identity_id not in [i["id"] for i in user["identities"]]:
        raise AuthError("identity_not_found", "Identity doesn't exist", 422)
    if len(user["identities"]) <= 1:
        message = "User must have at least 1 identity after unlinking"
        raise AuthError("single_identity_not_deletable", message, 422)
    await rows.delete(ctx.db, "identities", id=identity_id)
    await users.refresh_providers(ctx.db, user)
    return {}
