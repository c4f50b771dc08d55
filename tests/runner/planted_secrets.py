"""Secrets of every kind, each in every form in which it might be written, and a project that writes them everywhere."""

from __future__ import annotations

import base64
import html
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from clients.services import catalogue

ODD = {
    "umlauts": "Grüße-aus-Köln-{}",
    "emoji": "🔑schlüssel🔒{}",
    "quotes": 'it\'s "quoted" {}',
    "backslashes": "C:\\temp\\{}\\new",
    "markup": "<b>&amp;{}</b>&",
    "percent": "100%25%{}%zz",
    "slashes": "a/b+c=={}//",
    "cyrillic": "пароль-{}-секрет",
    "blanks": "three  blanks {} and more",
    "brackets": "[/red]{}[link]",
    "dollar": "${{HOME}}`{}`$(x)",
    "commands": "::error::{}%0A::end",
    "korean": "비밀번호-{}",
    "combining": "e\u0301a\u0308-{}-n\u0303",
    "json": '{{"k":"{}"}}',
    "colons": "user:{}:pass@host",
    "long": "long-{}-" + "x9Z" * 60,
    "short": "s{}",
    "tildes": "~{}.-_~",
}
SESSION = (
    "access_token",
    "refresh_token",
    "provider_token",
    "provider_refresh_token",
    "hashed_token",
    "code_verifier",
    "auth_code",
    "client_secret",
    "token_hash",
    "sig",
)
"""What Auth, an OAuth provider and signed links hand out: known to nobody before."""


def planted() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """(secret variables of the target, further ones of its `.env`, what is handed out in the run), by name."""
    variables = {}
    for service in catalogue():
        for variable in service.variables:
            if variable.secret and not variable.url and variable.name != "SENTRY_DSN":
                odd = "" if variable.name.startswith("SUPABASE") else "/+=="
                variables[variable.name] = f"{variable.name[:4].lower()}{secrets.token_urlsafe(12)}{odd}"
    variables["DB_PASSWORD"] = f"p&ß'{secrets.token_hex(6)}"
    env = {f"ODD_{name.upper()}": value.format(secrets.token_hex(4)) for name, value in ODD.items()}
    handed = {name: f"{name[:3]}{secrets.token_hex(10)}" for name in SESSION}
    return variables, env, handed


def forms(value: str) -> Iterator[str]:
    """How a value might be written; made here by hand, apart from what masks them."""
    raw = value.encode()
    yield value
    yield quote(value, safe="")
    yield quote_plus(value)
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)
        yield once[1:-1]
        yield json.dumps(once, ensure_ascii=ascii_only)[3:-3]
    yield html.escape(value)
    yield html.escape(value, quote=False)
    yield raw.hex()
    yield raw.hex().upper()
    yield repr(raw)[2:-1]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode()
        for user in ("u", "us", "use"):
            yield encode(f"{user}:".encode() + raw).decode()


def traces(value: str) -> Iterator[bytes]:
    """What may stand in no file: every form, and of base64 the part that is the value's own at each offset."""
    for form in forms(value):
        if not _is_base64_of(form, value):
            yield form.encode()
            yield form.encode("latin-1", "ignore")
    raw = value.encode()
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            ends = [encode(byte * before + raw + byte * 3).decode() for byte in (b"\0", b"\xff")]
            same = [a if a == b else " " for a, b in zip(*ends, strict=True)]
            yield max("".join(same).split(), key=len).encode()


def _is_base64_of(form: str, value: str) -> bool:
    return any(form == encode(p + value.encode()).decode() for encode in (base64.b64encode, base64.urlsafe_b64encode)
               for p in (b"", b"u:", b"us:", b"use:"))  # fmt: skip


