"""The hosted service's rate limits, switchable (Supabase docs, "Auth rate limits")."""

from __future__ import annotations

import time

from stack.supabase.auth.errors import AuthError
from stack.supabase.config import Options

PERIODS_S = {"token": 300, "verify": 300, "otp": 300, "anonymous": 3600, "mfa": 60, "email_sent": 3600}


class Limits:
    """Token buckets by kind and address: a full bucket allows a burst, then refills at the limit's own rate."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, kind: str, address: str = "") -> None:
        """Count one request of ``kind`` from ``address``. Raises AuthError 429 when its bucket is empty."""
        if not self.options.rate_limits:
            return
        limit, now = float(getattr(self.options, f"rate_limit_{kind}")), time.monotonic()
        left, at = self._buckets.get((kind, address), (limit, now))
        left = min(limit, left + (now - at) * limit / PERIODS_S[kind])
        self._buckets[kind, address] = (left - 1 if left >= 1 else left, now)
        if left < 1 and kind == "email_sent":
            raise AuthError("over_email_send_rate_limit", "email rate limit exceeded", 429)
        if left < 1:
            raise AuthError("over_request_rate_limit", "Request rate limit reached", 429)

    def reset(self) -> None:
        """Forget everything counted."""
        self._buckets.clear()
