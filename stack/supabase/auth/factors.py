"""Second factors: TOTP (RFC 6238)."""

from __future__ import annotations

import html
import time
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pyotp

from stack.supabase.auth import audit, rows, sessions, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

Json = dict[str, Any]
MAX_FACTORS = 10
CHALLENGE_S = 300
UNVERIFIED_S = 300  # that a factor may stay unverified
CHALLENGE = "insert into auth.mfa_challenges (id, factor_id, created_at, ip_address) values ($1, $2, now(), $3)"  # fmt: skip
EXPIRED = "delete from auth.mfa_factors where status = 'unverified' and created_at + make_interval(secs => $1) < now()"


async def _person(ctx: Context) -> tuple[users.Row, str]:
    """The user and session of a request about factors, which people without an address have none of."""
    user, session_id = await ctx.require_user()
    if ctx.claims().get("is_anonymous"):
        raise AuthError("no_authorization", "Anonymous user not allowed to perform these actions", 403)
    if session_id is None:
        raise AuthError("session_not_found")
    return user, session_id


async def enroll(ctx: Context) -> Json:
    """POST /factors. The picture holds the address as text: nobody scans it here."""
    user, _ = await _person(ctx)
    kind, name = ctx.body.get("factor_type"), ctx.body.get("friendly_name") or ""
    if kind in ("phone", "webauthn"):
        word = {"phone": "Phone", "webauthn": "WebAuthn"}[kind]
        raise AuthError(f"mfa_{kind}_enroll_not_enabled", f"MFA enroll is disabled for {word}", 422)
    if kind != "totp":
        raise invalid("factor_type needs to be totp, phone, or webauthn")
    await ctx.db.execute(EXPIRED, UNVERIFIED_S)
    factors = (await users.find(ctx.db, user["id"]))["factors"]
    if name in [f["friendly_name"] for f in factors]:
        message = f'A factor with the friendly name "{name}" for this user already exists'
        raise AuthError("mfa_factor_name_conflict", message, 422)
    if len(factors) >= MAX_FACTORS:
        message = "Maximum number of verified factors reached, unenroll to continue"
        raise AuthError("too_many_enrolled_mfa_factors", message, 422)
    if any(f["status"] == "verified" for f in factors) and ctx.claims().get("aal") != "aal2":
        raise AuthError("insufficient_aal", "AAL2 required to enroll a new factor", 403)
    secret, factor_id = pyotp.random_base32(), str(uuid.uuid4())
    await rows.insert(
        ctx.db, "mfa_factors", id=factor_id, user_id=user["id"], friendly_name=name, factor_type="totp",
        status="unverified", secret=secret,
    )  # fmt: skip
    await audit.record(ctx, user, "factor_in_progress", factor_id=factor_id)
    issuer = ctx.body.get("issuer") or urlsplit(ctx.options.site_url).netloc or "localhost"
    uri = pyotp.TOTP(secret).provisioning_uri(name=user["email"] or str(user["id"]), issuer_name=issuer)
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="40"><text y="20">{html.escape(uri)}</text></svg>'
    totp = {"qr_code": picture, "secret": secret, "uri": uri}
    named = {"friendly_name": name} if name else {}
    return {"id": factor_id, "type": "totp", **named, "totp": totp}


async def _factor(ctx: Context, user: users.Row, which: str) -> Any:
    factor_id = users.uuid_of(which, "factor_id")
    row = await rows.locked(ctx.db, "mfa_factors", id=factor_id, user_id=user["id"])
    if row is None:
        raise AuthError("mfa_factor_not_found")
    return row


async def challenge(ctx: Context) -> Json:
    """POST /factors/{id}/challenge."""
    user, _ = await _person(ctx)
    factor, made = await _factor(ctx, user, ctx.matched[0]), str(uuid.uuid4())
    ctx.limit("factor_challenge")
    await ctx.db.execute(CHALLENGE, made, factor["id"], ctx.request.ip)
    await rows.update(ctx.db, "mfa_factors", {"id": factor["id"]}, last_challenged_at=users.now())
    about = {"factor_id": str(factor["id"]), "factor_status": factor["status"]}
    await audit.record(ctx, user, "challenge_created", **about)
    return {"id": made, "type": "totp", "expires_at": int(time.time()) + CHALLENGE_S}


