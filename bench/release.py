"""Three versions on their way through staging to production, on two embedded targets, by the real release script.

    python -m bench.release

`one` is good. `two` has a fault everywhere: staging's gate must close on it, and production never answer it. `three` fails
in production alone: production's gate must close on it, and `one` be answered again. Each environment is an embedded target
of its own that the gate judges as a live one, with `--release`; deploying is changing the platform's sources, building them
and starting the platform again; the sources of the faults are those of the drill's catalogue. Prints what each release said,
what the webhook was told and how long production answered what; exits 1 where it is not as it must be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import groupby
from pathlib import Path
from typing import Any

from core.run import ROOT
from runner.drill.stage import Stage

PLACES = ("staging", "production")
CHECKS = (
    "storage.ranges_and_conditions",
    "security.private_routes",
    "reality.health",
    "database.profile_and_post",
)
EVERYWHERE = ROOT / "defects" / "P2.1" / "range-end-exclusive.toml"
THERE_ALONE = ROOT / "defects" / "D10" / "health-of-old-version.toml"


def changes(version: str) -> list[tuple[str, str, str]]:
    """Of a version's sources: file below stack/, text, and what stands there instead."""
    if version == "one":
        return []
    (plant,) = tomllib.loads((EVERYWHERE if version == "two" else THERE_ALONE).read_text())["plant"]
    replace = plant["replace"]
    if version == "three":  # the fault of the catalogue, behind the question where it runs
        good, bad = (text.removeprefix("version: ") for text in (plant["find"], replace))
        replace = f'version: call.env.SENTRY_ENVIRONMENT === "production" ? {bad} : {good}'
    return [(plant["source"], plant["find"], replace)]


class Place:
    """One environment: an embedded target of its own, to which versions are deployed."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        os.environ["ASSAY_STATE"] = str(folder / name)
        self.stage = Stage()
        del os.environ["ASSAY_STATE"]
        self.stage.configure("variables.SENTRY_ENVIRONMENT", name)
        self._sources = {
            file: self.stage.source(file).read_text() for v in ("two", "three") for file, _, _ in changes(v)
        }
        self.deploy("one")

    @property
    def url(self) -> str:
        """Where the platform answers."""
        return self.stage.stack.variables["PLATFORM_URL"]

    def deploy(self, version: str) -> None:
        """Changes the sources, builds and starts the platform again. Raises BrokenError."""
        for file, text in self._sources.items():
            self.stage.source(file).write_text(text)
        for file, find, replace in changes(version):
            text = self._sources[file]
            assert text.count(find) == 1, f"{file} has changed: {find}"
            self.stage.source(file).write_text(text.replace(find, replace))
        self.stage.configure("options.version", version)
        self.stage.restart("platform")

    def release(self, version: str, project: Path, hub: str, folder: Path) -> int:
        """`deploy/release/release.py` as a job runs it; its exit code."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ASSAY_")}
        job = {
            "RELEASE_NAME": self.name,
            "RELEASE_VERSION": version,
            "RELEASE_ASK": f"{self.url}/api/version",
            "RELEASE_DEPLOY": f"curl -fsS -X POST {hub}/{self.name}/$RELEASE_VERSION",
            "RELEASE_BACK": f"curl -fsS -X POST {hub}/{self.name}/$RELEASE_PREVIOUS",
            "RELEASE_GATE": f"GATE_EXPECT_VERSION=$RELEASE_VERSION {ROOT}/deploy/ci/gate",
            "RELEASE_STATE": str(folder / f"{self.name}.json"),
            "GATE_LIVE": "true",
            "GATE_PROJECT": str(project),
            "GATE_PLAN": "release",
            "ASSAY_WEBHOOK": f"{hub}/chat",
            "ASSAY_HISTORY": str(folder / "history.sqlite"),
        }
        variables = self.stage.stack.variables | {"SENTRY_ENVIRONMENT": self.name}
        command = [sys.executable, str(ROOT / "deploy" / "release" / "release.py")]
        return subprocess.run(command, cwd=folder, env=clean | variables | job, check=False).returncode


@contextmanager
def hub(places: dict[str, Place], chat: list[dict[str, Any]]) -> Iterator[str]:
    """What deploys (POST /place/version), and the chat that is told (POST /chat); its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Deploys, or listens."""
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            _, place, *version = self.path.split("/")
            if place == "chat":
                posted = json.loads(body)
                if "release" in posted:  # the gate tells of its run, too
                    chat.append(posted["release"])
            else:
                places[place].deploy(version[0])
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def witness(url: str, seen: list[tuple[float, str]], ended: threading.Event) -> None:
    """Asks five times a second which version is answered."""
    while not ended.wait(0.2):
        version = "-"
        with suppress(OSError, ValueError), urllib.request.urlopen(f"{url}/api/version", timeout=5) as answer:
            version = json.loads(answer.read())["version"]
        seen.append((time.monotonic(), version))


def main() -> int:
    """All three versions; 0 where each ended as it must."""
    chat: list[dict[str, Any]] = []
    places: dict[str, Place] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-release-")))
        project = folder / "assay"
        (project / "plans").mkdir(parents=True)
        (project / "target.toml").write_text(
            'extends = "reference"\n[permit]\nactions = ["read", "write", "admin"]\n'
        )
        checks = ", ".join(f'"{check}"' for check in CHECKS)
        (project / "plans" / "release.toml").write_text(
            f'title = "What a release must show"\nbudget = "3m"\nchecks = [{checks}]\n'
        )
        for name in PLACES:
            places[name] = Place(name, folder)
            stack.callback(places[name].stage.close)
        address = stack.enter_context(hub(places, chat))
        seen: list[tuple[float, str]] = []
        ended = threading.Event()
        asking = threading.Thread(target=witness, args=(places["production"].url, seen, ended))
        asking.start()
        stack.callback(asking.join)
        stack.callback(ended.set)
        codes: dict[tuple[str, str], int] = {}
        begun = time.monotonic()
        for version in ("two", "three"):
            for name in PLACES:
                codes[version, name] = places[name].release(version, project, address, folder)
                if codes[version, name]:
                    break  # `needs: staging`
        ended.set()
        asking.join()
    rows = [(version, [at for at, _ in group]) for version, group in groupby(seen, lambda one: one[1])]
    print(
        "production answered:",
        ", ".join(f"{v} {ats[0] - begun:.0f}-{ats[-1] - begun:.0f} s" for v, ats in rows),
    )
    print(json.dumps(chat, indent=2))
    wanted = {("two", "staging"): 1, ("three", "staging"): 0, ("three", "production"): 1}
    right = (
        codes == wanted
        and [one["event"] for one in chat] == ["rolled back", "released", "rolled back"]
        and "two" not in {version for version, _ in rows}
        and rows[-1][0] == "one"
    )
    print("as it must be" if right else f"NOT as it must be: {codes}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
