"""Becoming a user, and the mails on the way: sign-up, OTP, recovery, resend, invitation."""

from __future__ import annotations

import uuid
from typing import Any

from stack.supabase.auth import audit, links, passwords, sessions, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

Json = dict[str, Any]
HIDDEN = ("last_sign_in_at", "confirmed_at", "email_change_sent_at", "email_confirmed_at")


async def sign_up(ctx: Context) -> Json:
    """POST /signup. An address that exists already answers as if it did not, unless sign-ups confirm themselves."""
    body, options = ctx.body, ctx.options
    if not body.get("email") and not body.get("phone"):
        return await _anonymous(ctx)
    ctx.limit("signup")
    if options.disable_signup:
        raise AuthError("signup_disabled")
    if not body.get("password"):
        raise invalid("Signup requires a valid password")
    passwords.check(ctx, body["password"])
    if body.get("email") and body.get("phone"):
        raise invalid("Only an email address or phone number should be provided on signup.")
    links.challenge(body)  # complain before anything is done
    if body.get("phone"):
        raise AuthError("phone_provider_disabled", "Phone signups are disabled", 400)
    if not options.email_provider:
        raise AuthError("email_provider_disabled", "Email signups are disabled", 400)
    email, data = users.email_of(body["email"]), body.get("data") or {}
    hashed = await passwords.hashed(ctx, body["password"])
    user = await users.holder(ctx.db, email)
    if user is not None and user["email_confirmed_at"]:
        return await _repeated(ctx, user, data)
    user = await _register(ctx, user, email, hashed, data)
    if options.autoconfirm:
        return await _entered(ctx, user)
    if user["invited_at"]:
        user = {**user, "raw_user_meta_data": {}, "identities": []}
    return users.public(user)


async def _register(ctx: Context, user: users.Row | None, email: str, hashed: str, data: Json) -> users.Row:
    """The user who signed up, made if need be: confirmed, or with a mail on the way that lets them confirm."""
    user = user or await users.create(ctx.db, email=email, password=hashed, data=data, signs_up=True)
    if ctx.options.autoconfirm:
        await audit.record(ctx, user, "user_signedup", provider="email")
        return await users.confirm(ctx.db, user)
    await audit.record(ctx, user, "user_confirmation_requested", provider="email")
    return await links.send(ctx, user, "signup", "email/signup")


async def _entered(ctx: Context, user: users.Row) -> Json:
    """The session of somebody whose sign-up needed no confirmation; the user in it is not read anew."""
    await audit.record(ctx, user, "login", provider="email")
    session = await sessions.start(ctx, user, "password")
    session["user"].pop("confirmed_at")
    for identity in session["user"]["identities"]:  # shares its data with the user's metadata there
        identity["identity_data"]["email_verified"] = True
    return session


async def _repeated(ctx: Context, user: users.Row, data: Json) -> Json:
    """What somebody else's sign-up with a known address is told: as if it were a new one, but that none has confirmed."""
    await audit.record(ctx, user, "user_repeated_signup", provider="email")
    if ctx.options.autoconfirm:
        taken = AuthError("user_already_exists", "User already registered", 422)
        taken.keep = True  # what was audited
        raise taken
    at = users.now()
    return users.public({
        **user, "id": str(uuid.uuid4()), "role": "", "email_change": "", "phone": "", "created_at": at, "updated_at": at,
        "confirmation_sent_at": at, "raw_app_meta_data": {"provider": "email", "providers": ["email"]},
        "raw_user_meta_data": data, "identities": [], **dict.fromkeys(HIDDEN),
    })  # fmt: skip


async def _anonymous(ctx: Context) -> Json:
    if not ctx.options.anonymous_users:
        raise AuthError("anonymous_provider_disabled", "Anonymous sign-ins are disabled", 422)
    ctx.limit("anonymous")
    if ctx.options.disable_signup:
        raise AuthError("signup_disabled")
    user = await users.create(ctx.db, data=ctx.body.get("data"), doing="creating anonymous user")
    return await sessions.start(ctx, user, "anonymous")


