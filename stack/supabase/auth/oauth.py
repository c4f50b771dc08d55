"""One OAuth provider, end to end: authorize, a local identity page in the provider's place, callback."""

from __future__ import annotations

import hashlib
import html
import time
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from stack.supabase.auth import audit, links, redirects, rows, sessions, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid, oauth_error
from stack.supabase.auth.settings import PROVIDERS
from stack.supabase.auth.verify import OAUTH_ERRORS, arrived
from stack.supabase.http import Response
from stack.supabase.tokens import TokenError

AUTHORIZE = "/login/oauth/authorize"  # GitHub's own address
CODE_S = 60
DENIED = ("signup_disabled", "user_banned")  # told as access_denied, whatever their status
RESERVED = (
    "provider", "scopes", "client_id", "client_secret", "redirect_uri", "response_type", "state", "code_challenge",
    "code_challenge_method", "code_verifier",
)  # fmt: skip
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{provider}: sign in</title>
<h1>Sign in to {provider}</h1><p>A local page in the place of the provider: any identity is accepted.</p>
<form method="post"><input type="hidden" name="state" value="{state}">
<label>Email <input name="email" type="email" required autofocus></label>
<label>Name <input name="name"></label>
<button type="submit">Sign in</button>
<button type="submit" name="deny" value="1" formnovalidate>Cancel</button></form></html>"""


async def authorize(ctx: Context) -> Response:
    """GET /authorize?provider=: off to the provider."""
    return redirects.to(await _begin(ctx, None), 302)


async def link(ctx: Context) -> Any:
    """GET /user/identities/authorize?provider=: the same, to add an identity to whoever is signed in."""
    user, _ = await ctx.require_user()
    if not ctx.options.manual_linking:
        raise AuthError("manual_linking_disabled")
    url = await _begin(ctx, user["id"])
    return {"url": url} if ctx.query.get("skip_http_redirect") == "true" else redirects.to(url, 302)


async def _begin(ctx: Context, linking: Any) -> str:
    """The provider's address; a flow's id, sent along as ``state``, brings its answer back to what was begun here."""
    provider = ctx.query.get("provider", "").lower()
    if provider != ctx.options.oauth_provider:
        known = provider in PROVIDERS
        why = "provider is not enabled" if known else f"Provider {provider} could not be found"
        raise invalid(f"Unsupported provider: {why}")
    pkce, target = links.challenge(ctx.query), ctx.redirect_to()
    flow = await links.open_flow(ctx, pkce, provider, "oauth", referrer=target, linking_target_id=linking)
    scopes = ["user:email", *filter(None, ctx.query.get("scopes", "").split(","))]
    passed = {name: value for name, value in ctx.query.items() if name.lower() not in RESERVED}
    own = {
        "client_id": "client", "redirect_uri": f"{ctx.base}/callback", "response_type": "code", "scope": " ".join(scopes),
        "state": flow,
    }  # fmt: skip
    return f"{ctx.config.url}{AUTHORIZE}?{urlencode(sorted((passed | own).items()))}"


async def page(ctx: Context) -> Response:
    """GET: the identity page. POST: its form, which leads to the callback with a code."""
    form = dict(parse_qsl((await ctx.request.body(64 * 1024)).decode("utf-8", "replace")))
    state, provider = form.get("state") or ctx.query.get("state", ""), ctx.options.oauth_provider
    if ctx.request.method == "GET":
        body = PAGE.format(provider=html.escape(provider), state=html.escape(state, quote=True))
        return Response(200, body.encode(), {"content-type": "text/html; charset=utf-8"})
    if form.get("deny"):
        values = {"error": "access_denied", "error_description": "The user has denied access"}
    else:
        values = {"code": ctx.services.signer.seal({
            "use": "oauth-code", "email": users.email_of(form.get("email")), "name": form.get("name", ""),
            "exp": int(time.time()) + CODE_S,
        })}  # fmt: skip
    return redirects.to(redirects.with_query(f"{ctx.base}/callback", {**values, "state": state}))


async def callback(ctx: Context) -> Response:
    """GET /callback: the provider's answer becomes a session, or a PKCE code for one."""
    try:
        flow = await _flow(ctx)
    except AuthError as error:
        error.instead = redirects.to(redirects.with_query(ctx.options.site_url, _as_query(error)))
        raise
    target = flow["referrer"]
    try:
        return redirects.to(await _come_back(ctx, flow, target), 302)
    except AuthError as error:
        values = _as_query(error)
        url = redirects.with_fragment(redirects.with_query(target, values), values)
        error.instead = redirects.to(url, 302)
        raise


async def _come_back(ctx: Context, flow: Any, target: str) -> str:
    if "error" in ctx.query:
        raise oauth_error(ctx.query["error"], ctx.query.get("error_description", ""))
    identity = _identity(ctx)
    user = await _person(ctx, flow, identity)
    if flow["code_challenge"]:
        issued = {"user_id": user["id"], "auth_code_issued_at": users.now(), "provider_access_token": "local"}
        await rows.update(ctx.db, "flow_state", {"id": flow["id"]}, **issued)
        return redirects.with_query(target, {"code": flow["auth_code"]})
    await rows.delete(ctx.db, "flow_state", id=flow["id"])
    return arrived(target, await sessions.start(ctx, user, "oauth"), {"provider_token": "local"})


