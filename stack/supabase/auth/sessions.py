"""Sessions: access tokens, refresh tokens that rotate, and what happens when an old one comes back."""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import timedelta
from typing import Any

from stack.supabase.auth import users
from stack.supabase.auth.errors import AuthError
from stack.supabase.config import Config, Options
from stack.supabase.http import Request
from stack.supabase.tokens import Signer

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


class Sessions:
    """Issues and ends sessions."""

    def __init__(self, signer: Signer, config: Config) -> None:
        self._signer, self._issuer = signer, f"{config.url}/auth/v1"
        self.use(config.options)

    def use(self, options: Options) -> None:
        """Make tokens by these options from now on."""
        self._options = options

    async def start(self, db: Any, user: users.Row, method: str, request: Request) -> dict[str, Any]:
        """A new session for ``user``, signed in by ``method``; the token response that a client expects."""
        if users.banned(user):
            raise AuthError(400, "user_banned", "User is banned")
        session_id, at = str(uuid.uuid4()), users.now()
        await db.execute(
            "insert into auth.sessions (id, user_id, created_at, updated_at, aal, user_agent, ip) values "
            "($1, $2, $3, $3, 'aal1', $4, $5)",
            session_id,
            user["id"],
            at,
            request.headers.get("user-agent", "")[:500],
            request.ip,
        )
        await self.add_method(db, session_id, method)
        await db.execute(
            "update auth.identities set last_sign_in_at = $2 where user_id = $1 and provider = $3",
            user["id"],
            at,
            (user["raw_app_meta_data"] or {}).get("provider", "email"),
        )
        user = await users.update(db, user["id"], last_sign_in_at=at)
        refresh = await self._new_refresh_token(db, user, session_id, None)
        return await self.respond(db, user, session_id, refresh)

    async def add_method(self, db: Any, session_id: str, method: str) -> None:
        """Note how the session was authenticated (the ``amr`` claim)."""
        await db.execute(
            "insert into auth.mfa_amr_claims (session_id, created_at, updated_at, authentication_method) "
            "values ($1, now(), now(), $2) "
            "on conflict (session_id, authentication_method) do update set updated_at = excluded.updated_at",
            session_id,
            method,
        )

    async def respond(self, db: Any, user: users.Row, session_id: str, refresh_token: str) -> dict[str, Any]:
        """Access and refresh token with the user."""
        session = await db.fetchrow(
            "select s.aal::text, (select coalesce(jsonb_agg(jsonb_build_object('method', "
            "authentication_method, 'timestamp', "
            "extract(epoch from updated_at)::bigint) order by updated_at desc), '[]') from auth.mfa_amr_claims a "
            "where a.session_id = s.id) as amr from auth.sessions s where s.id = $1",
            session_id,
        )
        issued = int(time.time())
        claims = {
            "iss": self._issuer, "sub": str(user["id"]), "aud": user["aud"], "exp": issued + self._options.jwt_expiry,
            "iat": issued, "email": user["email"] or "", "phone": user["phone"] or "",
            "app_metadata": user["raw_app_meta_data"] or {}, "user_metadata": user["raw_user_meta_data"] or {},
            "role": user["role"], "aal": session["aal"] or "aal1", "amr": session["amr"], "session_id": session_id,
            "is_anonymous": user["is_anonymous"],
        }  # fmt: skip
        return {
            "access_token": self._signer.sign(claims), "token_type": "bearer", "expires_in": self._options.jwt_expiry,
            "expires_at": claims["exp"], "refresh_token": refresh_token, "user": users.public(user),
        }  # fmt: skip

    async def refresh(self, db: Any, token: str) -> dict[str, Any]:
        """Exchange a refresh token for a new pair (supabase/auth, RefreshTokenGrant).

        A token is good once. Its immediate predecessor is accepted too, since a client may have lost the answer, and so
        is any within the reuse interval. Any other reuse ends the whole family: somebody else has the token.
        Raises Reused, whose effect the caller must commit.
        """
        row = await db.fetchrow("select * from auth.refresh_tokens where token = $1 for update", token)
        if row is None or row["session_id"] is None:
            raise AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
        user = await users.by_id(db, row["user_id"])
        session = await db.fetchrow("select * from auth.sessions where id = $1 for update", row["session_id"])
        if user is None or session is None:
            raise AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
        if users.banned(user):
            raise AuthError(400, "user_banned", "Invalid Refresh Token: User Banned")
        if session["not_after"] and session["not_after"] < users.now():
            raise AuthError(400, "session_expired", "Invalid Refresh Token: Session Expired")
        session_id = str(row["session_id"])
        # The row may have changed while its session was being locked by a concurrent exchange of the same token.
        row = await db.fetchrow("select * from auth.refresh_tokens where token = $1", token)
        following = token
        if row["revoked"]:
            active = await db.fetchrow(
                "select * from auth.refresh_tokens where session_id = $1 and not revoked order by id desc limit 1",
                row["session_id"],
            )
            if active is not None and active["parent"] == token:
                following = active["token"]
            elif users.now() > row["updated_at"] + timedelta(seconds=self._options.refresh_reuse_interval):
                await db.execute(
                    "update auth.refresh_tokens set revoked = true, updated_at = now() where session_id = "
                    "$1 and not revoked",
                    row["session_id"],
                )
                raise Reused
            elif active is not None:
                following = active["token"]
        else:
            await db.execute(
                "update auth.refresh_tokens set revoked = true, updated_at = now() where id = $1", row["id"]
            )
            following = await self._new_refresh_token(db, user, session_id, token)
        await db.execute(
            "update auth.sessions set refreshed_at = now() at time zone 'utc', updated_at = now() where id = $1",
            session_id,
        )
        return await self.respond(db, user, session_id, following)

    async def rotate(self, db: Any, user: users.Row, session_id: str) -> dict[str, Any]:
        """A new pair for a running session, after its level of assurance changed."""
        old = await db.fetchval(
            "update auth.refresh_tokens set revoked = true, updated_at = now() where session_id = $1 and "
            "not revoked returning token",
            session_id,
        )
        return await self.respond(
            db, user, session_id, await self._new_refresh_token(db, user, session_id, old)
        )

    async def end(self, db: Any, user_id: str, session_id: str | None, scope: str) -> None:
        """Log out: ``global`` every session of the user, ``local`` this one, ``others`` every other."""
        if scope == "local":
            await db.execute("delete from auth.sessions where user_id = $1 and id = $2", user_id, session_id)
        elif scope == "others":
            await db.execute(
                "delete from auth.sessions where user_id = $1 and id is distinct from $2", user_id, session_id
            )
        else:
            await db.execute("delete from auth.sessions where user_id = $1", user_id)

    async def _new_refresh_token(self, db: Any, user: users.Row, session_id: str, parent: str | None) -> str:
        token = "".join(secrets.choice(ALPHABET) for _ in range(12))
        await db.execute(
            "insert into auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, "
            "updated_at, parent, session_id) "
            "values ('00000000-0000-0000-0000-000000000000', $1, $2, false, now(), now(), $3, $4)",
            token,
            str(user["id"]),
            parent,
            session_id,
        )
        return token


class Reused(Exception):
    """A refresh token was used again: its family has been revoked in the transaction that must now be committed."""
