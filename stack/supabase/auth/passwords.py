"""Passwords: rules and bcrypt, which runs in a thread because it is slow on purpose."""

from __future__ import annotations

import asyncio

import bcrypt

from stack.supabase.auth.errors import AuthError, invalid

MAX_BYTES = 72  # bcrypt reads no further


def check(password: str, minimum: int) -> None:
    """Raise AuthError for a password that is too short or too long."""
    if len(password.encode()) > MAX_BYTES:
        raise invalid(f"Password cannot be longer than {MAX_BYTES} characters")
    if len(password) < minimum:
        message = f"Password should be at least {minimum} characters."
        raise AuthError(422, "weak_password", message, weak_password={"reasons": ["length"]})


async def hashed(password: str, cost: int) -> str:
    """The bcrypt hash of ``password``."""
    return (await asyncio.to_thread(bcrypt.hashpw, password.encode(), bcrypt.gensalt(cost))).decode()


async def matches(password: str, against: str | None) -> bool:
    """Whether ``password`` has the hash ``against``; False where there is none."""
    if not against or len(password.encode()) > MAX_BYTES:
        return False
    try:
        return await asyncio.to_thread(bcrypt.checkpw, password.encode(), against.encode())
    except ValueError:  # an imported hash of another kind
        return False
