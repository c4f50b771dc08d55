"""The hosted service's rate limits, switchable (Supabase docs, "Auth rate limits"; supabase/auth, apilimiter.go)."""

from __future__ import annotations

import time

from stack.supabase.auth.errors import AuthError
from stack.supabase.config import Options

BURST = 30
# Of each group of routes: the option that says how many are refilled, and in how many seconds.
GROUPS = {
    **dict.fromkeys(("signup", "recover", "resend", "magiclink", "otp", "user"), ("otp", 300)),
    **dict.fromkeys(("factor_challenge", "factor_verify"), ("mfa", 60)),
    "token": ("token", 300),  # log-in and refresh share one
    "verify": ("verify", 300),
    "anonymous": ("anonymous", 3600),
}
MAIL_S = 3600


class Limits:
    """What was counted: a token bucket for each address and group of routes, and the mails of the whole project."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._hour_began, self._mails = time.monotonic(), 0

    def take(self, group: str, address: str) -> None:
        """Count a request. A full bucket allows ``BURST`` at once (anonymous sign-ins: a whole period's), then refills at
        the limit's own rate. Raises AuthError 429 when it is empty.
        """
        if not self.options.rate_limits:
            return
        kind, period = GROUPS[group]
        rate, now = float(getattr(self.options, f"rate_limit_{kind}")), time.monotonic()
        burst = rate if group == "anonymous" else BURST
        left, at = self._buckets.get((group, address), (burst, now))
        left = min(burst, left + (now - at) * rate / period)
        self._buckets[group, address] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            raise AuthError("over_request_rate_limit", "Request rate limit reached", 429)

    def take_mail(self) -> None:
        """Count a mail; the count begins anew every hour. Raises AuthError 429 when the hour's mails are sent."""
        if not self.options.rate_limits or self.options.autoconfirm:
            return
        if time.monotonic() - self._hour_began >= MAIL_S:
            self._hour_began, self._mails = time.monotonic(), 0
        if self._mails >= self.options.rate_limit_email_sent:
            raise AuthError("over_email_send_rate_limit", "email rate limit exceeded", 429)
        self._mails += 1

    def reset(self) -> None:
        """Forget everything counted."""
        self._buckets.clear()
        self._mails = 0