async def verify(ctx: Context) -> Json:
    """POST /factors/{id}/verify: the session rises to aal2, and sessions left below it end."""
    db, (user, session_id) = ctx.db, await _person(ctx)
    factor = await _factor(ctx, user, ctx.matched[0])
    ctx.limit("factor_verify")
    if not ctx.body.get("code"):
        raise invalid("Code needs to be non-empty")
    row = await _challenge(ctx, factor)
    if not pyotp.TOTP(factor["secret"]).verify(ctx.body["code"], valid_window=1):
        raise AuthError("mfa_verification_failed", "Invalid TOTP code entered", 422)
    about = {"factor_id": str(factor["id"]), "challenge_id": str(row["id"]), "factor_type": "totp"}
    await audit.record(ctx, user, "verification_attempted", **about)
    await db.execute("update auth.mfa_challenges set verified_at = now() where id = $1", row["id"])
    await rows.update(db, "mfa_factors", {"id": factor["id"]}, status="verified")
    await db.execute(sessions.ADD_METHOD, session_id, "totp")
    await rows.update(db, "sessions", {"id": session_id}, aal="aal2", factor_id=factor["id"])
    await rows.delete(db, "sessions", user_id=user["id"], aal="aal1")
    await rows.delete(db, "mfa_factors", user_id=user["id"], status="unverified")
    return await sessions.rotate(ctx, await users.find(db, user["id"]), session_id)


async def _challenge(ctx: Context, factor: Any) -> Any:
    """The challenge that is answered. Raises AuthError (supabase/auth, internal/api/mfa.go, validateChallenge)."""
    try:
        challenge_id = users.uuid_of(ctx.body.get("challenge_id") or users.NOBODY)
    except AuthError as error:
        message = "Could not parse request body as JSON: challenge_id is no UUID"
        raise AuthError("bad_json", message) from error
    row = await rows.locked(ctx.db, "mfa_challenges", id=challenge_id, factor_id=factor["id"])
    if row is None:
        message = "MFA factor with the provided challenge ID not found"
        raise AuthError("mfa_factor_not_found", message, 422)
    if row["verified_at"] or str(row["ip_address"]).partition("/")[0] != ctx.request.ip:
        message = "Challenge and verify IP addresses mismatch."
        raise AuthError("mfa_ip_address_mismatch", message, 422)
    if row["created_at"] + timedelta(seconds=CHALLENGE_S) < users.now():
        words = "verify against another challenge or create a new challenge."
        raise AuthError("mfa_challenge_expired", f"MFA challenge {row['id']} has expired, {words}", 422)
    return row


async def unenroll(ctx: Context) -> Json:
    """DELETE /factors/{id}."""
    user, session_id = await _person(ctx)
    factor = await _factor(ctx, user, ctx.matched[0])
    if factor["status"] == "verified" and ctx.claims().get("aal") != "aal2":
        raise AuthError("insufficient_aal")
    await _remove(ctx, factor)
    about = {"factor_id": str(factor["id"]), "factor_status": factor["status"], "session_id": session_id}
    await audit.record(ctx, user, "factor_unenrolled", **about)
    return {"id": str(factor["id"])}


async def _remove(ctx: Context, factor: Any) -> None:
    await rows.delete(ctx.db, "mfa_factors", id=factor["id"])
    await rows.update(ctx.db, "sessions", {"factor_id": factor["id"]}, aal="aal1", factor_id=None)


async def admin_list(ctx: Context) -> list[Json]:
    """GET /admin/users/{id}/factors."""
    ctx.require_admin()
    user = await users.find(ctx.db, users.uuid_of(ctx.matched[0]))
    return [users.factor(f) for f in user["factors"]]


async def admin_delete(ctx: Context) -> Json:
    """DELETE /admin/users/{id}/factors/{factor_id}."""
    ctx.require_admin()
    user = await users.find(ctx.db, users.uuid_of(ctx.matched[0]))
    factor = await _factor(ctx, user, ctx.matched[1])
    about = {"user_id": str(user["id"]), "factor_id": str(factor["id"])}
    await audit.record(ctx, user, "factor_deleted", **about)
    await _remove(ctx, factor)
    return users.factor(factor)
