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
from urllib.parse import urlencode

from stack.supabase.auth import users
from stack.supabase.auth.errors import AuthError, invalid
from stack.supabase.auth.limits import Limits
from stack.supabase.config import Config
from stack.supabase.mail import Mailbox

PKCE = "pkce_"
CHALLENGE = re.compile(r"[A-Za-z0-9\-._~]{43,128}")

# Of each kind of link: its token type, the users' columns that mirror it, and the subject of its mail.
KINDS: dict[str, tuple[str, str, str, str]] = {
    "signup": ("confirmation_token", "confirmation_token", "confirmation_sent_at", "Confirm Your Signup"),
    "invite": ("confirmation_token", "confirmation_token", "confirmation_sent_at", "You have been invited"),
    "magiclink": ("recovery_token", "recovery_token", "recovery_sent_at", "Your Magic Link"),
    "recovery": ("recovery_token", "recovery_token", "recovery_sent_at", "Reset Your Password"),
    "email_change": ("email_change_token_new", "email_change_token_new", "email_change_sent_at", "Confirm Email Change"),
    "email_change_current": (
        "email_change_token_current", "email_change_token_current", "email_change_sent_at", "Confirm Email Change"),
    "reauthentication": (
        "reauthentication_token", "reauthentication_token", "reauthentication_sent_at", "Confirm Reauthentication"),
}  # fmt: skip


@dataclass(frozen=True)
class Link:
    """A one-time secret in its three forms: the code to type, the hash that is stored, the address to follow."""

    otp: str
    token_hash: str
    url: str
    verification_type: str
    redirect_to: str


class Links:
    """Makes links and sends them."""

    def __init__(self, config: Config, mailbox: Mailbox, limits: Limits) -> None:
        self._config, self._options, self._mailbox, self._limits = config, config.options, mailbox, limits

    async def make(
        self, db: Any, user: users.Row, kind: str, email: str, redirect_to: str, pkce: bool = False
    ) -> Link:
        """A new link of ``kind`` for ``email``; an older one of the same type stops working."""
        token_type, column, sent_at, _ = KINDS[kind]
        otp = f"{secrets.randbelow(10**self._options.otp_length):0{self._options.otp_length}d}"
        token_hash = (PKCE if pkce else "") + hash_of(email, otp)
        await db.execute(
            "delete from auth.one_time_tokens where user_id = $1 and token_type = $2::auth.one_time_token_type",
            user["id"],
            token_type,
        )
        await db.execute(
            "insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to) "
            "values ($1, $2, $3::auth.one_time_token_type, $4, $5)",
            str(uuid.uuid4()),
            user["id"],
            token_type,
            token_hash,
            email,
        )
        await users.update(db, user["id"], **{column: token_hash, sent_at: users.now()})
        shown = "email_change" if kind.startswith("email_change") else kind
        query = urlencode({"token": token_hash, "type": shown, "redirect_to": redirect_to})
        return Link(otp, token_hash, f"{self._config.url}/auth/v1/verify?{query}", shown, redirect_to)

    async def send(
        self, db: Any, user: users.Row, kind: str, email: str, redirect_to: str, pkce: bool = False
    ) -> None:
        """Make a link and mail it. Raises AuthError 429 beyond the hosted service's mail limits."""
        _, _, sent_at, subject = KINDS[kind]
        if self._options.rate_limits and user[sent_at]:
            wait = self._options.max_mail_frequency - (users.now() - user[sent_at]).total_seconds()
            if wait > 0:
                message = f"For security purposes, you can only request this after {int(wait) + 1} seconds."
                raise AuthError(429, "over_email_send_rate_limit", message)
        self._limits.take_mail()
        link = await self.make(db, user, kind, email, redirect_to, pkce)
        self._mailbox.deliver(email, subject, _letter(subject, link))

    async def find(self, db: Any, token_hash: str, types: tuple[str, ...]) -> users.Row:
        """The user whose token this is; ``types`` are token types. Raises AuthError 403 otp_expired."""
        row = await db.fetchrow(
            "select user_id, token_type::text, relates_to, created_at at time zone 'utc' as created_at "
            "from auth.one_time_tokens "
            "where token_hash in ($1, $2) and token_type::text = any($3) limit 1 for update",
            token_hash,
            PKCE + token_hash.removeprefix(PKCE),
            list(types),
        )
        user = await users.by_id(db, row["user_id"]) if row else None
        if (
            user is None
            or row is None
            or row["created_at"] + timedelta(seconds=self._options.otp_expiry) < users.now()
        ):
            raise AuthError(403, "otp_expired", "Token has expired or is invalid")
        if users.banned(user):
            raise AuthError(403, "user_banned", "User is banned")
        return {**user, "token_type": row["token_type"]}

    async def spend(self, db: Any, user: users.Row, token_type: str) -> None:
        """A token works once."""
        await db.execute(
            "delete from auth.one_time_tokens where user_id = $1 and token_type = $2::auth.one_time_token_type",
            user["id"],
            token_type,
        )
        await users.update(db, user["id"], **{token_type: ""})


