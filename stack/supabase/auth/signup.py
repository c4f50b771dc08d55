"""Becoming a user, and the mails on the way: sign-up, OTP, recovery, resend, invitation."""

from __future__ import annotations

import uuid
from typing import Any

from stack.supabase.auth import links, passwords, sessions, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

Json = dict[str, Any]


def _email(ctx: Context) -> str:
    """The address in the body, of a request that is limited because a mail follows."""
    ctx.limit("otp")
    links.challenge(ctx.body)  # complain before anything is done
    return users.email_of(ctx.body.get("email"))


async def sign_up(ctx: Context) -> Json:
    """POST /signup. An address that exists already answers as if it did not, unless sign-ups confirm themselves."""
    body, options = ctx.body, ctx.options
    if options.disable_signup:
        raise AuthError("signup_disabled")
    if not body.get("email"):
        return await _anonymous(ctx)
    if not body.get("password"):
        raise invalid("Signup requires a valid password")
    email, data = _email(ctx), body.get("data") or {}
    hashed = await passwords.set_by(ctx, body["password"])
    user = await users.by_email(ctx.db, email)
    if user is not None and user["email_confirmed_at"]:
        if options.autoconfirm:
            raise AuthError("user_already_exists", "User already registered", 422)
        return _disguised(email, data)
    user = user or await users.create(ctx.db, email=email, password=hashed, data=data)
    if options.autoconfirm:
        return await sessions.start(ctx, await users.confirm(ctx.db, user), "password")
    return users.public(await links.send(ctx, user, "signup", email, "email/signup"))


def _disguised(email: str, data: Json) -> Json:
    at = users.now().isoformat().replace("+00:00", "Z")
    return {
        "id": str(uuid.uuid4()), "aud": "authenticated", "role": "", "email": email, "phone": "", "confirmation_sent_at": at,
        "app_metadata": {"provider": "email", "providers": ["email"]}, "user_metadata": data, "identities": [],
        "created_at": at, "updated_at": at, "is_anonymous": False,
    }  # fmt: skip


async def _anonymous(ctx: Context) -> Json:
    if not ctx.options.anonymous_users:
        raise AuthError("anonymous_provider_disabled", "Anonymous sign-ins are disabled", 422)
    if ctx.body.get("password"):
        raise invalid("Sign up only available with email provider")
    ctx.limit("anonymous")
    user = await users.create(ctx.db, data=ctx.body.get("data"))
    return await sessions.start(ctx, user, "anonymous")


async def one_time_password(ctx: Context) -> Json:
    """POST /otp and /magiclink: a link or code by mail, creating the user unless told not to."""
    email, body = _email(ctx), ctx.body
    user = await users.by_email(ctx.db, email)
    if user is None:
        if not body.get("create_user", True) or ctx.options.disable_signup:
            raise AuthError("otp_disabled", "Signups not allowed for otp", 422)
        user = await users.create(ctx.db, email=email, data=body.get("data"))
        if ctx.options.autoconfirm:
            user = await users.confirm(ctx.db, user)
    if user["email_confirmed_at"]:
        await links.send(ctx, user, "magiclink", email, "magiclink")
    else:
        await links.send(ctx, user, "signup", email, "email/signup")
    return {}


async def recover(ctx: Context) -> Json:
    """POST /recover: a mail to reset the password; the answer never tells whether the user exists."""
    if not ctx.body.get("email"):
        raise invalid("Password recovery requires an email")
    email = _email(ctx)
    user = await users.by_email(ctx.db, email)
    if user is not None:
        await links.send(ctx, user, "recovery", email, "recovery")
    return {}


async def resend(ctx: Context) -> Json:
    """POST /resend: the sign-up or e-mail change mail once more."""
    kind = ctx.body.get("type")
    if kind not in ("signup", "email_change"):
        raise invalid("Missing one of these types: signup, email_change, sms, phone_change")
    user = await users.by_email(ctx.db, _email(ctx))
    if user and kind == "signup" and not user["email_confirmed_at"]:
        await links.send(ctx, user, "signup", user["email"])
    elif user and kind == "email_change" and user["email_change"]:
        await links.send(ctx, user, "email_change", user["email_change"])
    return {}


async def invite(ctx: Context) -> Json:
    """POST /invite, for administrators: a user and a mail that lets them in."""
    ctx.require_admin()
    email = users.email_of(ctx.body.get("email"))
    return users.public(await links.send(ctx, await invited(ctx, email), "invite", email))


async def invited(ctx: Context, email: str) -> users.Row:
    """The invited user, made if need be. Raises AuthError 422 for one who is already in."""
    user = await users.by_email(ctx.db, email)
    if user is not None and user["email_confirmed_at"]:
        raise AuthError("email_exists")
    user = user or await users.create(ctx.db, email=email, data=ctx.body.get("data"))
    return await users.update(ctx.db, user, invited_at=users.now())
