"""One OAuth provider, end to end: authorize, a local identity page in the provider's place, callback."""

from __future__ import annotations

import hashlib
import html
import time
from typing import Any
from urllib.parse import parse_qsl

from stack.supabase.auth import links, redirects, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.auth.verify import as_fragment, failed, see
from stack.supabase.http import Response
from stack.supabase.tokens import TokenError

STATE_S = 300


async def authorize(ctx: Context) -> Response:
    """GET /authorize?provider=: off to the provider."""
    return Response(302, b"", {"location": await _begin(ctx, None)})


async def link(ctx: Context) -> Any:
    """GET /user/identities/authorize?provider=: the same, to add an identity to whoever is signed in."""
    async with ctx.services.database.connection() as db:
        user, _ = await ctx.require_user(db)
    if not ctx.options.manual_linking:
        raise AuthError(404, "manual_linking_disabled", "Manual linking is disabled")
    url = await _begin(ctx, str(user["id"]))
    if ctx.query.get("skip_http_redirect") == "true":
        return {"url": url}
    return Response(302, b"", {"location": url})


async def _begin(ctx: Context, linking: str | None) -> str:
    provider, pkce = ctx.query.get("provider", ""), links.challenge(ctx.query)
    if provider != ctx.options.oauth_provider:
        raise invalid(
            "Unsupported provider: provider is not enabled"
            if provider
            else "Unsupported provider: missing provider"
        )
    async with ctx.transaction() as db:
        flow = await links.open_flow(db, pkce, provider, "oauth", referrer=ctx.redirect_to())
    state = ctx.services.signer.seal({
        "use": "oauth-state", "flow": flow, "pkce": bool(pkce), "provider": provider, "linking": linking,
        "redirect_to": ctx.redirect_to(), "exp": int(time.time()) + STATE_S,
    })  # fmt: skip
    return redirects.with_query(f"{ctx.services.config.url}/auth/v1/oauth/local", {"state": state})


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{provider}: sign in</title>
<h1>Sign in to {provider}</h1><p>A local page in the place of the provider: any identity is accepted.</p>
<form method="post"><input type="hidden" name="state" value="{state}">
<label>Email <input name="email" type="email" required autofocus></label>
<label>Name <input name="name"></label>
<button type="submit">Sign in</button>
<button type="submit" name="deny" value="1" formnovalidate>Cancel</button></form></html>"""


async def page(ctx: Context) -> Response:
    """GET: the identity page. POST: its form, which leads to the callback with a code."""
    if ctx.request.method == "GET":
        state = ctx.query.get("state", "")
        claims = _state(ctx, state)
        body = PAGE.format(provider=html.escape(claims["provider"]), state=html.escape(state, quote=True))
        return Response(200, body.encode(), {"content-type": "text/html; charset=utf-8"})
    raw = (await ctx.request.body(64 * 1024)).decode("utf-8", "replace")
    form = dict(parse_qsl(raw))
    _state(ctx, form.get("state", ""))
    callback = f"{ctx.services.config.url}/auth/v1/callback"
    if form.get("deny"):
        values = {
            "error": "access_denied",
            "error_description": "The user has denied access",
            "state": form["state"],
        }
        return see(redirects.with_query(callback, values))
    code = ctx.services.signer.seal({
        "use": "oauth-code", "email": users.email_of(form.get("email")), "name": form.get("name", ""),
        "exp": int(time.time()) + 60,
    })  # fmt: skip
    return see(redirects.with_query(callback, {"code": code, "state": form["state"]}))


async def callback(ctx: Context) -> Response:
    """GET /callback: the provider's answer becomes a session, or a PKCE code for one."""
    state = _state(ctx, ctx.query.get("state", ""))
    target = state["redirect_to"]
    if "error" in ctx.query:
        error = AuthError(400, "bad_oauth_callback", ctx.query.get("error_description", ctx.query["error"]))
        return failed(target, error, state["pkce"])
    identity = _opened(
        ctx,
        ctx.query.get("code", ""),
        "oauth-code",
        "bad_oauth_callback",
        "OAuth callback with missing or bad code",
    )
    try:
        async with ctx.transaction() as db:
            user = await _person(ctx, db, state, identity)
            if state["pkce"]:
                code = await db.fetchval(
                    "update auth.flow_state set user_id = $2, auth_code_issued_at = now() where id = $1 returning auth_code",
                    state["flow"],
                    user["id"],
                )
                if code is None:
                    raise AuthError(
                        404, "flow_state_not_found", "invalid flow state, no valid flow state found"
                    )
                return see(redirects.with_query(target, {"code": code}))
            session = await ctx.services.sessions.start(db, user, "oauth", ctx.request)
    except AuthError as error:
        return failed(target, error, state["pkce"])
    return see(redirects.with_fragment(target, as_fragment(session) | {"provider_token": "local"}))


async def _person(ctx: Context, db: Any, state: dict[str, Any], identity: dict[str, Any]) -> users.Row:
    """Who that identity is: the user who has it, one with the same confirmed address, or a new one."""
    provider, email = state["provider"], identity["email"]
    subject = hashlib.sha256(f"{provider}:{email}".encode()).hexdigest()[:16]
    name = identity["name"] or email.split("@")[0]
    data = {
        "sub": subject, "provider_id": subject, "email": email, "email_verified": True, "phone_verified": False,
        "name": name, "full_name": name, "user_name": email.split("@")[0], "iss": f"https://{provider}.local",
    }  # fmt: skip
    owner = await db.fetchval(
        "select user_id from auth.identities where provider = $1 and provider_id = $2", provider, subject
    )
    if state["linking"]:
        if owner is not None:
            mine = str(owner) == state["linking"]
            message = "Identity is already linked" if mine else "Identity is already linked to another user"
            raise AuthError(422, "identity_already_exists", message)
        await users.add_identity(db, state["linking"], provider, subject, data)
        return await users.refresh_providers(db, state["linking"])
    if owner is not None:
        user = await users.by_id(db, str(owner))
    else:
        user = await users.by_email(db, email)
        if user is None:
            if ctx.options.disable_signup:
                raise AuthError(422, "signup_disabled", "Signups not allowed for this instance")
            user = await users.create(
                db, email=email, data=data, app={"provider": provider, "providers": [provider]}
            )
        elif not user["email_confirmed_at"]:
            # Somebody who never confirmed the address may have registered it: their password must not survive.
            await db.execute("delete from auth.identities where user_id = $1", user["id"])
            user = await users.update(db, user["id"], encrypted_password="")
        await users.add_identity(db, str(user["id"]), provider, subject, data)
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    meta = {**(user["raw_user_meta_data"] or {}), **data}
    user = await users.update(db, user["id"], raw_user_meta_data=meta)
    if not user["email_confirmed_at"]:
        await users.confirm(db, user)
    return await users.refresh_providers(db, user["id"])


def _state(ctx: Context, token: str) -> dict[str, Any]:
    return _opened(ctx, token, "oauth-state", "bad_oauth_state", "OAuth callback with invalid state")


def _opened(ctx: Context, token: str, use: str, code: str, message: str) -> dict[str, Any]:
    try:
        claims = ctx.services.signer.unseal(token)
    except TokenError as error:
        raise AuthError(400, code, message) from error
    if claims.get("use") != use:
        raise AuthError(400, code, message)
    return claims
