"""Following a link or typing its code: GET and POST /verify."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from stack.supabase.auth import audit, links, passwords, redirects, rows, sessions, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.http import Response

CONFIRMED_ONE = "Confirmation link accepted. Please proceed to confirm link sent to the other email"
LINK_EXPIRED = "Email link is invalid or has expired"
# The kinds of token that are good for each type of verification, and what an e-mail's code or link turns out to be.
TYPES: dict[str, tuple[str, ...]] = {
    "signup": ("confirmation_token",),
    "invite": ("confirmation_token",),
    "recovery": ("recovery_token",),
    "magiclink": ("recovery_token",),
    "email": ("confirmation_token", "recovery_token"),
    "email_change": ("email_change_token_current", "email_change_token_new"),
}
EMAIL = {"confirmation_token": "signup", "recovery_token": "magiclink"}
# The authentication method of the PKCE flow that waits for each type of link.
METHODS = {"signup": "email/signup", "email": "email/signup"}
IN_FRAGMENT = ("access_token", "expires_at", "expires_in", "refresh_token", "token_type")
OAUTH_ERRORS = {400: "invalid_request", 401: "unauthorized_client", 403: "access_denied", 500: "server_error"}
FIND = """
select t.user_id, t.token_type::text as type from auth.one_time_tokens t
where t.token_hash = any($1) and t.token_type::text = any($2) for update"""


async def post(ctx: Context) -> dict[str, Any]:
    """POST /verify: a session for a code with its address, or for a link's token hash."""
    ctx.limit("verify")
    body = ctx.body
    kind, token, token_hash = (body.get(name) or "" for name in ("type", "token", "token_hash"))
    email, phone = body.get("email"), body.get("phone")
    if not kind:
        raise invalid("Verify requires a verification type")
    if bool(token) == bool(token_hash):
        raise invalid("Verify requires either a token or a token hash")
    if token_hash and (email or phone or body.get("redirect_to")):
        raise invalid("Only the token_hash and type should be provided")
    if token_hash:
        user, kind, token_hash = await _by_hash(ctx, kind, token_hash)
    elif phone and not email:
        users.check_phone(phone)
        raise AuthError("otp_expired")  # nobody has a phone here
    elif phone or not email:
        raise invalid("Only an email address or phone number should be provided on verify")
    else:
        user, kind, token_hash = await _by_code(ctx, kind, _valid(email), token)
    accepted = await _accept(ctx, kind, user, token_hash)
    if accepted is None:
        return {"code": "200", "msg": CONFIRMED_ONE}
    return await sessions.start(ctx, accepted, "otp")


def _valid(email: str) -> str:
    try:
        return users.email_of(email)
    except AuthError as error:
        raise invalid("Invalid email format", 422) from error


async def get(ctx: Context) -> Response:
    """GET /verify, reached from a mail: back to the site with a session, a PKCE code, or an error."""
    ctx.limit("verify")
    kind, token_hash, target = ctx.query.get("type", ""), ctx.query.get("token", ""), ctx.redirect_to()
    if not kind:
        raise invalid("Verify requires a verification type")
    if not token_hash:
        raise invalid("Verify requires a token or a token hash")
    pkce = token_hash.startswith(links.PKCE)
    try:
        user, found, token_hash = await _by_hash(ctx, kind, token_hash)
        accepted = await _accept(ctx, found, user, token_hash)
        if accepted is None:
            said = {"message": CONFIRMED_ONE}
            url = redirects.with_query(target, said) if pkce else target
            return redirects.to(redirects.with_fragment(url, said))
        if pkce:
            code = await links.issue_code(ctx, accepted, METHODS.get(kind, kind))
            return redirects.to(redirects.with_query(target, {"code": code}))
        session = await sessions.start(ctx, accepted, "otp")
        return redirects.to(arrived(target, session, {"type": found}))
    except AuthError as error:
        error.instead = _failed(target, error, pkce)
        raise


def arrived(target: str, session: dict[str, Any], more: dict[str, str]) -> str:
    """The site's address with a session in its fragment, for the implicit flow."""
    return redirects.with_fragment(target, {name: str(session[name]) for name in IN_FRAGMENT} | more)


def _failed(target: str, error: AuthError, query_too: bool) -> Response:
    """Back to the site, with the error where its client looks for it (supabase/auth, prepErrorRedirectURL)."""
    kind = {"error": OAUTH_ERRORS[error.status]} if error.status in OAUTH_ERRORS else {}
    values = {**kind, "error_code": error.code, "error_description": error.message}
    target = redirects.with_query(target, values) if query_too else target
    return redirects.to(redirects.with_fragment(target, values))


