"""Becoming a user, and the mails on the way: sign-up, OTP, recovery, resend, invitation."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from stack.supabase.auth import links, passwords, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

Json = dict[str, Any]


def _no_phone(body: Json) -> None:
    if body.get("phone"):
        raise AuthError(400, "phone_provider_disabled", "Phone signups are disabled")


async def sign_up(ctx: Context) -> Json:
    """POST /signup. An address that exists already answers as if it did not, unless sign-ups confirm themselves."""
    body = await ctx.body()
    if ctx.options.disable_signup:
        raise AuthError(422, "signup_disabled", "Signups not allowed for this instance")
    if not body.get("email") and not body.get("phone"):
        return await _anonymous(ctx, body)
    ctx.services.limits.take("otp", ctx.request.ip)
    _no_phone(body)
    if not body.get("password"):
        raise invalid("Signup requires a valid password")
    passwords.check(body["password"], ctx.options.password_min_length)
    email, pkce = users.email_of(body["email"]), links.challenge(body)
    hashed = await passwords.hashed(body["password"], ctx.options.bcrypt_cost)
    async with ctx.transaction() as db:
        user = await users.by_email(db, email)
        if user is not None and user["email_confirmed_at"]:
            if ctx.options.autoconfirm:
                raise AuthError(422, "user_already_exists", "User already registered")
            return _disguised(email, body.get("data") or {})
        if user is None:
            user = await new_email_user(db, email, hashed, body.get("data") or {})
        if ctx.options.autoconfirm:
            user = await users.confirm(db, user)
            return await ctx.services.sessions.start(db, user, "password", ctx.request)
        if pkce:
            await links.open_flow(db, pkce, "email", "email/signup", user["id"])
        await ctx.services.links.send(db, user, "signup", email, ctx.redirect_to(), bool(pkce))
        return users.public(await users.update(db, user["id"]))


async def new_email_user(db: Any, email: str, password_hash: str, data: Json) -> users.Row:
    """A user with an e-mail identity, unconfirmed."""
    user = await users.create(db, email=email, password_hash=password_hash, data=data)
    await users.add_email_identity(db, user)
    return await users.update(db, user["id"])


def _disguised(email: str, data: Json) -> Json:
    at = users.stamp(users.now())
    return {
        "id": str(uuid.uuid4()), "aud": "authenticated", "role": "", "email": email, "phone": "", "confirmation_sent_at": at,
        "app_metadata": {"provider": "email", "providers": ["email"]}, "user_metadata": data, "identities": [],
        "created_at": at, "updated_at": at, "is_anonymous": False,
    }  # fmt: skip


async def _anonymous(ctx: Context, body: Json) -> Json:
    if not ctx.options.anonymous_users:
        raise AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
    if body.get("password"):
        raise AuthError(400, "validation_failed", "Sign up only available with email provider")
    ctx.services.limits.take("anonymous", ctx.request.ip)
    async with ctx.transaction() as db:
        user = await users.create(db, data=body.get("data") or {}, anonymous=True)
        return await ctx.services.sessions.start(db, user, "anonymous", ctx.request)


async def one_time_password(ctx: Context) -> Json:
    """POST /otp and /magiclink: a link or code by mail, creating the user unless told not to."""
    body = await ctx.body()
    ctx.services.limits.take("otp", ctx.request.ip)
    _no_phone(body)
    email, pkce = users.email_of(body.get("email")), links.challenge(body)
    async with ctx.transaction() as db:
        user = await users.by_email(db, email)
        if user is None:
            if not body.get("create_user", True) or ctx.options.disable_signup:
                raise AuthError(422, "otp_disabled", "Signups not allowed for otp")
            hashed = await passwords.hashed(secrets.token_urlsafe(24), ctx.options.bcrypt_cost)
            user = await new_email_user(db, email, hashed, body.get("data") or {})
            if ctx.options.autoconfirm:
                user = await users.confirm(db, user)
        kind = "magiclink" if user["email_confirmed_at"] else "signup"
        if pkce:
            await links.open_flow(
                db, pkce, "email", "magiclink" if kind == "magiclink" else "email/signup", user["id"]
            )
        await ctx.services.links.send(db, user, kind, email, ctx.redirect_to(), bool(pkce))
    return {}


async def recover(ctx: Context) -> Json:
    """POST /recover: a mail to reset the password; the answer never tells whether the user exists."""
    body = await ctx.body()
    ctx.services.limits.take("otp", ctx.request.ip)
    if not body.get("email"):
        raise invalid("Password recovery requires an email")
    email, pkce = users.email_of(body["email"]), links.challenge(body)
    async with ctx.transaction() as db:
        user = await users.by_email(db, email)
        if user is not None:
            if pkce:
                await links.open_flow(db, pkce, "email", "recovery", user["id"])
            await ctx.services.links.send(db, user, "recovery", email, ctx.redirect_to(), bool(pkce))
    return {}


async def resend(ctx: Context) -> Json:
    """POST /resend: the sign-up or e-mail change mail once more."""
    body = await ctx.body()
    ctx.services.limits.take("otp", ctx.request.ip)
    _no_phone(body)
    kind = body.get("type")
    if kind not in ("signup", "email_change"):
        raise invalid("Missing one of these types: signup, email_change, sms, phone_change")
    email = users.email_of(body.get("email"))
    async with ctx.transaction() as db:
        user = await users.by_email(db, email)
        if user is None:
            return {}
        if kind == "signup" and not user["email_confirmed_at"]:
            await ctx.services.links.send(db, user, "signup", email, ctx.redirect_to())
        elif kind == "email_change" and user["email_change"]:
            await ctx.services.links.send(db, user, "email_change", user["email_change"], ctx.redirect_to())
    return {}


async def invite(ctx: Context) -> Json:
    """POST /invite, for administrators: a user and a mail that lets them in."""
    ctx.require_admin()
    body = await ctx.body()
    email = users.email_of(body.get("email"))
    async with ctx.transaction() as db:
        user = await invited(db, email, body.get("data") or {})
        await ctx.services.links.send(db, user, "invite", email, ctx.redirect_to())
        return users.public(await users.update(db, user["id"]))


async def invited(db: Any, email: str, data: Json) -> users.Row:
    """The invited user, made if need be. Raises AuthError 422 for one who is already in."""
    user = await users.by_email(db, email)
    if user is not None and user["email_confirmed_at"]:
        raise AuthError(422, "email_exists", "A user with this email address has already been registered")
    if user is None:
        user = await users.create(db, email=email, data=data)
        await users.add_email_identity(db, user)
    return await users.update(db, user["id"], invited_at=users.now())
