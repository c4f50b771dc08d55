"""How much of the run's budget this generating process has in hand: it asks the shared meter once in many requests."""

from __future__ import annotations

from core import meter, prices
from core.errors import BudgetError

LEASED = 20
"""Requests that are asked for at once; of these a process that ends leaves some counted and unsent."""
_ONE = prices.of_request("platform", "GET", "")


class Allowance:
    """Requests in hand. `bytes` came since the last lease: a load may pass its cap of bytes by what one lease brings."""

    def __init__(self) -> None:
        self.bytes = 0
        self._left = 0

    def take(self) -> bool:
        """Whether one more request may be sent."""
        if not self._left:
            self._left = self._lease()
        if not self._left:
            return False
        self._left -= 1
        return True

    def _lease(self) -> int:
        came, self.bytes = self.bytes, 0
        try:
            meter.spend(prices.of_answer("platform", came))
        except BudgetError:
            return 0
        return meter.lease(_ONE, LEASED)