def hash_of(email: str, otp: str) -> str:
    """The stored form of a code (supabase/auth, crypto.GenerateTokenHash)."""
    return hashlib.sha224((email + otp).encode()).hexdigest()


def _letter(subject: str, link: Link) -> str:
    return (
        f'<h2>{subject}</h2><p>Follow this link: <a href="{html.escape(link.url)}">{subject}</a></p>'
        f"<p>Alternatively, enter the code: {link.otp}</p>"
    )


def challenge(params: dict[str, Any]) -> tuple[str, str] | None:
    """The PKCE challenge and its method among a request's parameters, if any. Raises AuthError."""
    given, method = params.get("code_challenge") or "", str(params.get("code_challenge_method") or "").lower()
    if not given and not method:
        return None
    if not given or not method:
        raise invalid("PKCE flow requires code_challenge_method and code_challenge")
    if method not in ("s256", "plain") or not isinstance(given, str) or not CHALLENGE.fullmatch(given):
        raise invalid("code challenge is not valid: 43 to 128 characters, method s256 or plain")
    return given, method


async def open_flow(
    db: Any, pkce: tuple[str, str] | None, provider: str, method: str, user_id: Any = None, referrer: str = ""
) -> str:
    """Keep a PKCE challenge until the person comes back; returns the flow's id."""
    flow, code = str(uuid.uuid4()), str(uuid.uuid4())
    given, kind = pkce or (None, None)
    await db.execute(
        "insert into auth.flow_state (id, user_id, auth_code, code_challenge, code_challenge_method, provider_type, "
        "authentication_method, referrer, created_at, updated_at) "
        "values ($1, $2, $3, $4, $5::text::auth.code_challenge_method, $6, $7, $8, now(), now())",
        flow,
        user_id,
        code,
        given,
        kind,
        provider,
        method,
        referrer,
    )
    return flow


async def issue_code(db: Any, user_id: Any, method: str) -> str:
    """The code of the newest flow that this person began by ``method``, now redeemable. Raises AuthError."""
    code: str | None = await db.fetchval(
        "update auth.flow_state set auth_code_issued_at = now(), updated_at = now() where id = (select id "
        "from auth.flow_state "
        "where user_id = $1 and authentication_method = $2 order by created_at desc limit 1) returning auth_code",
        user_id,
        method,
    )
    if code is None:
        raise AuthError(400, "flow_state_not_found", "No associated flow state found.")
    return code


async def redeem(db: Any, code: str, verifier: str) -> tuple[users.Row, str]:
    """The user and method behind a PKCE code, once. Raises AuthError."""
    if not isinstance(code, str) or not isinstance(verifier, str) or not code or not verifier:
        raise invalid("invalid request: both auth code and code verifier should be non-empty")
    flow = await db.fetchrow(
        "select *, code_challenge_method::text as kind from auth.flow_state where auth_code = $1 for update",
        code,
    )
    if flow is None or flow["user_id"] is None or not flow["code_challenge"]:
        raise AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found")
    if flow["created_at"] + timedelta(minutes=5) < users.now():
        raise AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired")
    shown = verifier
    if flow["kind"] == "s256":
        shown = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    if not hmac.compare_digest(shown.encode(), flow["code_challenge"].encode()):
        raise AuthError(
            400, "bad_code_verifier", "code challenge does not match previously saved code verifier"
        )
    await db.execute("delete from auth.flow_state where id = $1", flow["id"])
    user = await users.by_id(db, flow["user_id"])
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    return user, flow["authentication_method"]
