"""The audit log: what was done, by whom; read by GET /admin/audit (supabase/auth, internal/models/audit_log_entry.go)."""

from __future__ import annotations

import uuid
from typing import Any

from stack.supabase.auth import pages, users
from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import invalid
from stack.supabase.http import Response

LOG_TYPES = {
    "account": ("login", "logout", "invite_accepted"),
    "team": ("user_signedup", "user_invited", "user_deleted"),
    "token": ("token_revoked", "token_refreshed"),
    "factor": (
        "factor_in_progress", "factor_unenrolled", "challenge_created", "verification_attempted", "factor_deleted",
    ),
    "user": (
        "user_modified", "user_recovery_requested", "user_reauthenticate_requested", "user_confirmation_requested",
        "user_repeated_signup", "user_updated_password", "identity_linked", "identity_unlinked",
    ),
}  # fmt: skip
TYPE_OF = {action: kind for kind, actions in LOG_TYPES.items() for action in actions}
SEARCHED = {"author": ("actor_username", "actor_name"), "action": ("action",), "type": ("log_type",)}


async def record(ctx: Context, actor: users.Row | None, action: str, **traits: Any) -> None:
    """Write down that ``actor`` did ``action``; None is the administrator, whose name is the role of their key."""
    if actor is None:
        actor = {"id": users.NOBODY, "email": ctx.claims()["role"], "phone": None, "raw_user_meta_data": {}}
    payload = {
        "action": action, "actor_id": str(actor["id"]), "actor_username": actor["phone"] or actor["email"] or "",
        "actor_via_sso": False, "log_type": TYPE_OF[action],
    }  # fmt: skip
    if "full_name" in (actor["raw_user_meta_data"] or {}):
        payload["actor_name"] = actor["raw_user_meta_data"]["full_name"]
    payload |= {"traits": traits} if traits else {}
    sql = (
        "insert into auth.audit_log_entries (instance_id, id, payload, created_at, ip_address) "
        "values ($1, $2, $3::jsonb, $4, $5)"
    )
    # The Auth server writes down the address of these alone.
    ip = ctx.request.ip if action.startswith(("factor", "challenge", "verification", "identity")) else ""
    await ctx.db.execute(sql, users.NOBODY, str(uuid.uuid4()), payload, users.now(), ip)


async def about(ctx: Context, user: users.Row, action: str, **traits: Any) -> None:
    """Write down what an administrator did to ``user``."""
    known = {"user_id": str(user["id"]), "user_email": user["email"] or "", "user_phone": user["phone"] or ""}
    await record(ctx, None, action, **traits, **known)


async def read(ctx: Context) -> Response:
    """GET /admin/audit?page=&per_page=&query=scope:words, newest first."""
    ctx.require_admin()
    page, where, values = pages.asked(ctx), "true", []
    if query := ctx.query.get("query"):
        scope, _, words = query.partition(":")
        if scope not in SEARCHED or ":" not in query:
            raise invalid(f"Invalid query scope: {query}")
        where, values = (
            " or ".join(f"payload->>'{name}' ilike $1" for name in SEARCHED[scope]),
            [f"%{words}%"],
        )
    found = await page.select(ctx, f"auth.audit_log_entries where {where}", "created_at desc", *values)
    return page.response([
        {
            "id": str(row["id"]), "payload": row["payload"], "created_at": users.moment(row["created_at"]),
            "ip_address": row["ip_address"],
        }
        for row in found
    ])  # fmt: skip
