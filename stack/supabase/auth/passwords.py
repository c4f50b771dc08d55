"""Passwords: rules and bcrypt, which runs in a thread because it is slow on purpose."""

from __future__ import annotations

import asyncio
import secrets

import bcrypt

from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import AuthError, invalid

MAX_BYTES = 72  # bcrypt reads no further
DIGITS, LOWER, UPPER = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# What `password_requirements` of a project's config.toml demands (supabase/cli, pkg/config/auth.go).
REQUIRED = {
    "": (),
    "letters_digits": (LOWER + UPPER, DIGITS),
    "lower_upper_letters_digits": (LOWER, UPPER, DIGITS),
    "lower_upper_letters_digits_symbols": (LOWER, UPPER, DIGITS, "!@#$%^&*()_+-=[]{};<>?,./`~"),
}


def check(ctx: Context, password: str) -> None:
    """Raise AuthError for a password that is too long or too weak (supabase/auth, internal/api/password.go)."""
    if len(password.encode()) > MAX_BYTES:
        raise invalid(f"Password cannot be longer than {MAX_BYTES} characters")
    minimum, required = ctx.options.password_min_length, REQUIRED[ctx.options.password_requirements]
    found = {}
    if len(password.encode()) < minimum:
        found["length"] = f"Password should be at least {minimum} characters."
    if not all(set(password) & set(characters) for characters in required):
        found["characters"] = (
            f"Password should contain at least one character of each: {', '.join(required)}."
        )
    if found:
        raise AuthError(
            "weak_password", " ".join(found.values()), 422, weak_password={"reasons": list(found)}
        )


async def hashed(ctx: Context, password: str) -> str:
    """The bcrypt hash. Raises AuthError for more than bcrypt reads."""
    if len(password.encode()) > MAX_BYTES:
        raise invalid("bcrypt: password length exceeds 72 bytes")
    salt = bcrypt.gensalt(ctx.options.bcrypt_cost)
    return (await ctx.aside(asyncio.to_thread(bcrypt.hashpw, password.encode(), salt))).decode()


def unknown_to_all() -> str:
    """The hash of a password that nobody knows; at the least cost, since 64 random characters are not guessed."""
    return bcrypt.hashpw(secrets.token_urlsafe(48).encode(), bcrypt.gensalt(4)).decode()


async def matches(password: str, against: str | None) -> bool:
    """Whether ``password`` has the hash ``against``; False where there is none."""
    if not against or len(password.encode()) > MAX_BYTES:
        return False
    try:
        return await asyncio.to_thread(bcrypt.checkpw, password.encode(), against.encode())
    except ValueError:  # an imported hash of another kind
        return False
