"""The hosted service's rate limits, switchable (Supabase docs, "Auth rate limits")."""

from __future__ import annotations

import time
from collections.abc import Callable

from stack.supabase.auth.errors import AuthError
from stack.supabase.config import Options

FIVE_MINUTES, HOUR, MINUTE = 300.0, 3600.0, 60.0


class Limits:
    """Token buckets by kind and address: a full bucket allows a burst, then refills at the limit's own rate."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self.use(options)

    def use(self, options: Options) -> None:
        """Count by these options from now on."""
        self._on = options.rate_limits
        self._kinds = {
            "token": (options.rate_limit_token, FIVE_MINUTES),
            "verify": (options.rate_limit_verify, FIVE_MINUTES),
            "otp": (options.rate_limit_otp, FIVE_MINUTES),
            "anonymous": (options.rate_limit_anonymous, HOUR),
            "mfa": (options.rate_limit_mfa, MINUTE),
            "email": (options.rate_limit_email_sent, HOUR),
        }

    def take(self, kind: str, address: str) -> None:
        """Count one request of ``kind`` from ``address``. Raises AuthError 429 when its bucket is empty."""
        if not self._take(kind, address):
            raise AuthError(429, "over_request_rate_limit", "Request rate limit reached")

    def take_mail(self) -> None:
        """Count one mail of the project. Raises AuthError 429."""
        if not self._take("email", ""):
            raise AuthError(429, "over_email_send_rate_limit", "email rate limit exceeded")

    def reset(self) -> None:
        """Forget everything counted."""
        self._buckets.clear()

    def _take(self, kind: str, address: str) -> bool:
        if not self._on:
            return True
        limit, period = self._kinds[kind]
        now = self._clock()
        left, at = self._buckets.get((kind, address), (float(limit), now))
        left = min(float(limit), left + (now - at) * limit / period)
        if left < 1:
            self._buckets[kind, address] = (left, now)
            return False
        self._buckets[kind, address] = (left - 1, now)
        return True
