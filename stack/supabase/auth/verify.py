"""Following a link or typing its code: GET and POST /verify."""

from __future__ import annotations

import re
from typing import Any

from stack.supabase.auth import links, redirects, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.http import Response

CONFIRMED_ONE = "Confirmation link accepted. Please proceed to confirm link sent to the other email"
TYPES: dict[str, tuple[str, ...]] = {
    "signup": ("confirmation_token",),
    "invite": ("confirmation_token",),
    "recovery": ("recovery_token",),
    "magiclink": ("recovery_token",),
    "email": ("confirmation_token", "recovery_token"),
    "email_change": ("email_change_token_new", "email_change_token_current"),
}
# The authentication method of the PKCE flow that waits for each type of link.
METHODS = {"signup": "email/signup", "email": "email/signup"}


async def post(ctx: Context) -> dict[str, Any]:
    """POST /verify: a session for a code with its address, or for a link's token hash."""
    ctx.services.limits.take("verify", ctx.request.ip)
    body = await ctx.body()
    if body.get("phone"):
        if not re.fullmatch(r"\+?[1-9]\d{1,14}", body["phone"]):
            raise invalid("Invalid phone number format (E.164 required)")
        raise AuthError(403, "otp_expired", "Token has expired or is invalid")  # nobody has a phone here
    if bool(body.get("token")) == bool(body.get("token_hash")):
        raise invalid("Verify requires either a token or a token hash")
    kind = _kind(body.get("type"))
    if body.get("token_hash"):
        if body.get("email"):
            raise invalid("Only the token_hash and type should be provided")
        token_hash = body["token_hash"]
    else:
        token_hash = links.hash_of(users.email_of(body.get("email")), body["token"])
    async with ctx.transaction() as db:
        user = await accept(ctx, db, kind, token_hash)
        if user is None:
            return {"code": "200", "msg": CONFIRMED_ONE}
        return await ctx.services.sessions.start(db, user, "otp", ctx.request)


async def get(ctx: Context) -> Response:
    """GET /verify, reached from a mail: back to the site with a session, a PKCE code, or an error."""
    ctx.services.limits.take("verify", ctx.request.ip)
    token_hash, target = ctx.query.get("token", ""), ctx.redirect_to()
    if not token_hash:
        raise invalid("Verify requires a token")
    pkce = token_hash.startswith(links.PKCE)
    try:
        kind = _kind(ctx.query.get("type"))
        async with ctx.transaction() as db:
            user = await accept(ctx, db, kind, token_hash)
            if user is None:
                values = {"message": CONFIRMED_ONE}
                return see(
                    redirects.with_query(target, values) if pkce else redirects.with_fragment(target, values)
                )
            if pkce:
                code = await links.issue_code(db, user["id"], METHODS.get(kind, kind))
                return see(redirects.with_query(target, {"code": code}))
            session = await ctx.services.sessions.start(db, user, "otp", ctx.request)
    except AuthError as error:
        return failed(target, error, pkce)
    return see(redirects.with_fragment(target, as_fragment(session) | {"type": kind}))


def _kind(given: Any) -> str:
    if given not in TYPES:
        raise invalid("Verify requires a verification type" if not given else "Unsupported verification type")
    return str(given)


def as_fragment(session: dict[str, Any]) -> dict[str, str]:
    """A session in an address's fragment, for the implicit flow."""
    names = ("access_token", "expires_at", "expires_in", "refresh_token", "token_type")
    return {name: str(session[name]) for name in names}


def failed(target: str, error: AuthError, query_too: bool) -> Response:
    """Back to the site, with the error where its client looks for it."""
    message = "Email link is invalid or has expired" if error.code == "otp_expired" else error.message
    kind = "server_error" if error.status >= 500 else "access_denied"
    values = {"error": kind, "error_code": error.code, "error_description": message}
    if query_too:
        target = redirects.with_query(target, values)
    return see(redirects.with_fragment(target, values))


def see(url: str) -> Response:
    """A redirect that is followed by GET."""
    return Response(303, b"", {"location": url})


async def accept(ctx: Context, db: Any, kind: str, token_hash: str) -> users.Row | None:
    """Do what the link was for; None when a second address must still confirm an e-mail change."""
    user = await ctx.services.links.find(db, token_hash, TYPES[kind])
    token_type = user["token_type"]
    await ctx.services.links.spend(db, user, token_type)
    if kind == "email_change":
        return await _change_email(ctx, db, user, token_type)
    if not user["email_confirmed_at"]:
        await users.confirm(db, user)
    return await users.refresh_providers(db, user["id"])


async def _change_email(ctx: Context, db: Any, user: users.Row, token_type: str) -> users.Row | None:
    both = ctx.options.secure_email_change and user["email"]
    if both and user["email_change_confirm_status"] == 0:
        await users.update(db, user["id"], email_change_confirm_status=1)
        return None
    email = user["email_change"]
    taken = await users.by_email(db, email)
    if taken is not None and taken["id"] != user["id"]:
        raise AuthError(422, "email_exists", "A user with this email address has already been registered")
    await db.execute(
        "delete from auth.one_time_tokens where user_id = $1 and token_type::text like 'email_change%'",
        user["id"],
    )
    return await apply_email(db, user, email)


async def apply_email(db: Any, user: users.Row, email: str) -> users.Row:
    """Give the user a new confirmed address, on the account and on its e-mail identity (made if there was none)."""
    data = {"sub": str(user["id"]), "email": email, "email_verified": True}
    changed = await db.fetchval(
        "update auth.identities set identity_data = identity_data || $2, updated_at = now() "
        "where user_id = $1 and provider = 'email' returning id",
        user["id"],
        data,
    )
    if changed is None:
        await users.add_identity(
            db, str(user["id"]), "email", str(user["id"]), {**data, "phone_verified": False}
        )
    meta = {**(user["raw_user_meta_data"] or {}), "email_verified": True}
    await users.update(
        db,
        user["id"],
        email=email,
        email_change="",
        email_change_confirm_status=0,
        email_change_token_new="",
        email_change_token_current="",
        email_confirmed_at=users.now(),
        raw_user_meta_data=meta,
        is_anonymous=False,
    )
    return await users.refresh_providers(db, user["id"])
