"""How often the Web API may be asked: shown on each answer, 429 beyond."""

from __future__ import annotations

import asyncio

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stack.sentry.access import Access


async def asked(times: int, **limits: int) -> list[httpx.Response]:
    """The answers to so many requests at once, at a route with these limits."""

    async def slow(_request: Request) -> Response:
        await asyncio.sleep(0.01)
        return JSONResponse({})

    app = Starlette(routes=[Route("/", Access("token").guard(slow, **limits))])
    head = {"Authorization": "Bearer token"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://s", headers=head
    ) as http:
        return list(await asyncio.gather(*[http.get("/") for _ in range(times)]))


def test_a_window_is_shown_and_kept() -> None:
    answers = asyncio.run(asked(4, limit=2, period=3600))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["detail"].endswith("Limit is 2 requests in 3600 seconds")
    assert refused.headers["X-Sentry-Rate-Limit-Remaining"] == "0"
    assert int(refused.headers["X-Sentry-Rate-Limit-Reset"]) % 3600 == 0


def test_only_so_many_are_answered_at_once() -> None:
    answers = asyncio.run(asked(3, concurrent=1))
    assert sorted(answer.status_code for answer in answers) == [200, 429, 429]
    assert answers[-1].json()["detail"].endswith("Concurrency limit is 1")
    assert answers[-1].headers["X-Sentry-Rate-Limit-ConcurrentLimit"] == "1"
