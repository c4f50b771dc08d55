"""Being a user: tokens, reading and changing oneself, logging out, identities."""

from __future__ import annotations

from typing import Any

from stack.supabase.auth import audit, links, passwords, rows, sessions, users, verify
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid, oauth_error
from stack.supabase.http import Response

Json = dict[str, Any]
# Providers whose ID tokens the Auth server knows by name (supabase/auth, internal/api/token_oidc.go).
ISSUERS = {
    "google": "https://accounts.google.com", "facebook": "https://www.facebook.com", "kakao": "https://kauth.kakao.com",
    "snapchat": "https://accounts.snapchat.com/accounts/oauth2/token",
}  # fmt: skip


async def token(ctx: Context) -> Json:
    """POST /token: the grants password, refresh_token and pkce; the others are switched off."""
    grant = ctx.query.get("grant_type")
    if grant not in ("password", "refresh_token", "pkce", "id_token", "web3"):
        raise AuthError("invalid_credentials", "unsupported_grant_type")
    if grant == "web3":
        raise AuthError("web3_provider_disabled", "Web3 provider is disabled", 422)
    ctx.limit("token")
    if grant == "password":
        return await _password(ctx)
    if grant == "refresh_token":
        return await sessions.refresh(ctx, ctx.body.get("refresh_token") or "")
    if grant == "pkce":
        return await _pkce(ctx)
    if not ctx.body.get("id_token"):
        raise oauth_error("invalid request", "id_token required")
    provider = ctx.body.get("provider") or ""
    if not provider and not (ctx.body.get("client_id") and ctx.body.get("issuer")):
        raise oauth_error("invalid request", "provider or client_id and issuer required")
    if provider in ISSUERS:
        raise AuthError("provider_disabled", f'Provider (issuer "{ISSUERS[provider]}") is not enabled')
    raise invalid(f'Custom OIDC provider "{provider}" not allowed')


async def _password(ctx: Context) -> Json:
    email, phone, password = (ctx.body.get(name) or "" for name in ("email", "phone", "password"))
    if email and phone:
        raise invalid("Only an email address or phone number should be provided on login.")
    if phone:
        raise AuthError("phone_provider_disabled")
    if not email:
        raise invalid("missing email or phone")
    if not ctx.options.email_provider:
        raise AuthError("email_provider_disabled")
    user = await users.by_email(ctx.db, email)
    if user is None or not user["encrypted_password"]:
        raise AuthError("invalid_credentials")
    users.check_not_banned(user, status=400)
    if not await ctx.aside(passwords.matches(password, user["encrypted_password"])):
        raise AuthError("invalid_credentials")
    if not user["email_confirmed_at"]:
        raise AuthError("email_not_confirmed", "Email not confirmed")
    await audit.record(ctx, user, "login", provider="email")
    return await sessions.start(ctx, user, "password") | {"weak_password": _weakness(ctx, password)}


def _weakness(ctx: Context, password: str) -> Json | None:
    """Why the password would not be taken today, for those who set it before."""
    try:
        passwords.check(ctx, password)
    except AuthError as error:
        return {"message": error.message, **error.extra.get("weak_password", {})}
    return None


async def _pkce(ctx: Context) -> Json:
    flow = await links.redeem(ctx, ctx.body.get("auth_code") or "", ctx.body.get("code_verifier") or "")
    user = await users.find(ctx.db, flow["user_id"])
    await audit.record(ctx, user, "login", provider_type=flow["provider_type"])
    given = {"provider_token": flow["provider_access_token"]} if flow["provider_access_token"] else {}
    return await sessions.start(ctx, user, flow["authentication_method"]) | given


async def get(ctx: Context) -> Json:
    """GET /user. A token without an audience, or with another than `X-JWT-AUD` asks for, is refused (Auth, user.go)."""
    user = (await ctx.require_user())[0]
    audience = ctx.claims().get("aud") or ""
    audience = (audience[0] if audience else "") if isinstance(audience, list) else audience
    if not audience or ctx.request.headers.get("x-jwt-aud", audience) != audience:
        raise invalid("Token audience doesn't match request audience")
    return users.public(user)


