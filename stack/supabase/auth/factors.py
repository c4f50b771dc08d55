"""Second factors: TOTP (RFC 6238) enrolment, challenge, verification."""

from __future__ import annotations

import html
import time
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pyotp

from stack.supabase.auth import rows, sessions, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

Json = dict[str, Any]
MAX_FACTORS = 10
CHALLENGE_S = 300
CHALLENGE = (
    "insert into auth.mfa_challenges (id, factor_id, created_at, ip_address) values ($1, $2, now(), $3)"
)


async def enroll(ctx: Context) -> Json:
    """POST /factors. The picture holds the address as text: nobody scans it here."""
    kind = ctx.body.get("factor_type")
    if kind in ("phone", "webauthn"):
        raise AuthError(f"mfa_{kind}_enroll_not_enabled", f"MFA enroll is disabled for {kind}", 422)
    if kind != "totp":
        raise invalid("factor_type needs to be totp, phone, or webauthn")
    user, _ = await ctx.require_user()
    if len(user["factors"]) >= MAX_FACTORS:
        message = "Maximum number of verified factors reached, unenroll to continue"
        raise AuthError("too_many_enrolled_mfa_factors", message, 422)
    if any(f["status"] == "verified" for f in user["factors"]) and ctx.claims().get("aal") != "aal2":
        raise AuthError("insufficient_aal", "AAL2 required to enroll a new factor", 403)
    name, secret, factor_id = ctx.body.get("friendly_name") or "", pyotp.random_base32(), str(uuid.uuid4())
    try:
        await rows.insert(
            ctx.db, "mfa_factors", id=factor_id, user_id=user["id"], friendly_name=name, factor_type="totp",
            status="unverified", secret=secret,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        message = f'A factor with the friendly name "{name}" for this user already exists'
        raise AuthError("mfa_factor_name_conflict", message, 422) from error
    issuer = ctx.body.get("issuer") or urlsplit(ctx.options.site_url).hostname or "localhost"
    uri = pyotp.TOTP(secret).provisioning_uri(name=user["email"] or str(user["id"]), issuer_name=issuer)
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="40"><text y="20">{html.escape(uri)}</text></svg>'
    totp = {"qr_code": picture, "secret": secret, "uri": uri}
    return {"id": factor_id, "type": "totp", "friendly_name": name, "totp": totp}


async def _factor(ctx: Context, user: users.Row) -> Any:
    factor_id = users.uuid_of(ctx.matched[0], "factor_id")
    row = await rows.locked(ctx.db, "mfa_factors", id=factor_id, user_id=user["id"])
    if row is None:
        raise AuthError("mfa_factor_not_found")
    return row


async def challenge(ctx: Context) -> Json:
    """POST /factors/{id}/challenge."""
    ctx.limit("mfa")
    factor, made = await _factor(ctx, (await ctx.require_user())[0]), str(uuid.uuid4())
    await ctx.db.execute(CHALLENGE, made, factor["id"], ctx.request.ip)
    return {"id": made, "type": "totp", "expires_at": int(time.time()) + CHALLENGE_S}


async def verify(ctx: Context) -> Json:
    """POST /factors/{id}/verify: the session rises to aal2, and sessions left below it end."""
    ctx.limit("mfa")
    db, (user, session_id) = ctx.db, await ctx.require_user()
    if session_id is None:
        raise AuthError("session_not_found")
    factor = await _factor(ctx, user)
    challenge_id = users.uuid_of(ctx.body.get("challenge_id") or "", "challenge_id")
    row = await rows.locked(db, "mfa_challenges", id=challenge_id, factor_id=factor["id"])
    if row is None or row["verified_at"]:
        raise AuthError("mfa_challenge_expired", "MFA factor with the provided challenge ID not found", 422)
    if row["created_at"] + timedelta(seconds=CHALLENGE_S) < users.now():
        message = "MFA challenge has expired, verify against another challenge or create a new challenge."
        raise AuthError("mfa_challenge_expired", message, 422)
    if not pyotp.TOTP(factor["secret"]).verify(ctx.body.get("code") or "", valid_window=1):
        raise AuthError("mfa_verification_failed", "Invalid TOTP code entered", 422)
    await db.execute("update auth.mfa_challenges set verified_at = now() where id = $1", row["id"])
    await rows.update(db, "mfa_factors", {"id": factor["id"]}, status="verified")
    await db.execute(sessions.ADD_METHOD, session_id, "totp")
    await rows.update(db, "sessions", {"id": session_id}, aal="aal2", factor_id=factor["id"])
    await rows.delete(db, "sessions", user_id=user["id"], aal="aal1")
    await rows.delete(db, "mfa_factors", user_id=user["id"], status="unverified")
    return await sessions.rotate(ctx, await users.update(db, user), session_id)


async def unenroll(ctx: Context) -> Json:
    """DELETE /factors/{id}."""
    factor = await _factor(ctx, (await ctx.require_user())[0])
    if factor["status"] == "verified" and ctx.claims().get("aal") != "aal2":
        raise AuthError("insufficient_aal")
    await rows.delete(ctx.db, "mfa_factors", id=factor["id"])
    await rows.update(ctx.db, "sessions", {"factor_id": factor["id"]}, aal="aal1", factor_id=None)
    return {"id": str(factor["id"])}


async def admin_list(ctx: Context) -> list[Json]:
    """GET /admin/users/{id}/factors."""
    ctx.require_admin()
    user = await users.find(ctx.db, users.uuid_of(ctx.matched[0]))
    return [users.factor(f) for f in user["factors"]]


async def admin_delete(ctx: Context) -> Json:
    """DELETE /admin/users/{id}/factors/{factor_id}."""
    ctx.require_admin()
    user_id, factor_id = users.uuid_of(ctx.matched[0]), users.uuid_of(ctx.matched[1], "factor_id")
    if await rows.delete(ctx.db, "mfa_factors", user_id=user_id, id=factor_id) is None:
        raise AuthError("mfa_factor_not_found")
    return {"id": factor_id}
