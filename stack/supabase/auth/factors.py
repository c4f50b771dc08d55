"""Second factors: TOTP (RFC 6238) enrolment, challenge, verification."""

from __future__ import annotations

import html
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pyotp

from stack.supabase.auth import users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

Json = dict[str, Any]
MAX_FACTORS = 10
CHALLENGE_S = 300


async def enroll(ctx: Context) -> Json:
    """POST /factors. The picture holds the address as text: nobody scans it here."""
    body = await ctx.body()
    if body.get("factor_type") != "totp":
        if body.get("factor_type") in ("phone", "webauthn"):
            raise AuthError(
                422,
                f"mfa_{body['factor_type']}_enroll_not_enabled",
                f"MFA enroll is disabled for {body['factor_type']}",
            )
        raise invalid("factor_type needs to be totp, phone, or webauthn")
    async with ctx.transaction() as db:
        user, _ = await ctx.require_user(db)
        if len(user["factors"]) >= MAX_FACTORS:
            message = "Maximum number of verified factors reached, unenroll to continue"
            raise AuthError(422, "too_many_enrolled_mfa_factors", message)
        if any(f["status"] == "verified" for f in user["factors"]) and ctx.claims().get("aal") != "aal2":
            raise AuthError(403, "insufficient_aal", "AAL2 required to enroll a new factor")
        name, secret = body.get("friendly_name") or "", pyotp.random_base32()
        factor_id = str(uuid.uuid4())
        try:
            await db.execute(
                "insert into auth.mfa_factors (id, user_id, friendly_name, factor_type, status, "
                "created_at, updated_at, secret) "
                "values ($1, $2, $3, 'totp', 'unverified', now(), now(), $4)",
                factor_id,
                user["id"],
                name,
                secret,
            )
        except asyncpg.UniqueViolationError as error:
            message = f'A factor with the friendly name "{name}" for this user already exists'
            raise AuthError(422, "mfa_factor_name_conflict", message) from error
    issuer = body.get("issuer") or urlsplit(ctx.options.site_url).netloc
    uri = pyotp.TOTP(secret).provisioning_uri(name=user["email"] or str(user["id"]), issuer_name=issuer)
    picture = f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="40"><text y="20">{html.escape(uri)}</text></svg>'
    return {
        "id": factor_id,
        "type": "totp",
        "friendly_name": name,
        "totp": {"qr_code": picture, "secret": secret, "uri": uri},
    }


async def _factor(ctx: Context, db: Any, user: users.Row) -> Any:
    factor_id = users.uuid_of(ctx.matched[0], "factor_id")
    row = await db.fetchrow(
        "select *, status::text as state from auth.mfa_factors where id = $1 and user_id = $2",
        factor_id,
        user["id"],
    )
    if row is None:
        raise AuthError(404, "mfa_factor_not_found", "Factor not found")
    return row


async def challenge(ctx: Context) -> Json:
    """POST /factors/{id}/challenge."""
    ctx.services.limits.take("mfa", ctx.request.ip)
    async with ctx.transaction() as db:
        user, _ = await ctx.require_user(db)
        factor = await _factor(ctx, db, user)
        challenge_id = str(uuid.uuid4())
        await db.execute(
            "insert into auth.mfa_challenges (id, factor_id, created_at, ip_address) values ($1, $2, now(), $3)",
            challenge_id,
            factor["id"],
            ctx.request.ip,
        )
    expires = int((users.now() + timedelta(seconds=CHALLENGE_S)).timestamp())
    return {"id": challenge_id, "type": "totp", "expires_at": expires}


async def verify(ctx: Context) -> Json:
    """POST /factors/{id}/verify: the session rises to aal2, and sessions left below it end."""
    ctx.services.limits.take("mfa", ctx.request.ip)
    body = await ctx.body()
    async with ctx.transaction() as db:
        user, session_id = await ctx.require_user(db)
        if session_id is None:
            raise AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist")
        factor = await _factor(ctx, db, user)
        row = await db.fetchrow(
            "select * from auth.mfa_challenges where id = $1 and factor_id = $2 and verified_at is null for update",
            users.uuid_of(body.get("challenge_id") or "", "challenge_id"),
            factor["id"],
        )
        if row is None:
            raise AuthError(
                422, "mfa_challenge_expired", "MFA factor with the provided challenge ID not found"
            )
        if row["created_at"] + timedelta(seconds=CHALLENGE_S) < users.now():
            message = "MFA challenge has expired, verify against another challenge or create a new challenge."
            raise AuthError(422, "mfa_challenge_expired", message)
        if not pyotp.TOTP(factor["secret"]).verify(str(body.get("code") or ""), valid_window=1):
            raise AuthError(422, "mfa_verification_failed", "Invalid TOTP code entered")
        await db.execute("update auth.mfa_challenges set verified_at = now() where id = $1", row["id"])
        if factor["state"] != "verified":
            await db.execute(
                "update auth.mfa_factors set status = 'verified', updated_at = now() where id = $1",
                factor["id"],
            )
        await ctx.services.sessions.add_method(db, session_id, "totp")
        await db.execute(
            "update auth.sessions set aal = 'aal2', factor_id = $2 where id = $1", session_id, factor["id"]
        )
        await db.execute(
            "delete from auth.sessions where user_id = $1 and id <> $2 and aal = 'aal1'",
            user["id"],
            session_id,
        )
        await db.execute(
            "delete from auth.mfa_factors where user_id = $1 and status = 'unverified'", user["id"]
        )
        user = await users.update(db, user["id"])
        return await ctx.services.sessions.rotate(db, user, session_id)


async def unenroll(ctx: Context) -> Json:
    """DELETE /factors/{id}."""
    async with ctx.transaction() as db:
        user, _ = await ctx.require_user(db)
        factor = await _factor(ctx, db, user)
        if factor["state"] == "verified" and ctx.claims().get("aal") != "aal2":
            raise AuthError(422, "insufficient_aal", "AAL2 required to unenroll verified factor")
        await db.execute("delete from auth.mfa_factors where id = $1", factor["id"])
        await db.execute(
            "update auth.sessions set aal = 'aal1', factor_id = null where factor_id = $1", factor["id"]
        )
    return {"id": str(factor["id"])}


async def admin_list(ctx: Context) -> list[Json]:
    """GET /admin/users/{id}/factors."""
    ctx.require_admin()
    async with ctx.services.database.connection() as db:
        user = await users.by_id(db, users.uuid_of(ctx.matched[0]))
    if user is None:
        raise AuthError(404, "user_not_found", "User not found")
    return [users.factor(f) for f in user["factors"]]


async def admin_delete(ctx: Context) -> Json:
    """DELETE /admin/users/{id}/factors/{factor_id}."""
    ctx.require_admin()
    async with ctx.transaction() as db:
        gone = await db.fetchval(
            "delete from auth.mfa_factors where user_id = $1 and id = $2 returning id",
            users.uuid_of(ctx.matched[0]),
            users.uuid_of(ctx.matched[1], "factor_id"),
        )
    if gone is None:
        raise AuthError(404, "mfa_factor_not_found", "Factor not found")
    return {"id": str(gone)}
