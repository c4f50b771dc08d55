"""Replays a recorded session of the Auth server against a gateway, and tells where the answers differ."""

from __future__ import annotations

import html
import json
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import httpx
import jwt
import pyotp

from tests.stack.supabase import engine

Json = dict[str, Any]
TOKEN = r"(?:pkce_)?[0-9a-f]{56}"
# What stands for a placeholder of the recording (recorded/README.md).
PATTERNS = {
    "uuid": r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z",
    "epoch": r"\d{10}",
    "jwt": r"eyJ[\w-]+\.[\w-]+\.[\w-]+",
    "opaque": r".{6,}",
    "hash": r"[\w-]{15,64}",
    "token": TOKEN,
    "token_hash": TOKEN,
    "host": r"[^/]+",
    "detail": r".+",
} | dict.fromkeys(("count", "last", "s"), r"\d+")


class Replay:
    """One recorded session, played against ``gateway``: ``differences`` yields what was answered otherwise."""

    def __init__(self, gateway: engine.Gateway, site: str) -> None:
        self._gateway, self._site = gateway, site
        self._base = f"{gateway.url}/auth/v1"
        self._keys = {"anon": gateway.keys.anon_key, "service": gateway.keys.service_role_key}
        self._known = {"n": f"{secrets.randbelow(10**10):010d}", "site": site}
        self._patterns = PATTERNS | {
            "n": self._known["n"], "base": re.escape(self._base), "base, encoded": re.escape(quote(self._base, "")),
            "site": re.escape(site), "site, encoded": re.escape(quote(site, "")),
        }  # fmt: skip
        self._accepted: dict[str, int] = {}

    def differences(self, entries: list[Json]) -> Iterator[tuple[str, list[str]]]:
        """The name of each entry with what differs, nothing for one that is answered as recorded."""
        with httpx.Client(timeout=30, follow_redirects=False) as http:
            for entry in entries:
                time.sleep(entry.get("after_seconds", 0))
                found = self._mail(http, entry) if "mail" in entry else self._exchange(http, entry)
                yield entry["name"], found

    def _mail(self, http: httpx.Client, entry: Json) -> list[str]:
        wanted = entry["mail"]
        query = {"query": f'to:"{self._filled(wanted["to"])}"', "limit": "1"}
        listed = http.get(f"{self._gateway.mail_url}/api/v1/search", params=query).json()["messages"]
        if not listed:
            return ["no mail arrived"]
        mail = http.get(f"{self._gateway.mail_url}/api/v1/message/{listed[0]['ID']}").json()
        links = re.findall(r'href="([^"]*)"', mail["HTML"])
        link = html.unescape(links[0]) if links else ""
        code = re.search(r"enter the code: (\d+)", mail["Text"])
        parameters = dict(parse_qsl(urlsplit(link).query))
        got = {
            "to": mail["To"][0]["Address"], "subject": mail["Subject"], "link": link, "has_code": code is not None,
            "link_parameters": sorted(parameters),
        }  # fmt: skip
        held = {"token": parameters.get("token", ""), "code": code[1] if code else ""}
        self._known |= {name: held[what] for name, what in entry.get("capture", {}).items()}
        return self._unlike({**wanted, "to": self._filled(wanted["to"])}, got, "mail")

    def _exchange(self, http: httpx.Client, entry: Json) -> list[str]:
        wanted, limit = entry["answer"], entry.get("accepted_before")
        response = self._send(http, entry["request"])
        while limit is not None and response.status_code != 429 and self._count(entry) < 2 * limit + 2:
            response = self._send(http, entry["request"])
        found = self._unlike(wanted["status"], response.status_code, "status")
        for name, value in wanted["headers"].items():
            found += self._unlike(value, response.headers.get(name), name)
        if "x-supabase-api-version" not in wanted["headers"] and "x-supabase-api-version" in response.headers:
            found.append("x-supabase-api-version: sent, not recorded")
        if "json" in wanted or "text" in wanted:
            try:
                got = response.json() if "json" in wanted else response.text
            except ValueError:
                got = response.text
            found += self._unlike(wanted.get("json", wanted.get("text")), got, "body")
            if "access_token" in wanted and isinstance(got, dict) and "access_token" in got:
                opened = wanted["access_token"]
                opened = {**opened, "claims": _ordered(opened["claims"])}
                found += self._unlike(opened, _opened(got["access_token"]), "token")
        if limit is not None and self._count(entry) != limit:
            found.append(f"accepted before: {limit} recorded, {self._count(entry)} here")
        self._capture(entry.get("capture", {}), response)
        return found

    def _send(self, http: httpx.Client, request: Json) -> httpx.Response:
        bearer = request["bearer"]
        token = self._keys.get(bearer) or self._known.get(bearer, bearer)
        headers = {"apikey": self._keys[request["key"]], **request.get("headers", {})}
        headers |= {} if bearer == "none" else {"authorization": f"Bearer {token}"}
        headers |= {"x-supabase-api-version": "2024-01-01"} if request["version_header"] else {}
        sent: Json = {}
        if "json" in request or "text" in request:
            text = json.dumps(request["json"], ensure_ascii=False) if "json" in request else request["text"]
            sent, headers["content-type"] = {"content": self._filled(text).encode()}, "application/json"
        url = self._base + self._filled(request["path"])
        response = http.request(request["method"], url, headers=headers, **sent)
        if response.status_code != 429:
            self._accepted[url] = self._accepted.get(url, 0) + 1
        return response

    def _count(self, entry: Json) -> int:
        return self._accepted.get(self._base + self._filled(entry["request"]["path"]), 0)

    def _filled(self, text: str) -> str:
        if "{mcode}" in text:
            text = text.replace("{mcode}", pyotp.TOTP(self._known["mk"]).now())
        return re.sub(r"\{(\w+)\}", lambda m: self._known.get(m[1], m[0]), text)

    def _capture(self, wanted: dict[str, str], response: httpx.Response) -> None:
        for name, where in wanted.items():
            kind, _, what = where.partition(" ")
            if kind == "location":
                parts = urlsplit(response.headers.get("location", ""))
                value: Any = parse_qs(parts.query or parts.fragment).get(what, [""])[0]
            else:
                value = response.json() if response.content else {}
                for step in what.strip("/").split("/"):
                    value = _step(value, step)
            self._known[name] = str(value)

    def _unlike(self, wanted: Any, got: Any, where: str) -> list[str]:
        """Where ``got`` is not what the recording says, as sentences; its placeholders match what they stand for."""
        if isinstance(wanted, dict) and isinstance(got, dict):
            found = [f"{where}/{k}: not sent, recorded {wanted[k]!r}" for k in wanted if k not in got]
            found += [f"{where}/{k}: sent {got[k]!r}, not recorded" for k in got if k not in wanted]
            return found + [
                x for k in wanted if k in got for x in self._unlike(wanted[k], got[k], f"{where}/{k}")
            ]
        if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
            pairs = enumerate(zip(wanted, got, strict=True))
            return [x for n, (w, g) in pairs for x in self._unlike(w, g, f"{where}/{n}")]
        if wanted == "<epoch>":
            return [] if type(got) is int else [f"{where}: {got!r} is no moment"]
        if isinstance(wanted, str) and isinstance(got, str):
            if re.fullmatch(self._pattern(wanted), got, re.S):
                return []
        elif type(wanted) is type(got) and wanted == got:
            return []
        return [f"{where}: recorded {wanted!r}, here {got!r}"]

    def _pattern(self, text: str) -> str:
        pieces = re.split(r"<([a-z_, ]+)>", self._filled(text))
        names = {f"<{name}>" for name in pieces[1::2]} - {f"<{name}>" for name in self._patterns}
        assert not names, f"placeholders without a meaning: {names}"
        return "".join(self._patterns[p] if n % 2 else re.escape(p) for n, p in enumerate(pieces))


def _step(value: Any, step: str) -> Any:
    if isinstance(value, list):
        return value[int(step)] if int(step) < len(value) else ""
    return value.get(step, "") if isinstance(value, dict) else ""


def _opened(token: str) -> Json:
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    return {"header": sorted(header), "alg": header["alg"], "claims": _ordered(claims)}


def _ordered(claims: Json) -> Json:
    """With the ways of signing in by name: the newest is first only if it is a second younger."""
    return {**claims, "amr": sorted(claims["amr"], key=lambda entry: str(entry["method"]))}
