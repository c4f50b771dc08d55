"""One OAuth provider, end to end: authorize, a local identity page in the provider's place, callback."""

from __future__ import annotations

import hashlib
import html
import time
from typing import Any
from urllib.parse import parse_qsl

from stack.supabase.auth import links, redirects, rows, sessions, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.auth.verify import arrived, failed, see
from stack.supabase.http import Response
from stack.supabase.tokens import TokenError

CODE_S = 60
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{provider}: sign in</title>
<h1>Sign in to {provider}</h1><p>A local page in the place of the provider: any identity is accepted.</p>
<form method="post"><input type="hidden" name="state" value="{state}">
<label>Email <input name="email" type="email" required autofocus></label>
<label>Name <input name="name"></label>
<button type="submit">Sign in</button>
<button type="submit" name="deny" value="1" formnovalidate>Cancel</button></form></html>"""


async def authorize(ctx: Context) -> Response:
    """GET /authorize?provider=: off to the provider."""
    return Response(302, b"", {"location": await _begin(ctx, None)})


async def link(ctx: Context) -> Any:
    """GET /user/identities/authorize?provider=: the same, to add an identity to whoever is signed in."""
    user, _ = await ctx.require_user()
    if not ctx.options.manual_linking:
        raise AuthError("manual_linking_disabled")
    url = await _begin(ctx, str(user["id"]))
    return {"url": url} if ctx.query.get("skip_http_redirect") else Response(302, b"", {"location": url})


async def _begin(ctx: Context, linking: str | None) -> str:
    provider, pkce = ctx.query.get("provider", ""), links.challenge(ctx.query)
    if provider != ctx.options.oauth_provider:
        why = "provider is not enabled" if provider else "missing provider"
        raise invalid(f"Unsupported provider: {why}")
    flow = await links.open_flow(ctx, pkce, provider, "oauth")
    state = ctx.services.signer.seal({
        "use": "oauth-state", "flow": flow, "pkce": bool(pkce), "provider": provider, "linking": linking,
        "redirect_to": ctx.redirect_to(), "exp": int(time.time()) + links.FLOW_S,
    })  # fmt: skip
    return redirects.with_query(f"{ctx.config.url}/auth/v1/oauth/local", {"state": state})


async def page(ctx: Context) -> Response:
    """GET: the identity page. POST: its form, which leads to the callback with a code."""
    form = dict(parse_qsl((await ctx.request.body(64 * 1024)).decode("utf-8", "replace")))
    state = form.get("state") or ctx.query.get("state", "")
    provider = _opened(ctx, state, "oauth-state")["provider"]
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
    return see(redirects.with_query(f"{ctx.config.url}/auth/v1/callback", {**values, "state": state}))


async def callback(ctx: Context) -> Response:
    """GET /callback: the provider's answer becomes a session, or a PKCE code for one."""
    state = _opened(ctx, ctx.query.get("state", ""), "oauth-state")
    target = state["redirect_to"]
    try:
        if "error" in ctx.query:
            raise AuthError("bad_oauth_callback", ctx.query.get("error_description", ctx.query["error"]))
        identity = _opened(ctx, ctx.query.get("code", ""), "oauth-code")
        user = await _person(ctx, state, identity)
        if not state["pkce"]:
            session = await sessions.start(ctx, user, "oauth")
            return see(arrived(target, session, {"provider_token": "local"}))
        issued = {"user_id": user["id"], "auth_code_issued_at": users.now()}
        flow = await rows.update(ctx.db, "flow_state", {"id": state["flow"]}, **issued)
        if flow is None:
            raise AuthError("flow_state_not_found")
        return see(redirects.with_query(target, {"code": flow["auth_code"]}))
    except AuthError as error:
        error.instead = failed(target, error, state["pkce"])
        raise


async def _person(ctx: Context, state: dict[str, Any], identity: dict[str, Any]) -> users.Row:
    """Who that identity is: the user who has it, one with the same confirmed address, or a new one."""
    db, provider, email = ctx.db, state["provider"], identity["email"]
    subject = hashlib.sha256(f"{provider}:{email}".encode()).hexdigest()[:16]
    alias = email.split("@")[0]
    name = identity["name"] or alias
    data = {
        "sub": subject, "provider_id": subject, "email": email, "email_verified": True, "phone_verified": False,
        "name": name, "full_name": name, "user_name": alias, "iss": f"https://{provider}.local",
    }  # fmt: skip
    owned = {"provider": provider, "provider_id": subject}
    owner = await rows.locked(db, "identities", **owned)
    if state["linking"] and owner is not None:
        mine = str(owner["user_id"]) == state["linking"]
        raise AuthError("identity_already_exists", "Identity is already linked" if mine else "")
    if state["linking"]:
        await users.add_identity(db, state["linking"], provider, subject, data)
        return await users.refresh_providers(db, await users.find(db, state["linking"]))
    user = await users.find(db, owner["user_id"]) if owner else await users.by_email(db, email)
    if user is None:
        if ctx.options.disable_signup:
            raise AuthError("signup_disabled")
        app = {"provider": provider, "providers": [provider]}
        user = await users.create(db, email=email, data=data, app=app, with_identity=False)
    elif owner is None and not user["email_confirmed_at"]:
        # Somebody who never confirmed the address may have registered it: their password must not survive.
        await rows.delete(db, "identities", user_id=user["id"])
        user = await users.update(db, user, encrypted_password="")
    if owner is None:
        await users.add_identity(db, str(user["id"]), provider, subject, data)
    user = await users.update(db, user, raw_user_meta_data={**(user["raw_user_meta_data"] or {}), **data})
    if not user["email_confirmed_at"]:
        await users.confirm(db, user)
    return await users.refresh_providers(db, user)


def _opened(ctx: Context, token: str, use: str) -> dict[str, Any]:
    """The claims of a sealed token that was made for ``use``. Raises AuthError."""
    try:
        claims = ctx.services.signer.unseal(token)
        if claims.get("use") == use:
            return claims
    except TokenError:
        pass
    if use == "oauth-state":
        raise AuthError("bad_oauth_state", "OAuth callback with invalid state")
    raise AuthError("bad_oauth_callback", "OAuth callback with missing or bad code")