async def change(ctx: Context) -> Json:
    """PUT /user: metadata, password, e-mail address."""
    loaded, session_id = await ctx.require_user()
    ctx.limit("user")
    body, user = ctx.body, loaded
    email = users.email_of(body["email"]) if body.get("email") else ""
    email = "" if email == user["email"] else email
    if body.get("phone"):
        users.check_phone(body["phone"])
    password = body.get("password")
    if password is not None:
        passwords.check(ctx, password)
    if body.get("app_metadata") is not None:
        raise AuthError("not_admin", "Updating app_metadata requires admin privileges")
    strong = ctx.claims().get("aal") == "aal2" or not any(f["status"] == "verified" for f in user["factors"])
    if (password or email) and not strong:
        message = "AAL2 session is required to update email or password when MFA is enabled."
        raise AuthError("insufficient_aal", message, 401)
    if user["is_anonymous"] and password and not email:
        words = "without an email or phone is not allowed"
        raise invalid(f"Updating password of an anonymous user {words}", 422)
    if email:
        await users.check_free(ctx.db, email, user["id"])
    if body.get("phone"):
        raise AuthError("phone_provider_disabled")
    hashed = await _new_password(ctx, user, session_id, password) if password else None
    if hashed:
        user = await users.set_password(ctx.db, user, hashed, session_id)
        await audit.record(ctx, user, "user_updated_password")
    user = await users.amend(ctx.db, user, body.get("data"))
    if email and user["is_anonymous"] and ctx.options.autoconfirm:
        user = await verify.apply_change(ctx, await users.update(ctx.db, user, email_change=email))
        loaded = user
    elif email:
        user = await links.send_change(ctx, user, email)
    await audit.record(ctx, user, "user_modified")
    return users.changed(user, loaded)


async def _new_password(ctx: Context, user: users.Row, session_id: str | None, password: str) -> str:
    known, current = user["encrypted_password"], ctx.body.get("current_password")
    if known and ctx.options.password_requires_current and not await _recovering(ctx, session_id):
        message = "Current password required when setting new password."
        if not current:
            raise AuthError("current_password_required", message)
        if not await ctx.aside(passwords.matches(current, known)):
            raise AuthError("current_password_invalid", message)
    if await ctx.aside(passwords.matches(password, known)):
        raise AuthError("same_password", "New password should be different from the old password.", 422)
    return await passwords.hashed(ctx, password)


async def _recovering(ctx: Context, session_id: str | None) -> bool:
    """Whether the session began with a link or code from a mail, as a recovery does."""
    sql = ("select true from auth.mfa_amr_claims where session_id = $1 "
           "and authentication_method in ('otp', 'magiclink', 'recovery') limit 1")  # fmt: skip
    return bool(session_id and await ctx.db.fetchval(sql, session_id))


async def reauthenticate(ctx: Context) -> Json:
    """GET /reauthenticate: a mail with a nonce."""
    user, _ = await ctx.require_user()
    if not user["email"]:
        raise invalid("Reauthentication requires the user to have an email or a phone number")
    if not user["email_confirmed_at"]:
        raise AuthError("email_not_confirmed", "Please verify your email first.", 422)
    await audit.record(ctx, user, "user_reauthenticate_requested")
    await links.send(ctx, user, "reauthentication")
    return {}


async def log_out(ctx: Context) -> Response:
    """POST /logout?scope=global|local|others."""
    user, session_id = await ctx.require_user()
    scope = ctx.query.get("scope") or "global"
    if scope not in ("global", "local", "others"):
        raise invalid(f'Unsupported logout scope "{scope}"')
    await audit.record(ctx, user, "logout")
    await sessions.end(ctx, user, session_id, scope)
    return Response(204)


async def unlink(ctx: Context) -> Json:
    """DELETE /user/identities/{id}."""
    user, _ = await ctx.require_user()
    if not ctx.options.manual_linking:
        raise AuthError("manual_linking_disabled")
    identity_id = users.uuid_of(ctx.matched[0], "identity_id")
    if len(user["identities"]) <= 1:
        message = "User must have at least 1 identity after unlinking"
        raise AuthError("single_identity_not_deletable", message, 422)
    gone = await rows.delete(ctx.db, "identities", id=identity_id, user_id=user["id"])
    if gone is None:
        raise AuthError("identity_not_found", "Identity doesn't exist", 422)
    about = {"identity_id": identity_id, "provider": gone["provider"], "provider_id": gone["provider_id"]}
    await audit.record(ctx, user, "identity_unlinked", **about)
    await users.refresh_providers(ctx.db, user)
    return {}
