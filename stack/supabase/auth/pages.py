"""One page of an administrator's list (supabase/auth, internal/api/pagination.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from stack.supabase.auth.context import Context
from stack.supabase.auth.errors import JSON, AuthError, invalid
from stack.supabase.http import Response, json_response

LARGEST = 2**64


@dataclass
class Page:
    """Which page was asked for, at which address; ``total`` rows there are in all, once they are read."""

    path: str
    query: dict[str, str]
    number: int
    size: int
    total: int = 0

    async def select(self, ctx: Context, what: str, order: str, *values: Any) -> list[Any]:
        """The rows of this page of ``what``, a table with its condition. Raises AuthError 500 for pages of no size."""
        if not self.size:  # the Auth server divides by it
            raise AuthError("unexpected_failure")
        self.total = await ctx.db.fetchval(f"select count(*) from {what}", *values)
        limit, offset = min(self.size, 2**62), min((max(self.number, 1) - 1) * self.size, 2**62)
        statement = f"select * from {what} order by {order} limit {limit} offset {offset}"
        return list(await ctx.db.fetch(statement, *values))

    def response(self, body: Any) -> Response:
        """``body`` with how many there are and where the next and the last page are."""
        last = -(-self.total // self.size)
        links = [self._link("next", self.number + 1)] if last > self.number else []
        links.append(self._link("last", last))
        return json_response(body, headers={
            "x-total-count": str(self.total), "link": ", ".join(links), "content-type": JSON,
        })  # fmt: skip

    def _link(self, relation: str, number: int) -> str:
        query = urlencode(sorted({**self.query, "page": str(number)}.items()))
        return f'<{self.path}?{query}>; rel="{relation}"'


def asked(ctx: Context) -> Page:
    """The page that a request asks for. Raises AuthError."""
    return Page(ctx.path, ctx.query, _number(ctx, "page", 1), _number(ctx, "per_page", 50))


def _number(ctx: Context, name: str, default: int) -> int:
    given = ctx.query.get(name) or str(default)
    why = "invalid syntax" if not re.fullmatch("[0-9]+", given) else "value out of range"
    if why == "invalid syntax" or int(given) >= LARGEST:
        raise invalid(f'Bad Pagination Parameters: strconv.ParseUint: parsing "{given}": {why}')
    return int(given)
