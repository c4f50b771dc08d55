"""Sessions: access tokens, refresh tokens that rotate, and what happens when an old one comes back."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import timedelta
from typing import Any

from stack.supabase.auth import rows, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
ADD_METHOD = """
insert into auth.mfa_amr_claims (session_id, created_at, updated_at, authentication_method) values ($1, now(), now(), $2)
on conflict (session_id, authentication_method) do update set updated_at = excluded.updated_at"""
ASSURANCE = """
select s.aal::text, (select coalesce(jsonb_agg(jsonb_build_object('method', authentication_method, 'timestamp',
  extract(epoch from updated_at)::bigint) order by updated_at desc), '[]') from auth.mfa_amr_claims a
  where a.session_id = s.id) as amr from auth.sessions s where s.id = $1"""
ACTIVE = "select * from auth.refresh_tokens where session_id = $1 and not revoked order by id desc limit 1"
REVOKE = ("update auth.refresh_tokens set revoked = true, updated_at = now() where session_id = $1 and not revoked "
          "returning token")  # fmt: skip
REFRESHED = (
    "update auth.sessions set refreshed_at = now() at time zone 'utc', updated_at = now() where id = $1"
)


async def start(ctx: Context, user: users.Row, method: str) -> dict[str, Any]:
    """A new session for ``user``, signed in by ``method``; the token response that a client expects."""
    users.check_not_banned(user)
    session_id, at, agent = str(uuid.uuid4()), users.now(), ctx.request.headers.get("user-agent", "")[:500]
    await rows.insert(
        ctx.db, "sessions", id=session_id, user_id=user["id"], aal="aal1", user_agent=agent,
        ip=ctx.request.ip,
    )  # fmt: skip
    await ctx.db.execute(ADD_METHOD, session_id, method)
    provider = (user["raw_app_meta_data"] or {}).get("provider", "email")
    await rows.update(ctx.db, "identities", {"user_id": user["id"], "provider": provider}, last_sign_in_at=at)
    user = await users.update(ctx.db, user, last_sign_in_at=at)
    return await respond(ctx, user, session_id, await _new_refresh_token(ctx, user, session_id, None))


async def respond(ctx: Context, user: users.Row, session_id: str, refresh_token: str) -> dict[str, Any]:
    """Access and refresh token with the user."""
    session = await ctx.db.fetchrow(ASSURANCE, session_id)
    issued, lifetime = int(time.time()), ctx.options.jwt_expiry
    claims = {
        "iss": f"{ctx.config.url}/auth/v1", "sub": str(user["id"]), "aud": user["aud"], "exp": issued + lifetime,
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
    """Exchange a refresh token for a new pair (supabase/auth, RefreshTokenGrant).

    A token is good once. Its immediate predecessor is accepted too, since a client may have lost the answer, and so
    is any within the reuse interval. Any other reuse ends the whole family: somebody else has the token.
    """
    row = await rows.locked(ctx.db, "refresh_tokens", token=token)
    session = row and await rows.locked(ctx.db, "sessions", id=row["session_id"])
    if session is None:
        raise AuthError("refresh_token_not_found")
    user = await users.find(ctx.db, row["user_id"])
    users.check_not_banned(user)
    # The row may have changed while its session was being locked by a concurrent exchange of the same token.
    row = await rows.locked(ctx.db, "refresh_tokens", token=token)
    session_id, interval = str(session["id"]), timedelta(seconds=ctx.options.refresh_reuse_interval)
    if not row["revoked"]:
        await rows.update(ctx.db, "refresh_tokens", {"id": row["id"]}, revoked=True)
        following = await _new_refresh_token(ctx, user, session_id, token)
    else:
        active = await ctx.db.fetchrow(ACTIVE, session_id)
        followed = active is not None and active["parent"] == token
        if not followed and users.now() > row["updated_at"] + interval:
            await ctx.db.execute(REVOKE, session_id)
            reused = AuthError("refresh_token_already_used", "Invalid Refresh Token: Already Used")
            reused.keep = True  # the family's revocation is to be committed
            raise reused
        following = active["token"] if active else token
    await ctx.db.execute(REFRESHED, session_id)
    return await respond(ctx, user, session_id, following)


async def rotate(ctx: Context, user: users.Row, session_id: str) -> dict[str, Any]:
    """A new pair for a running session, after its level of assurance changed."""
    old = await ctx.db.fetchval(REVOKE, session_id)
    return await respond(ctx, user, session_id, await _new_refresh_token(ctx, user, session_id, old))


async def end(ctx: Context, user: users.Row, session_id: str | None, scope: str) -> None:
    """Log out: ``global`` every session of the user, ``local`` this one, ``others`` every other."""
    which = {"global": "", "local": " and id = $2", "others": " and id is distinct from $2"}[scope]
    values = (session_id,) if which else ()
    await ctx.db.execute(f"delete from auth.sessions where user_id = $1{which}", user["id"], *values)


async def _new_refresh_token(ctx: Context, user: users.Row, session_id: str, parent: str | None) -> str:
    token = "".join(secrets.choice(ALPHABET) for _ in range(12))
    await rows.insert(
        ctx.db, "refresh_tokens", instance_id=users.NOBODY, token=token, user_id=str(user["id"]), revoked=False,
        parent=parent, session_id=session_id,
    )  # fmt: skip
    return token
