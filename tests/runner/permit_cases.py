"""Real commands, as processes, on a live target of which recorders stand before every address; each with some permits."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from clients.services import catalogue
from core.permit import Action
from core.target import Target, resolve
from tests.runner.recorders import Answering, Recorders, Request, http_answer

ROOT = Path(__file__).parents[2]
LIVE = tuple(action for action in Action if action != Action.OUTAGE)
"""What a live target may permit."""
PLAN = """\
title = "A few checks and loads"
budget = "5m"
checks = {checks}
"""
PROFILE = """
[[profiles]]
name = "{name}"
users = 2
rate = 5
for = "2s"
"""


class Place:
    """A project whose live target is behind `recorders`, with its runs and its history."""

    def __init__(
        self, folder: Path, recorders: Recorders, *, checks: Iterable[str], loads: Iterable[str]
    ) -> None:
        self.folder, self.recorders = folder, recorders
        self.project, self.runs = folder / "project", folder / "runs"
        (self.project / "plans").mkdir(parents=True)
        text = PLAN.format(checks=json.dumps(list(checks)))
        text += "".join(PROFILE.format(name=load) for load in loads)
        for plan in ("few", "nightly"):  # a project's own plan goes before the shipped one
            (self.project / "plans" / f"{plan}.toml").write_text(text)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_"))}
        self.actions: frozenset[Action] = frozenset()
        self.environment = {
            **{k: v for k, v in clean.items() if k not in recorders.variables},
            **recorders.variables,
            "ASSAY_RUNS": str(self.runs),
            "ASSAY_HISTORY": str(folder / "history.sqlite"),
        }

    def permit(self, actions: Iterable[Action | str], hosts: Iterable[str] = ()) -> None:
        """Describes the target: everything of the reference, and these permits."""
        self.actions = frozenset(map(Action, actions))
        text = (ROOT / "target.example.toml").read_text().split("[permit]")[0]
        text += (
            f"\n[permit]\nactions = {json.dumps(sorted(self.actions))}\nhosts = {json.dumps(list(hosts))}\n"
        )
        (self.project / "target.toml").write_text(text)

    def run(self, *words: str, limit: float = 900) -> tuple[int, str, list[Request]]:
        """One command of `assay` on the live target: its exit code, what it said, and what came to the recorders."""
        on_target = [] if words[0] in ("gate", "report") else ["--target", "live"]
        command = [sys.executable, str(ROOT / "cli.py"), "--project", str(self.project), *words, *on_target]
        return self.command(command, limit=limit)

    def locust(self, profile: str, *, limit: float = 900) -> tuple[int, str, list[Request]]:
        """Plain `locust -f` of a shipped profile, in nobody's run."""
        command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadprofiles" / f"{profile}.py")]
        command += ["--headless", "-u", "2", "-r", "10", "-t", "2s", "--only-summary"]
        return self.command(command, limit=limit)

    def command(self, command: list[str], *, limit: float) -> tuple[int, str, list[Request]]:
        """Any command, with the target's variables."""
        self.recorders.forget()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )
        return done.returncode, done.stdout, list(self.recorders.requests())

    def target(self) -> Target:
        """The target as a command resolves it."""
        return resolve("live", catalogue(), environment=self.environment, file=self.project / "target.toml")

    @property
    def port(self) -> int:
        """Of the recorder before the platform."""
        return urlsplit(self.recorders.variables["PLATFORM_URL"]).port or 0

    def newest(self) -> Path:
        """The folder of the last run."""
        return max(path for path in self.runs.iterdir() if (path / "journal").is_dir())


def wrong(requests: Iterable[Request], actions: Iterable[Action]) -> list[str]:
    """Requests that need a permit which is not among these, and those to a name or by a scheme that nobody gave."""
    given = set(actions)
    return [
        f"{r.method} {r.host}{r.path}"
        for r in requests
        if r.actions - given or r.method == "TLS" or r.host.startswith("localhost")
    ]


def strangers_links(variables: Mapping[str, str], stranger: int) -> list[str]:
    """Addresses near to those that the target names: another port, another host, another scheme."""
    own = re.sub(r"^.*://127\.0\.0\.1", "", variables["PLATFORM_URL"].rstrip("/"))
    return [f"http://127.0.0.1:{stranger}", f"http://localhost{own}", f"https://127.0.0.1{own}"]


def leading_to(links: Sequence[str]) -> Answering:
    """Answers that name these addresses in every way that clients and browsers might follow."""
    turn = iter(range(1_000_000))
    parts = "".join(
        f'<img src="{link}/i.png"><script src="{link}/s.js"></script><iframe src="{link}/f"></iframe>'
        f'<link rel="preconnect" href="{link}"><link rel="stylesheet" href="{link}/c.css">'
        f"<script>fetch('{link}/x', {{mode: 'no-cors'}}).catch(() => 0); navigator.sendBeacon('{link}/b', 'x');"
        f"try {{ new WebSocket('{link.replace('http', 'ws')}/w') }} catch {{}}</script>"
        for link in links
        if not link.startswith("https")  # Chromium's rules for hosts know ports and no schemes
    )
    page = http_answer(200, f"<!doctype html><title>x</title>{parts}".encode(), kind="text/html")

    def answer(request: Request) -> bytes:
        number = next(turn)
        link = links[number % len(links)]
        if "text/html" in request.headers and "mozilla" in request.headers:
            return page
        if number % 3 == 0:
            return http_answer(302, b"", f"Location: {link}/elsewhere")
        names = ("url", "signedURL", "action_link", "avatar_url", "location", "endpoint", "link", "next")
        links_named = {name: f"{link}/{name}" for name in names}
        person = {"id": "00000000-0000-4000-8000-000000000001", "email": "a@b.example", "aud": "x"}
        body = links_named | {"user": person, **person, "access_token": "x" * 40, "refresh_token": "y" * 12}
        return http_answer(200, json.dumps(body).encode())

    return answer
