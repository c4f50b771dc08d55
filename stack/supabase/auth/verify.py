"""Following a link or typing its code: GET and POST /verify."""

from __future__ import annotations

import re
from typing import Any

from stack.supabase.auth import links, redirects, rows, sessions, users
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
IN_FRAGMENT = ("access_token", "expires_at", "expires_in", "refresh_token", "token_type")


async def post(ctx: Context) -> dict[str, Any]:
    """POST /verify: a session for a code with its address, or for a link's token hash."""
    ctx.limit("verify")
    body, token_hash = ctx.body, ctx.body.get("token_hash")
    if body.get("phone"):
        if not re.fullmatch(r"\+?[1-9]\d{1,14}", body["phone"]):
            raise invalid("Invalid phone number format (E.164 required)")
        raise AuthError("otp_expired")  # nobody has a phone here
    if bool(body.get("token")) == bool(token_hash):
        raise invalid("Verify requires either a token or a token hash")
    kind = _kind(body.get("type"))
    if token_hash and body.get("email"):
        raise invalid("Only the token_hash and type should be provided")
    if not token_hash:
        token_hash = links.hash_of(users.email_of(body.get("email")), body["token"])
    user = await _accept(ctx, kind, token_hash)
    return await sessions.start(ctx, user, "otp") if user else {"code": "200", "msg": CONFIRMED_ONE}


async def get(ctx: Context) -> Response:
    """GET /verify, reached from a mail: back to the site with a session, a PKCE code, or an error."""
    ctx.limit("verify")
    token_hash, target = ctx.query.get("token", ""), ctx.redirect_to()
    if not token_hash:
        raise invalid("Verify requires a token")
    pkce = token_hash.startswith(links.PKCE)
    try:
        kind = _kind(ctx.query.get("type"))
        user = await _accept(ctx, kind, token_hash)
        if user is None:
            add = redirects.with_query if pkce else redirects.with_fragment
            return see(add(target, {"message": CONFIRMED_ONE}))
        if pkce:
            code = await links.issue_code(ctx, user, METHODS.get(kind, kind))
            return see(redirects.with_query(target, {"code": code}))
        return see(arrived(target, await sessions.start(ctx, user, "otp"), {"type": kind}))
    except AuthError as error:
        error.instead = failed(target, error, pkce)
        raise


def _kind(given: Any) -> str:
    if given not in TYPES:
        raise invalid("Unsupported verification type" if given else "Verify requires a verification type")
    return str(given)


def arrived(target: str, session: dict[str, Any], more: dict[str, str]) -> str:
    """The site's address with a session in its fragment, for the implicit flow."""
    return redirects.with_fragment(target, {name: str(session[name]) for name in IN_FRAGMENT} | more)


def failed(target: str, error: AuthError, query_too: bool) -> Response:
    """Back to the site, with the error where its client looks for it."""
    message = "Email link is invalid or has expired" if error.code == "otp_expired" else error.message
    kind = "server_error" if error.status >= 500 else "access_denied"
    values = {"error": kind, "error_code": error.code, "error_description": message}
    target = redirects.with_query(target, values) if query_too else target
    return see(redirects.with_fragment(target, values))


def see(url: str) -> Response:
    """A redirect that is followed by GET."""
    return Response(303, b"", {"location": url})


async def _accept(ctx: Context, kind: str, token_hash: str) -> users.Row | None:
    """Do what the link was for; None when a second address must still confirm an e-mail change."""
    user = await links.spend(ctx, token_hash, TYPES[kind])
    if kind == "email_change":
        return await _change_email(ctx, user)
    if not user["email_confirmed_at"]:
        await users.confirm(ctx.db, user)
    return await users.refresh_providers(ctx.db, user)


async def _change_email(ctx: Context, user: users.Row) -> users.Row | None:
    if ctx.options.secure_email_change and user["email"] and user["email_change_confirm_status"] == 0:
        await users.update(ctx.db, user, email_change_confirm_status=1)
        return None
    if user["email_change"] != user["email"]:
        await users.check_free(ctx.db, user["email_change"])
    for which in ("email_change_token_new", "email_change_token_current"):
        await rows.delete(ctx.db, "one_time_tokens", user_id=user["id"], token_type=which)
    return await users.apply_email(ctx.db, user, user["email_change"])