async def _by_hash(ctx: Context, kind: str, token_hash: str) -> tuple[users.Row, str, str]:
    """Whose link this is, what it is for, and its hash. Raises AuthError."""
    if kind not in TYPES:
        raise invalid("Invalid email verification type")
    token = await ctx.db.fetchrow(FIND, [token_hash], list(TYPES[kind]))
    if token is None:
        raise AuthError("otp_expired", LINK_EXPIRED)
    user = await users.find(ctx.db, token["user_id"])
    users.check_not_banned(user)
    if _expired(ctx, user, token["type"]):
        raise AuthError("otp_expired", LINK_EXPIRED)
    return user, EMAIL[token["type"]] if kind == "email" else kind, token_hash


async def _by_code(ctx: Context, kind: str, email: str, otp: str) -> tuple[users.Row, str, str]:
    """Whose code this is, what it is for, and its hash. Raises AuthError."""
    token_hash = links.hash_of(email, otp)
    hashes = [token_hash, links.PKCE + token_hash]
    if kind == "email_change":
        token = await ctx.db.fetchrow(FIND, hashes, list(TYPES[kind]))
        user = await users.find(ctx.db, token["user_id"]) if token else None
    else:
        await ctx.db.execute("select 1 from auth.users where email = $1 for update", email)
        user = await users.by_email(ctx.db, email)
    if user is None:
        raise AuthError("otp_expired")
    users.check_not_banned(user)
    for column in TYPES.get(kind, ()):
        if user[column] in hashes and not _expired(ctx, user, column):
            return user, EMAIL[column] if kind == "email" else kind, user[column]
    raise AuthError("otp_expired")


def _expired(ctx: Context, user: users.Row, column: str) -> bool:
    at = user[links.sent_at(column)]
    return at is None or at + timedelta(seconds=ctx.options.otp_expiry) < users.now()


async def _accept(ctx: Context, kind: str, user: users.Row, token_hash: str) -> users.Row | None:
    """Do what the link was for; None when a second address must still confirm an e-mail change."""
    if kind == "email_change":
        changed = await _change_email(ctx, user, token_hash)
        if changed is None:
            return None
        user = changed
    elif kind in ("signup", "invite"):
        user = await _confirm(ctx, user)
    else:
        user = await _recover(ctx, user)
    return await users.refresh_providers(ctx.db, user)


async def _confirm(ctx: Context, user: users.Row) -> users.Row:
    if user["invited_at"] and not user["encrypted_password"]:
        user = await users.set_password(ctx.db, user, passwords.unknown_to_all(), None)
    await audit.record(ctx, user, "user_signedup", provider="email")
    user = await users.confirm(ctx.db, user)
    sql = (
        "update auth.identities set identity_data = identity_data || '{\"email_verified\": true}' "
        "where user_id = $1 and email = $2"
    )
    await ctx.db.execute(sql, user["id"], user["email"])
    return user


async def _recover(ctx: Context, user: users.Row) -> users.Row:
    await users.forget_links(ctx.db, user)
    user = await users.update(ctx.db, user, recovery_token="")
    if user["email_confirmed_at"]:
        await audit.record(ctx, user, "login")
        return user
    await audit.record(ctx, user, "user_signedup", provider="email")
    return await users.confirm(ctx.db, user)


async def _change_email(ctx: Context, user: users.Row, token_hash: str) -> users.Row | None:
    options, db = ctx.options, ctx.db
    both = options.secure_email_change and not options.autoconfirm and user["email"]
    if both and not user["email_change_confirm_status"]:
        spent = [column for column in TYPES["email_change"] if user[column] == token_hash][:1]
        for column in spent:
            await rows.delete(db, "one_time_tokens", user_id=user["id"], token_type=column)
        await users.update(db, user, email_change_confirm_status=1, **dict.fromkeys(spent, ""))
        return None
    return await apply_change(ctx, user)


async def apply_change(ctx: Context, user: users.Row) -> users.Row:
    """Give the user the address that they asked for, on the account and on the e-mail identity, made if there is none."""
    db, email = ctx.db, user["email_change"]
    await audit.record(ctx, user, "user_modified")
    data = {"sub": str(user["id"]), "email": email, "email_verified": True}
    if not await users.amend_identity(db, user, data):
        await users.add_identity(db, user["id"], "email", str(user["id"]), {**data, "phone_verified": False})
    await users.forget_links(db, user)
    user = await users.set_email(
        db, user, email, "Error confirm email", email_change="", email_change_token_current="", email_change_token_new="",
        email_change_confirm_status=0, is_anonymous=False,
    )  # fmt: skip
    return user if user["email_confirmed_at"] else await users.confirm(db, user)
