"""Sessions: access tokens, refresh tokens that rotate, and what happens when an old one comes back."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from stack.supabase.auth import audit, rows, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
REFRESH_TOKEN = re.compile("[a-z0-9]{12}")
ADD_METHOD = """
insert into auth.mfa_amr_claims (session_id, created_at, updated_at, authentication_method) values ($1, now(), now(), $2)
on conflict (session_id, authentication_method) do update set updated_at = excluded.updated_at"""
ASSURANCE = """
select s.aal::text, (select coalesce(jsonb_agg(jsonb_build_object('method', authentication_method, 'timestamp',
  extract(epoch from updated_at)::bigint) order by extract(epoch from updated_at)::bigint desc, created_at), '[]')
  from auth.mfa_amr_claims a where a.session_id = s.id) as amr from auth.sessions s where s.id = $1"""
ACTIVE = "select * from auth.refresh_tokens where session_id = $1 and not revoked order by id desc limit 1"
OLDEST_ACTIVE = ACTIVE.replace("order by id desc", "order by id")
REVOKE = (
    "update auth.refresh_tokens set revoked = true, updated_at = now() where session_id = $1 and not revoked"
)
REFRESHED = (
    "update auth.sessions set refreshed_at = $2, user_agent = $3, ip = $4, updated_at = now() where id = $1"
)


async def start(ctx: Context, user: users.Row, method: str) -> dict[str, Any]:
    """A new session for ``user``, signed in by ``method``; the token response that a client expects."""
    session_id, at = str(uuid.uuid4()), users.now()
    await rows.insert(
        ctx.db,
        "sessions",
        id=session_id,
        user_id=user["id"],
        aal="aal1",
        user_agent=_agent(ctx),
        ip=ctx.request.ip,
    )
    await ctx.db.execute(ADD_METHOD, session_id, method)
    user = await users.update(ctx.db, user, last_sign_in_at=at)
    return await respond(ctx, user, session_id, await _new_refresh_token(ctx, user, session_id, None))


async def respond(ctx: Context, user: users.Row, session_id: str, refresh_token: str) -> dict[str, Any]:
    """Access and refresh token with the user."""
    session = await ctx.db.fetchrow(ASSURANCE, session_id)
    issued, lifetime = int(time.time()), ctx.options.jwt_expiry
    claims = {
        "iss": ctx.base, "sub": str(user["id"]), "aud": user["aud"], "exp": issued + lifetime,
        "iat": issued, "email": user["email"] or "", "phone": user["phone"] or "",
        "app_metadata": user["raw_app_meta_data"] or {}, "user_metadata": user["raw_user_meta_data"] or {},
        "role": user["role"], "aal": session["aal"] or "aal1", "amr": session["amr"], "session_id": session_id,
        "is_anonymous": user["is_anonymous"],
    }  # fmt: skip
    return {
        "access_token": ctx.services.signer.sign(claims), "token_type": "bearer", "expires_in": lifetime,
        "expires_at": claims["exp"], "refresh_token": refresh_token, "user": users.public(user),
    }  # fmt: skip


async def refresh(ctx: Context, token: str) -> dict[str, Any]:
    """Exchange a refresh token for a new pair (supabase/auth, internal/tokens/service.go, RefreshTokenGrant).

    A token is good once. The parent of the active one is accepted too, since a client may have lost the answer, and so is
    any within the reuse interval. Any other reuse ends the whole family, if tokens rotate: somebody else has the token.
    """
    if not REFRESH_TOKEN.fullmatch(token):
        raise invalid("Refresh token is not valid")
    row = await rows.locked(ctx.db, "refresh_tokens", token=token)
    session = row and await rows.locked(ctx.db, "sessions", id=row["session_id"])
    if session is None:
        raise AuthError("refresh_token_not_found")
    user = await users.find(ctx.db, row["user_id"])
    users.check_not_banned(user, "Invalid Refresh Token: User Banned", 400)
    # The row may have changed while its session was being locked by a concurrent exchange of the same token.
    row = await rows.locked(ctx.db, "refresh_tokens", token=token)
    await _check_valid(ctx, session, row["updated_at"])
    session_id, interval = str(session["id"]), timedelta(seconds=ctx.options.refresh_reuse_interval)
    active = await ctx.db.fetchrow(ACTIVE, session_id) if row["revoked"] else None
    following = active["token"] if active is not None and active["parent"] == token else ""
    if row["revoked"] and not following and users.now() > row["updated_at"] + interval:
        if ctx.options.refresh_token_rotation:
            await ctx.db.execute(REVOKE, session_id)
        reused = AuthError("refresh_token_already_used", "Invalid Refresh Token: Already Used")
        reused.keep = True  # the family's revocation is to be committed
        raise reused
    await audit.record(ctx, user, "token_refreshed")
    following = following or await _swap(ctx, user, row)
    at = users.now().replace(tzinfo=None)
    await ctx.db.execute(REFRESHED, session_id, at, _agent(ctx), ctx.request.ip)
    return await respond(ctx, await users.find(ctx.db, user["id"]), session_id, following)


async def _check_valid(ctx: Context, session: Any, refreshed: datetime) -> None:
    """Raise AuthError for a session that has ended by itself."""
    options, now, last = ctx.options, users.now(), _last_used(session, refreshed)
    if options.session_timebox and now > session["created_at"] + timedelta(seconds=options.session_timebox):
        raise AuthError("session_expired")
    if options.session_inactivity and now > last + timedelta(seconds=options.session_inactivity):
        raise AuthError("session_expired", "Invalid Refresh Token: Session Expired (Inactivity)")
    if options.session_single:
        others = await ctx.db.fetch(
            "select created_at, refreshed_at from auth.sessions where user_id = $1 and id <> $2",
            session["user_id"], session["id"],
        )  # fmt: skip
        if any(_last_used(other) > last for other in others):
            message = "Invalid Refresh Token: Session Expired (Revoked by Newer Login)"
            raise AuthError("session_expired", message)


def _last_used(session: Any, token: datetime | None = None) -> datetime:
    began: datetime = session["created_at"]
    refreshed: datetime | None = session["refreshed_at"]
    return refreshed.replace(tzinfo=UTC) if refreshed else max(token or began, began)


async def rotate(ctx: Context, user: users.Row, session_id: str) -> dict[str, Any]:
    """A new pair for a running session, after its level of assurance changed."""
    old = await ctx.db.fetchrow(OLDEST_ACTIVE, session_id)
    return await respond(ctx, user, session_id, await _swap(ctx, user, old))


async def end(ctx: Context, user: users.Row, session_id: str | None, scope: str) -> None:
    """Log out: ``global`` every session of the user, ``local`` this one, ``others`` every other."""
    which = {"global": "", "local": " and id = $2", "others": " and id <> $2"}[scope] if session_id else ""
    values = (session_id,) if which else ()
    await ctx.db.execute(f"delete from auth.sessions where user_id = $1{which}", user["id"], *values)


def _agent(ctx: Context) -> str:
    return ctx.request.headers.get("user-agent", "")[:500]


async def _swap(ctx: Context, user: users.Row, old: Any) -> str:
    await audit.record(ctx, user, "token_revoked")
    await rows.update(ctx.db, "refresh_tokens", {"id": old["id"]}, revoked=True)
    return await _new_refresh_token(ctx, user, str(old["session_id"]), old["token"])


async def _new_refresh_token(ctx: Context, user: users.Row, session_id: str, parent: str | None) -> str:
    token = "".join(secrets.choice(ALPHABET) for _ in range(12))
    await rows.insert(
        ctx.db, "refresh_tokens", instance_id=users.NOBODY, token=token, user_id=str(user["id"]), revoked=False,
        parent=parent, session_id=session_id,
    )  # fmt: skip
    return token
