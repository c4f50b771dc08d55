"""Requests as data: `[[load.http]]` of the project's target.toml, each by its weight, every answer checked.

    assay load described --users 20 --for 60s

An answer is right when its status, its rows (`each` names the keys that every one must have, `least` how many at
least) and its values (`holds`) are what the description says. `metric` names the objective that judges it.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from functools import partial
from typing import Any

from locust import task

from core.description import fill, pick
from core.description.load import DescribedRequest, Expectation
from core.load_needs import Needs
from loadengine.api import Measure, OpenUser, Poisson, Response
from loadengine.lean_port import LeanPort
from loadprofiles.users.platform_user import PlatformUser

NEEDS = Needs(uses=("auth.email", "load.http"), people=20)


class Measures(dict[str, Measure]):
    """What each kind of described request counts for, by its name; one for a process."""

    def of(self, one: DescribedRequest) -> Measure:
        """A request's measure."""
        return self.setdefault(one.name, Measure(one.metric or "http", request=one.name))


class Asker(PlatformUser, OpenUser):
    """A signed-in person whose app asks what the description says."""

    arrivals = Poisson

    def on_start(self) -> None:
        """One port for each kind of request, with its check."""
        requests = self.engine.target.description.load.http
        self.values = {
            "platform": self.adapter.platform,
            "supabase": self.adapter.supabase,
            "user": self.person.id,
        }
        self.asked: list[tuple[DescribedRequest, LeanPort]] = [(one, self._port(one)) for one in requests]
        self.weights = [one.weight for one in requests]

    def _port(self, one: DescribedRequest) -> LeanPort:
        measure = self.engine.once(Measures, Measures).of(one)
        return self.port(measure, partial(right, one.expect, self.values))

    @task
    def ask(self) -> None:
        """One request, chosen by weight."""
        one, port = random.choices(self.asked, self.weights)[0]  # noqa: S311 (a choice, not a secret)
        number = self.engine.number("request")
        values = {**self.values, "number": number, "tag": f"load-{os.getpid()}-{number}"}
        token = self.person.token if one.by == "person" else None
        headers = (
            self.adapter.rest_headers(token)
            if one.address.startswith("{supabase}")
            else self.adapter.platform_headers(token)
        )
        body = None
        if one.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(fill(one.body, values)).encode()
        port.request(
            one.method, str(fill(one.address, values)), headers=headers | dict(one.headers), body=body
        )


def right(expect: Expectation, values: Mapping[str, Any], answer: Response) -> str | None:
    """Why an answer is not what the description says; None when it is."""
    if answer.status != expect.status:
        return f"answered {answer.status}"
    if not (expect.each or expect.least or expect.holds):
        return None
    try:
        body = answer.json()
    except ValueError:
        return "the body is no JSON (cut or altered)"
    if expect.each or expect.least:
        if not isinstance(body, list) or len(body) < expect.least:
            return f"no list of at least {expect.least} rows"
        for row in body:
            if lacking := [key for key in expect.each if not isinstance(row, dict) or key not in row]:
                return f"a row without {lacking[0]}"
    for where, value in expect.holds.items():
        if pick(body, where, None) != fill(value, values):
            return f"{where} is not what it must be"
    return None
