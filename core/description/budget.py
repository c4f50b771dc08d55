"""What one run may use up at most: `[budget]` of target.toml. What is not named has no cap."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from core.description.base import Section, Size

_MONEY = re.compile(r"(\d+(?:\.\d{1,6})?) ?USD")


def _is_money(text: str) -> str:
    if not _MONEY.fullmatch(text):
        raise ValueError(f'{text!r} is no amount of money; write it like "5 USD"')
    return text


Cap = Annotated[int, Field(ge=0)]


class BudgetPart(Section):
    """Caps of one run, all of its processes together."""

    requests: Cap | None = None
    """HTTP requests, those of loads included."""
    mails: Cap | None = None
    """Requests upon which Auth sends a mail."""
    logins: Cap | None = None
    """Requests that sign somebody in or renew a session (Auth's /token and /verify, and its /signup)."""
    bytes: Size | None = None
    """Bytes of bodies, sent and received."""
    money: Annotated[str, AfterValidator(_is_money)] | None = None
    """By the list prices in `core/prices.toml`, beyond what a plan includes."""

    def caps(self) -> dict[str, int]:
        """The caps that are named, by the key; money in millionths of a dollar."""
        named = {
            k: v for k in ("requests", "mails", "logins", "bytes") if (v := getattr(self, k)) is not None
        }
        if self.money and (found := _MONEY.fullmatch(self.money)):
            named["money"] = round(float(found[1]) * 1e6)
        return named