CHECK = """

@check("planted.n{number}", "Tells a secret", requirement="P6.3", service="platform", needs="platform.api")
def test_{number}(run):
    tell(run, {number})
"""
CHECKS = """
import json
import logging
import sys
import warnings
from pathlib import Path

import allure

from core.errors import Missed
from core.passport import check

SPOKEN = json.loads((Path(__file__).parents[1] / "spoken.json").read_text())
HANDED = json.loads((Path(__file__).parents[1] / "handed.json").read_text())


def tell(run, number):
    value, said = SPOKEN[number]
    text = " | ".join(said)
    print("told", text)
    print("told", value.encode(), file=sys.stderr)
    logging.getLogger("planted").error("told %s", text)
    run.attach(f"planted-{number}.txt", text.encode(), media_type="text/plain", check=f"planted.n{number}")
    with allure.step(f"step {value}"):
        allure.attach(text, name=f"attached {value}", attachment_type=allure.attachment_type.TEXT)
    way = number % 8
    if way == 0:
        raise Missed(f"claim {text}", expected=text, saw={value: [text]}, service="platform")
    if way == 1:
        raise RuntimeError(value.encode(), text)
    if way == 2:
        raise ExceptionGroup(f"group {value}", [ValueError(text), KeyError((value, {value: 1}))])
    if way == 3:
        error = ValueError("noted")
        error.add_note(text)
        raise error from OSError(text)
    if way == 4:
        warnings.warn(text)
    if way == 5:
        assert {"k": [text, value]} == {}
    if way == 6:
        raise LookupError(json.dumps(json.dumps({"deep": [text, value]})))
    assert text == value + "x", text


@check("planted.session", "Is handed a session and a link", requirement="P6.3", service="platform", needs="platform.api")
def test_session(run, services):
    sent = {name: HANDED[name] for name in ("auth_code", "code_verifier", "token_hash")}
    services.auth.port.request("POST", "/token", params={"grant_type": "pkce"}, body=sent).demand(200)
    services.platform.call("GET", "/link").demand(200)
    for number, (value, _) in enumerate(SPOKEN):
        if value in HANDED.values():
            try:
                tell(run, number)
            except Exception as error:
                print(repr(error))
    raise RuntimeError(json.dumps(HANDED))
"""
FLOW = """
import json
from pathlib import Path

from core.passport import check

SPOKEN = json.loads((Path(__file__).parents[1] / "spoken.json").read_text())


@check("planted.flow", "A page shows all of them", requirement="P6.3", service="platform", needs="platform.web")
def test_flow(run, flow):
    ada = flow.person("ada")
    ada.page.goto(f"{flow.base}/leak")
    ada.page.wait_for_function("document.title === 'told'")
    flow.step(ada, SPOKEN[0][0])
    ada.page.evaluate("text => { console.error(text); document.body.append(text) }", SPOKEN[1][0])
    raise AssertionError(" ".join(value for value, _ in SPOKEN))
"""
LOAD = """
import json
import logging
from pathlib import Path

from core.load_needs import Needs
from loadengine.api import ClosedUser, Measure
from loadprofiles.users.platform_user import PlatformUser
from locust import task

NEEDS = Needs(uses=("platform.api", "auth.email"), people=1)
SIGNED = json.loads((Path(__file__).parents[1] / "handed.json").read_text())["sig"]  # nobody handed it to the load
SPOKEN = json.loads((Path(__file__).parents[1] / "spoken.json").read_text())
SPOKEN = [[value, said] for value, said in SPOKEN if value != SIGNED]


class Teller(PlatformUser, ClosedUser):
    number = 0

    def on_start(self):
        self.told = self.port(Measure("told"), lambda answer: answer.text)

    @task
    def tell(self):
        value, said = SPOKEN[type(self).number % len(SPOKEN)]
        type(self).number += 1
        text = " | ".join([*said, self.person.password, self.person.token, self.person.refresh_token])
        print("told", text)
        logging.getLogger("planted").error("told %s", text)
        self.told.request("GET", f"{self.adapter.platform}/leak/load")
        raise RuntimeError(text, value.encode())
"""
PLAN = """
title = "Everything that tells"
budget = "5m"
checks = {checks}
[[profiles]]
name = "tellers"
users = 1
for = "3s"
"""
TARGET = """
name = "planted"
env_files = [".env"]
[capabilities]
"platform.api" = "required"
"platform.web" = "required"
"auth.email" = "required"
[permit]
actions = ["read", "write", "admin", "load"]
"""


def project(
    folder: Path, spoken: Mapping[str, str], env: Mapping[str, str], handed: Mapping[str, str]
) -> None:
    """Writes the project: `spoken` are told by checks, flow and load; `env` stands in its `.env`."""
    own = [name for name in spoken if name not in handed]
    checks = ["planted.session", "planted.flow", *(f"planted.n{number}" for number in range(len(own)))]
    files = {
        "target.toml": TARGET,
        "plans/planted.toml": PLAN.replace("{checks}", json.dumps(checks)),
        ".env": "".join(f"{name}={value}\n" for name, value in env.items()),
        "spoken.json": json.dumps([[value, list(forms(value))] for value in spoken.values()]),
        "handed.json": json.dumps(dict(handed)),
        "checks/test_planted.py": CHECKS + "".join(CHECK.format(number=n) for n in range(len(own))),
        "flows/test_planted_flow.py": FLOW,
        "loads/tellers.py": LOAD,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
