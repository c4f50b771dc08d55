"""A platform that does not look at a token's end is missed by the check that says so."""

from __future__ import annotations

import subprocess
import sys
import time

import jwt
import pytest

from clients import embedded
from core.run import ROOT
from tests.suites.always_200_mock import Always200Mock
from tests.suites.verdicts import on_embedded

CHECK = "security.expired_tokens"


class AgelessProxy(Always200Mock):
    """The true platform, to which a token that has ended is as good as the person's last good one."""

    def __init__(self, service, truth):
        super().__init__(service, truth)
        self.good = {}

    def answer(self, method, path, headers, body):
        name = next((n for n in headers if n.lower() == "authorization"), "")
        token = headers.get(name, "").removeprefix("Bearer ")
        if token.count(".") == 2:
            claims = jwt.decode(token, options={"verify_signature": False})
            if claims["exp"] > time.time():
                self.good[claims["sub"]] = token
            elif claims["sub"] in self.good:
                headers = {**headers, name: f"Bearer {self.good[claims['sub']]}"}
                self.answered += 1
        return self._forward(method, self._truth["PLATFORM_URL"] + path, headers, body)


@pytest.mark.timeout(300)
def test_a_token_whose_end_nobody_looks_at_is_told(tmp_path):
    state = tmp_path / "stack"
    try:
        with embedded.attach(state=state) as stack:
            proxy = AgelessProxy("platform", stack.variables)
            addresses = {n: u for n, u in proxy.environment.items() if u != stack.variables.get(n)}
            try:
                missed = on_embedded(tmp_path / "bad", state, addresses, "--checks", CHECK)[CHECK]
            finally:
                proxy.close()
            met = on_embedded(tmp_path / "good", state, {}, "--checks", CHECK)[CHECK]
    finally:
        command = [sys.executable, "-m", "stack.supervisor", "remove", "--state", str(state)]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert met.outcome == "met", met
    assert proxy.answered
    assert missed.outcome == "missed", missed
    assert "GET /api/me takes a token that has ended" in missed.message