async def one_time_password(ctx: Context) -> Json:
    """POST /otp: a link or code by mail, creating the user unless told not to."""
    ctx.limit("otp")
    body = ctx.body
    if body.get("email") and body.get("phone"):
        raise invalid("Only an email address or phone number should be provided")
    links.challenge(body)
    known = body.get("create_user", True) or not body.get("email") or users.email_of(body["email"])
    if isinstance(known, str) and await users.by_email(ctx.db, known) is None:
        raise AuthError("otp_disabled", "Signups not allowed for otp", 422)
    if body.get("email"):
        return await _magic_link(ctx)
    if body.get("phone"):
        raise AuthError("phone_provider_disabled", "Unsupported phone provider", 400)
    raise invalid("One of email or phone must be set")


async def magic_link(ctx: Context) -> Json:
    """POST /magiclink: as /otp, for an address alone."""
    ctx.limit("magiclink")
    return await _magic_link(ctx)


async def _magic_link(ctx: Context) -> Json:
    if not ctx.options.email_provider:
        raise AuthError("email_provider_disabled")
    if not ctx.body.get("email"):
        raise invalid("Password recovery requires an email", 422)
    email = users.email_of(ctx.body["email"])
    links.challenge(ctx.body)
    user = await users.by_email(ctx.db, email)
    if user is None or not user["email_confirmed_at"]:
        if ctx.options.disable_signup:
            raise AuthError("signup_disabled")
        data, user = ctx.body.get("data") or {}, await users.holder(ctx.db, email)
        if user is not None and user["email_confirmed_at"]:  # under another address
            await _repeated(ctx, user, data)
            return {}
        user = await _register(ctx, user, email, passwords.unknown_to_all(), data)
        if not ctx.options.autoconfirm:
            return {}  # the mail that confirms the address is a magic link already
    await audit.record(ctx, user, "user_recovery_requested")
    await links.send(ctx, user, "magiclink", "magiclink")
    return {}


async def recover(ctx: Context) -> Json:
    """POST /recover: a mail to reset the password; the answer never tells whether the user exists."""
    ctx.limit("recover")
    if not ctx.options.email_provider:
        raise AuthError("email_provider_disabled", status=400)
    if not ctx.body.get("email"):
        raise invalid("Password recovery requires an email")
    user = await users.by_email(ctx.db, users.email_of(ctx.body["email"]))
    links.challenge(ctx.body)
    if user is not None:
        await audit.record(ctx, user, "user_recovery_requested")
        await links.send(ctx, user, "recovery", "recovery")
    return {}


async def resend(ctx: Context) -> Json:
    """POST /resend: the sign-up or e-mail change mail once more."""
    ctx.limit("resend")
    body = ctx.body
    kind, email = body.get("type"), body.get("email")
    if kind not in ("signup", "email_change", "sms", "phone_change"):
        raise invalid("Missing one of these types: signup, email_change, sms, phone_change")
    if not email and kind == "signup":
        raise invalid("Type provided requires an email address")
    if body.get("phone"):
        raise AuthError("phone_provider_disabled", status=400)
    if not email:
        raise invalid("Missing email address or phone number")
    if not ctx.options.email_provider:
        raise AuthError("email_provider_disabled", status=400)
    user = await users.by_email(ctx.db, users.email_of(email))
    links.challenge(body)
    if user and kind == "signup" and not user["email_confirmed_at"]:
        await audit.record(ctx, user, "user_confirmation_requested")
        await links.send(ctx, user, "signup", "email/signup")
    elif user and kind == "email_change" and user["email_change"]:
        await links.send_change(ctx, user, user["email_change"])
    return {}


async def invite(ctx: Context) -> Json:
    """POST /invite, for administrators: a user and a mail that lets them in."""
    ctx.require_admin()
    user = await invited(ctx, users.email_of(ctx.body.get("email")))
    return users.public(await links.send(ctx, user, "invite"))


async def invited(ctx: Context, email: str) -> users.Row:
    """The invited user, made if need be. Raises AuthError 422 for one who is already in."""
    user = await users.by_email(ctx.db, email)
    if user is not None and user["email_confirmed_at"]:
        raise AuthError("email_exists")
    user = user or await users.create(ctx.db, email=email, data=ctx.body.get("data"))
    await audit.record(ctx, None, "user_invited", user_id=str(user["id"]), user_email=user["email"] or "")
    return await users.update(ctx.db, user, invited_at=users.now())
