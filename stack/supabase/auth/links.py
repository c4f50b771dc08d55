"""One-time tokens: the links and codes that mails carry, and PKCE flow states that wait for them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlencode

from stack.supabase.auth import rows, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

PKCE = "pkce_"
CHALLENGE = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
FLOW_S = 300
# Of each kind of link: its token type, which is also the users' column that mirrors it, and the subject of its mail.
KINDS = {
    "signup": ("confirmation_token", "Confirm Your Signup"),
    "invite": ("confirmation_token", "You have been invited"),
    "magiclink": ("recovery_token", "Your Magic Link"),
    "recovery": ("recovery_token", "Reset Your Password"),
    "email_change": ("email_change_token_new", "Confirm Email Change"),
    "email_change_current": ("email_change_token_current", "Confirm Email Change"),
    "reauthentication": ("reauthentication_token", "Confirm Reauthentication"),
}


@dataclass(frozen=True)
class Link:
    """A one-time secret in its three forms: the code to type, the hash that is stored, the address to follow."""

    otp: str
    token_hash: str
    url: str


def hash_of(email: str, otp: str) -> str:
    """The stored form of a code (supabase/auth, crypto.GenerateTokenHash)."""
    return hashlib.sha224((email + otp).encode()).hexdigest()


def _sent_at(kind: str) -> str:
    return re.sub("_token.*", "", KINDS[kind][0]) + "_sent_at"


async def make(ctx: Context, user: users.Row, kind: str, email: str, target: str, pkce: bool = False) -> Link:
    """A new link of ``kind`` for ``email``; an older one of the same type stops working."""
    token_type, length = KINDS[kind][0], ctx.options.otp_length
    otp = f"{secrets.randbelow(10**length):0{length}d}"
    token_hash = (PKCE if pkce else "") + hash_of(email, otp)
    await rows.delete(ctx.db, "one_time_tokens", user_id=user["id"], token_type=token_type)
    await rows.insert(
        ctx.db, "one_time_tokens", id=str(uuid.uuid4()), user_id=user["id"], token_type=token_type, token_hash=token_hash,
        relates_to=email,
    )  # fmt: skip
    await users.update(ctx.db, user, **{token_type: token_hash, _sent_at(kind): users.now()})
    shown = kind.removesuffix("_current")
    query = urlencode({"token": token_hash, "type": shown, "redirect_to": target})
    return Link(otp, token_hash, f"{ctx.config.url}/auth/v1/verify?{query}")


async def send(ctx: Context, user: users.Row, kind: str, email: str, method: str | None = None) -> users.Row:
    """Make a link and mail it; where the client began with PKCE, keep its challenge for a flow by ``method``.

    Returns the user as they then are. Raises AuthError 429 beyond the hosted service's mail limits.
    """
    last, subject = user[_sent_at(kind)], KINDS[kind][1]
    pkce = challenge(ctx.body) if method else None
    if ctx.options.rate_limits and last:
        wait = ctx.options.max_mail_frequency - (users.now() - last).total_seconds()
        if wait > 0:
            message = f"For security purposes, you can only request this after {int(wait) + 1} seconds."
            raise AuthError("over_email_send_rate_limit", message, 429)
    ctx.services.limits.take("email_sent")
    if pkce and method:
        await open_flow(ctx, pkce, "email", method, user["id"])
    link = await make(ctx, user, kind, email, ctx.redirect_to(), bool(pkce))
    letter = (
        f'<h2>{subject}</h2><p>Follow this link: <a href="{html.escape(link.url)}">{subject}</a></p>'
        f"<p>Alternatively, enter the code: {link.otp}</p>"
    )
    ctx.services.mailbox.deliver(email, subject, letter)
    return await users.find(ctx.db, user["id"])


async def spend(ctx: Context, token_hash: str, types: tuple[str, ...]) -> users.Row:
    """The user whose token this is, of one of ``types``; it works once. Raises AuthError 403 otp_expired."""
    sql = ("delete from auth.one_time_tokens where token_hash in ($1, $2) and token_type::text = any($3) "
           "returning user_id, token_type::text as type, created_at")  # fmt: skip
    row = await ctx.db.fetchrow(sql, token_hash, PKCE + token_hash.removeprefix(PKCE), list(types))
    kept = timedelta(seconds=ctx.options.otp_expiry)
    if row is None or row["created_at"].replace(tzinfo=UTC) + kept < users.now():
        raise AuthError("otp_expired")
    user = await users.find(ctx.db, row["user_id"])
    users.check_not_banned(user, status=403)
    return await users.update(ctx.db, user, **{row["type"]: ""})


def challenge(params: dict[str, Any]) -> tuple[str, str] | None:
    """The PKCE challenge and its method among a request's parameters, if any. Raises AuthError."""
    given, method = params.get("code_challenge") or "", str(params.get("code_challenge_method") or "").lower()
    if not given and not method:
        return None
    if not given or not method:
        raise invalid("PKCE flow requires code_challenge_method and code_challenge")
    if method not in ("s256", "plain") or not CHALLENGE.fullmatch(given):
        raise invalid("code challenge is not valid: 43 to 128 characters, method s256 or plain")
    return given, method


async def open_flow(
    ctx: Context, pkce: tuple[str, str] | None, provider: str, method: str, user_id: Any = None
) -> str:
    """Keep a PKCE challenge until the person comes back; returns the flow's id."""
    flow, (given, kind) = str(uuid.uuid4()), pkce or (None, None)
    await rows.insert(
        ctx.db, "flow_state", id=flow, user_id=user_id, auth_code=str(uuid.uuid4()), code_challenge=given,
        code_challenge_method=kind, provider_type=provider, authentication_method=method,
    )  # fmt: skip
    return flow


async def issue_code(ctx: Context, user: users.Row, method: str) -> str:
    """The code of the newest flow that this person began by ``method``, now redeemable. Raises AuthError."""
    code: str | None = await ctx.db.fetchval(
        "update auth.flow_state set auth_code_issued_at = now(), updated_at = now() where id = (select id "
        "from auth.flow_state where user_id = $1 and authentication_method = $2 order by created_at desc limit 1) "
        "returning auth_code", user["id"], method,
    )  # fmt: skip
    if code is None:
        raise AuthError("flow_state_not_found", "No associated flow state found.", 400)
    return code


async def redeem(ctx: Context, code: str, verifier: str) -> tuple[users.Row, str]:
    """The user and method behind a PKCE code, once. Raises AuthError."""
    if not code or not verifier:
        raise invalid("invalid request: both auth code and code verifier should be non-empty")
    flow = await rows.locked(ctx.db, "flow_state", auth_code=code)
    if flow is None or flow["user_id"] is None or not flow["code_challenge"]:
        raise AuthError("flow_state_not_found")
    if flow["created_at"] + timedelta(seconds=FLOW_S) < users.now():
        raise AuthError("flow_state_expired", "invalid flow state, flow state has expired", 422)
    shown = verifier
    if flow["code_challenge_method"] == "s256":
        shown = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    if not hmac.compare_digest(shown.encode(), flow["code_challenge"].encode()):
        raise AuthError("bad_code_verifier", "code challenge does not match previously saved code verifier")
    await rows.delete(ctx.db, "flow_state", id=flow["id"])
    return await users.find(ctx.db, flow["user_id"]), flow["authentication_method"]
