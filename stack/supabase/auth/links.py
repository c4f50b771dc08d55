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
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

from stack.supabase.auth import rows, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

PKCE = "pkce_"
FLOW_S = 300
# Of each kind of link: the users' column that holds its token, which is also the token's type, and the subject of its mail.
KINDS = {
    "signup": ("confirmation_token", "Confirm Your Signup"),
    "invite": ("confirmation_token", "You have been invited"),
    "magiclink": ("recovery_token", "Your Magic Link"),
    "recovery": ("recovery_token", "Reset Your Password"),
    "email_change_new": ("email_change_token_new", "Confirm Email Change"),
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


def sent_at(column: str) -> str:
    """The column that says when the token of ``column`` was sent."""
    return re.sub("_token.*", "", column) + "_sent_at"


async def make(ctx: Context, user: users.Row, kind: str, email: str, target: str, pkce: bool = False) -> Link:
    """A new link of ``kind`` for ``email``; an older one of the same type stops working."""
    column, length = KINDS[kind][0], ctx.options.otp_length
    otp = f"{secrets.randbelow(10**length):0{length}d}"
    token_hash = (PKCE if pkce else "") + hash_of(email, otp)
    await rows.delete(ctx.db, "one_time_tokens", user_id=user["id"], token_type=column)
    await rows.insert(
        ctx.db, "one_time_tokens", id=str(uuid.uuid4()), user_id=user["id"], token_type=column, token_hash=token_hash,
        relates_to=email,
    )  # fmt: skip
    await users.update(ctx.db, user, **{column: token_hash, sent_at(column): users.now()})
    # An address is taken as it stands unless it would be read as further parameters (supabase/auth, encodeRedirectURL).
    target = quote_plus(target) if re.search("[&=#]", target) else target
    shown = "email_change" if kind.startswith("email_change") else kind
    return Link(otp, token_hash, f"{ctx.base}/verify?token={token_hash}&type={shown}&redirect_to={target}")


async def send(ctx: Context, user: users.Row, kind: str, method: str | None = None) -> users.Row:
    """Mail a new link to the user; where the client began with PKCE, keep its challenge for a flow by ``method``.

    Returns the user as they then are. Raises AuthError 429 beyond the project's mail limits.
    """
    return await _send(ctx, user, {kind: user["email"]}, method)


async def send_change(ctx: Context, user: users.Row, email: str) -> users.Row:
    """Mail links that confirm a change of address, to the new one and, if both must agree, to the old one."""
    mails = {"email_change_new": email}
    if ctx.options.secure_email_change and user["email"]:
        mails["email_change_current"] = user["email"]
    changes = {"email_change": email, "email_change_confirm_status": 0}
    return await _send(ctx, user, mails, "email_change", **changes)


async def _send(
    ctx: Context, user: users.Row, mails: dict[str, str], method: str | None, **changes: Any
) -> users.Row:
    pkce = challenge(ctx.body) if method else None
    last = user[sent_at(KINDS[next(iter(mails))][0])]
    if ctx.options.rate_limits and last:
        wait = ctx.options.max_mail_frequency - (users.now() - last).total_seconds()
        if wait > 0:
            message = f"For security purposes, you can only request this after {int(wait)} seconds."
            raise AuthError("over_email_send_rate_limit", message, 429)
    ctx.services.limits.take_mail()
    if pkce and method:
        await open_flow(ctx, pkce, "email" if method == "email/signup" else method, method, user["id"])
    if changes:
        await users.update(ctx.db, user, **changes)
    for kind, address in mails.items():
        link, subject = await make(ctx, user, kind, address, ctx.redirect_to(), bool(pkce)), KINDS[kind][1]
        url = html.escape(link.url)
        letter = (
            f'<h2>{subject}</h2><p>Follow this link: <a href="{url}">{subject}</a></p>'
            f"<p>Alternatively, enter the code: {link.otp}</p>"
        )
        ctx.services.mailbox.deliver(address, subject, letter)
    return await users.find(ctx.db, user["id"])


def challenge(params: dict[str, Any]) -> tuple[str, str] | None:
    """The PKCE challenge and its method among a request's parameters, if any. Raises AuthError."""
    given, method = params.get("code_challenge") or "", str(params.get("code_challenge_method") or "")
    if not given and not method:
        return None
    if not given or not method:
        raise invalid("PKCE flow requires code_challenge_method and code_challenge")
    if not 43 <= len(given) <= 128:
        raise invalid("code challenge has to be between 43 and 128 characters")
    if not re.fullmatch(r"[A-Za-z0-9\-._~]+", given):
        words = "alphanumeric characters, hyphens, periods, underscores and tildes"
        raise invalid(f"code challenge can only contain {words}")
    return given, method.lower()


async def open_flow(
    ctx: Context, pkce: tuple[str, str] | None, provider: str, method: str, user_id: Any = None, **more: Any
) -> str:
    """Keep a PKCE challenge until the person comes back; returns the flow's id. Raises AuthError for an unknown method."""
    flow, (given, kind) = str(uuid.uuid4()), pkce or (None, None)
    if kind not in (None, "s256", "plain"):
        if method == "oauth":
            raise invalid("Invalid code_challenge_method")
        message = "Unexpected failure, please check server logs for more information"
        raise AuthError("unexpected_failure", message)
    await rows.insert(
        ctx.db, "flow_state", id=flow, user_id=user_id, auth_code=str(uuid.uuid4()) if pkce else None,
        code_challenge=given, code_challenge_method=kind, provider_type=provider, authentication_method=method, **more,
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
        why = "No valid flow state found for user."
        raise AuthError("flow_state_not_found", f"No associated flow state found. {why}", 400)
    return code


async def redeem(ctx: Context, code: str, verifier: str) -> Any:
    """The flow behind a PKCE code, once. Raises AuthError."""
    if not code or not verifier:
        raise invalid("invalid request: both auth code and code verifier should be non-empty")
    flow = await rows.locked(ctx.db, "flow_state", auth_code=code)
    if flow is None or flow["user_id"] is None:
        raise AuthError("flow_state_not_found")
    since = "auth_code_issued_at" if flow["authentication_method"] == "magiclink" else "created_at"
    if flow[since] + timedelta(seconds=FLOW_S) < users.now():
        raise AuthError("flow_state_expired", "invalid flow state, flow state has expired", 422)
    shown = verifier
    if flow["code_challenge_method"] == "s256":
        shown = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    if not hmac.compare_digest(shown.encode(), flow["code_challenge"].encode()):
        raise AuthError("bad_code_verifier", "code challenge does not match previously saved code verifier")
    await rows.delete(ctx.db, "flow_state", id=flow["id"])
    return flow