def _as_query(error: AuthError) -> dict[str, str]:
    """An error as the site is told of it; one of the provider's has no code of ours."""
    kind = "access_denied" if error.code in DENIED else OAUTH_ERRORS.get(error.status, "server_error")
    code = {"error_code": error.code} if error.code else {}
    return {"error": error.extra.get("error", kind), "error_description": error.message, **code}


async def _flow(ctx: Context) -> Any:
    """What was begun under this state, nobody else's until the transaction ends. Raises AuthError."""
    state = ctx.query.get("state", "")
    if not state:
        raise AuthError("bad_oauth_callback", "OAuth state parameter missing")
    try:
        flow = await rows.locked(ctx.db, "flow_state", id=str(uuid.UUID(state)))
    except ValueError as error:
        raise AuthError("bad_oauth_state", "OAuth state parameter is invalid") from error
    if flow is None:
        raise AuthError("bad_oauth_state", "OAuth state not found or expired")
    if flow["created_at"] + timedelta(seconds=links.FLOW_S) < users.now():
        raise AuthError("bad_oauth_state", "OAuth state has expired")
    if flow["user_id"] is not None:
        raise AuthError("flow_state_already_used", "State has already been used")
    return flow


def _identity(ctx: Context) -> dict[str, Any]:
    """Whom the code stands for. Raises AuthError."""
    code = ctx.query.get("code", "")
    if not code:
        raise AuthError("bad_oauth_callback", "OAuth callback with missing authorization code missing")
    try:
        claims = ctx.services.signer.unseal(code)
    except TokenError:
        claims = {}
    if claims.get("use") != "oauth-code":
        raise AuthError("unexpected_failure", f"Unable to exchange external code: {code[:4]}")
    return claims


async def _person(ctx: Context, flow: Any, identity: dict[str, Any]) -> users.Row:
    """Who that identity is: the user who has it, one with the same address, or a new one (supabase/auth, external.go)."""
    db, provider, email = ctx.db, flow["provider_type"], identity["email"]
    subject = hashlib.sha256(f"{provider}:{email}".encode()).hexdigest()[:16]
    alias = email.split("@")[0]
    name = identity["name"] or alias
    data = {
        "sub": subject, "provider_id": subject, "email": email, "email_verified": True, "phone_verified": False,
        "name": name, "full_name": name, "user_name": alias, "preferred_username": alias, "iss": f"https://{provider}.local",
    }  # fmt: skip
    owner = await rows.locked(db, "identities", provider=provider, provider_id=subject)
    if flow["linking_target_id"]:
        return await _link(ctx, flow["linking_target_id"], owner, provider, data)
    user = await users.find(db, owner["user_id"]) if owner else await users.by_email(db, email)
    if user is None:
        if ctx.options.disable_signup:
            raise AuthError("signup_disabled")
        user = await users.create(db, email=email, data=data, provider=provider)
    new = owner is None and await users.add_identity(db, user["id"], provider, subject, data)
    if owner is not None:
        await rows.update(db, "identities", {"id": owner["id"]}, identity_data=data)
    user = await users.amend(db, user, data)
    users.check_not_banned(user)
    if user["email_confirmed_at"]:
        if new and len(user["identities"]) > 1:
            await _linked(ctx, user, new)
        await audit.record(ctx, user, "login", provider=provider)
    else:
        # Somebody who never confirmed the address may have registered it: their password and metadata must not survive.
        await db.execute(
            "delete from auth.identities where user_id = $1 and (provider, provider_id) <> ($2, $3)",
            user["id"], provider, subject,
        )  # fmt: skip
        user = await users.update(db, user, encrypted_password=None, raw_user_meta_data=data)
        await audit.record(ctx, user, "user_signedup", provider=provider)
        user = await users.confirm(db, user)
    return await users.refresh_providers(db, user)


async def _link(ctx: Context, user_id: Any, owner: Any, provider: str, data: dict[str, Any]) -> users.Row:
    """Add the identity to whoever asked for it while signed in. Raises AuthError 422 if somebody has it."""
    if owner is not None:
        mine = owner["user_id"] == user_id
        raise AuthError("identity_already_exists", "Identity is already linked" if mine else "")
    user = await users.find(ctx.db, user_id)
    await _linked(ctx, user, await users.add_identity(ctx.db, user_id, provider, data["sub"], data))
    if not user["email"]:
        user = await users.set_email(
            ctx.db, user, data["email"], "Database error updating user", is_anonymous=False
        )
        user = await users.confirm(ctx.db, user)
    return await users.refresh_providers(ctx.db, user)


async def _linked(ctx: Context, user: users.Row, identity: users.Row) -> None:
    about = {"identity_id": str(identity["id"]), "provider": identity["provider"]}
    await audit.record(ctx, user, "identity_linked", **about, provider_id=identity["provider_id"])
