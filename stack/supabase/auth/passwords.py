"""Passwords: rules and bcrypt, which runs in a thread because it is slow on purpose."""

from __future__ import annotations

import asyncio

import bcrypt

from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

MAX_BYTES = 72  # bcrypt reads no further


async def set_by(ctx: Context, password: str) -> str:
    """The bcrypt hash of a password to be set. Raises AuthError if it is too short or too long."""
    minimum = ctx.options.password_min_length
    if len(password.encode()) > MAX_BYTES:
        raise invalid(f"Password cannot be longer than {MAX_BYTES} characters")
    if len(password) < minimum:
        message = f"Password should be at least {minimum} characters."
        raise AuthError("weak_password", message, 422, weak_password={"reasons": ["length"]})
    salt = bcrypt.gensalt(ctx.options.bcrypt_cost)
    return (await ctx.aside(asyncio.to_thread(bcrypt.hashpw, password.encode(), salt))).decode()


async def matches(password: str, against: str | None) -> bool:
    """Whether ``password`` has the hash ``against``; False where there is none."""
    if not against or len(password.encode()) > MAX_BYTES:
        return False
    try:
        return await asyncio.to_thread(bcrypt.checkpw, password.encode(), against.encode())
    except ValueError:  # an imported hash of another kind
        return False
