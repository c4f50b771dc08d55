"""Brings one version to one environment, proves it there, and takes it back where it is not proved.

    python3 deploy/release/release.py          deploy, verify, gate; back to the version before where one of them fails
    python3 deploy/release/release.py settle   the job's last step: back, if the first was killed in between

What it does is named by variables, each of them a shell line, so that any platform can use it:

    RELEASE_NAME      the environment, as it is told: staging, production
    RELEASE_VERSION   the version to bring, as the platform answers it
    RELEASE_ASK       the address that answers it, e.g. https://app.example.com/api/version
    RELEASE_FIELD     where in its JSON ("version")
    RELEASE_DEPLOY    deploys RELEASE_VERSION
    RELEASE_GATE      judges what is deployed; exit code 0 opens
    RELEASE_BACK      deploys RELEASE_PREVIOUS again, the version that was answered before
    RELEASE_FIRST     "true": nothing is deployed yet, so that there is nothing to go back to
    RELEASE_PATIENCE  seconds in which a deployed version must be answered (120)
    RELEASE_PAUSE     seconds between two questions (1)
    RELEASE_STATE     the file that outlives a kill (release.json)
    ASSAY_WEBHOOK     is told how it ended (Slack-compatible), if set

Only a version of ours is taken back: where another is answered meanwhile, somebody else deployed, and is left alone.
Exit codes: 0 it stands and is proved; 1 it was not, and the version before is answered again; 2 a variable is missing;
3 a person must look: what is not proved may still be there. Standard library only, 3.11.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

NEEDED = ("RELEASE_NAME", "RELEASE_ASK", "RELEASE_BACK", "RELEASE_VERSION", "RELEASE_DEPLOY", "RELEASE_GATE")
STANDS, BACK, USAGE, STUCK = 0, 1, 2, 3
IN_A_ROW = 3
"""So many answers of the version in a row: an edge of many places changes over one by one."""
ENDING = 30.0
"""Seconds that an interrupted line has to end."""
TIMEOUT = 10.0


class NotProved(Exception):
    """The version is not proved; the words say why."""


@dataclass(frozen=True)
class Release:
    """One version on its way to one environment."""

    name: str
    version: str
    previous: str
    """What was answered before; empty where nothing was."""

    def run(self, step: str) -> int:
        """Runs the shell line of a step (RELEASE_…), which sees both versions; its exit code."""
        say(f"{self.name}: {step.removeprefix('RELEASE_').lower()}")
        about = {"RELEASE_VERSION": self.version, "RELEASE_PREVIOUS": self.previous}
        command = ["bash", "-eo", "pipefail", "-c", os.environ[step]]
        line = subprocess.Popen(command, env=os.environ | about, process_group=0)
        try:
            return line.wait()
        except (
            NotProved
        ):  # interrupted: all that the line started ends first, so that nothing deploys behind our back
            os.killpg(line.pid, signal.SIGTERM)
            try:
                line.wait(ENDING)
            except subprocess.TimeoutExpired:
                os.killpg(line.pid, signal.SIGKILL)
            raise

    def prove(self) -> None:
        """Deploys, waits for the version, lets the gate judge, and demands the version again. Raises NotProved."""
        if code := self.run("RELEASE_DEPLOY"):
            raise NotProved(f"the deployment ended with exit code {code}")
        if not answers(self.version):
            raise NotProved(f"{answered() or 'nothing'} is answered, not {self.version}")
        if code := self.run("RELEASE_GATE"):
            raise NotProved(f"the gate is closed (exit code {code})")
        if (now := answered()) != self.version:
            raise NotProved(f"after the gate {now or 'nothing'} is answered, not {self.version}")

    def back(self, why: str) -> int:
        """Brings the version before back, and tells how that went."""
        now = answered()
        if now not in ("", self.version, self.previous):
            return self.end("stopped", f"{why}; {now} is answered, which somebody else deployed", STUCK)
        if not self.previous:
            return self.end("stuck", f"{why}; there is no version before to go back to", STUCK)
        code = self.run("RELEASE_BACK")
        if code or not answers(self.previous):
            said = f"exit code {code}" if code else f"{answered() or 'nothing'} is answered"
            return self.end("stuck", f"{why}; going back to {self.previous} failed, too: {said}", STUCK)
        return self.end("rolled back", f"{self.version} is taken back: {why}; {self.previous} stands", BACK)

    def end(self, event: str, words: str, code: int) -> int:
        """Ends the release, says how, and returns the exit code."""
        state().unlink(missing_ok=True)
        say(f"{self.name}: {words}")
        tell(
            {
                "text": f"*{event}* {self.name}: {words}",
                "release": {"event": event, "environment": self.name, "version": self.version,
                            "previous": self.previous, "exit": code},
            }
        )  # fmt: skip
        return code


def say(words: str) -> None:
    """One line of the job's log."""
    print(f"release: {words}", flush=True)


def state() -> Path:
    """Where a release under way stands."""
    return Path(os.environ.get("RELEASE_STATE") or "release.json")


def answered() -> str:
    """The version that the environment answers now; empty where none is."""
    headers = {"User-Agent": "assay", "Cache-Control": "no-cache"}
    request = urllib.request.Request(os.environ["RELEASE_ASK"], headers=headers)  # noqa: S310 (the job's own)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            body = json.loads(answer.read())
        for key in (os.environ.get("RELEASE_FIELD") or "version").split("."):
            body = body[key]
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return str(body or "")


def before() -> str:
    """The version to which to go back; one lost answer does not make a release the first one."""
    for _ in range(5):
        if now := answered():
            return now
        time.sleep(float(os.environ.get("RELEASE_PAUSE") or 1))
    return ""


def answers(version: str) -> bool:
    """Whether the environment comes to answer this version, steadily."""
    until = time.monotonic() + float(os.environ.get("RELEASE_PATIENCE") or 120)
    row = 0
    while row < IN_A_ROW:
        row = row + 1 if answered() == version else 0
        if time.monotonic() > until:
            return False
        time.sleep(float(os.environ.get("RELEASE_PAUSE") or 1))
    return True


def tell(body: dict[str, object]) -> None:
    """Posts to the webhook, three times at most; what it does not take is said, and changes no exit code."""
    address = os.environ.get("ASSAY_WEBHOOK")
    for pause in (1.0, 3.0, 0.0) if address else ():
        try:
            headers = {"Content-Type": "application/json", "User-Agent": "assay"}
            request = urllib.request.Request(str(address), json.dumps(body).encode(), headers)  # noqa: S310
            with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            why = f"status {error.code}"
        except (OSError, ValueError) as error:
            why = type(error).__name__
        time.sleep(pause)
    if address:
        say(f"the webhook did not take it: {why}")


def interrupted(number: int, frame: FrameType | None) -> None:
    """A cancelled job: what is not proved goes back."""
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)  # going back is not interrupted
    raise NotProved(f"interrupted ({signal.Signals(number).name})")


def settle() -> int:
    """Takes back what a killed step left. 0 where nothing was."""
    if not state().exists():
        return STANDS
    return Release(**json.loads(state().read_text())).back("the job was killed")


def main(words: list[str]) -> int:
    """One release, or `settle`; returns the exit code."""
    needed = NEEDED[:3] if words == ["settle"] else NEEDED
    missing = [name for name in needed if not os.environ.get(name)]
    if missing or words not in ([], ["settle"]):
        print(f"release: not set: {', '.join(missing)}" if missing else __doc__, file=sys.stderr)
        return USAGE
    if words or state().exists():  # what an earlier one left goes first
        code = settle()
        if words or code == STUCK:
            return code
    name, version, previous = os.environ["RELEASE_NAME"], os.environ["RELEASE_VERSION"], before()
    if not previous and os.environ.get("RELEASE_FIRST") != "true":
        say(
            f"{name}: no version is answered, to which to go back; for a first release set RELEASE_FIRST=true"
        )
        return USAGE
    if previous == version:
        say(f"{name}: {version} is there already, and is judged again")
    release = Release(name, version, "" if previous == version else previous)
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, interrupted)
    try:
        state().write_text(json.dumps(vars(release)))
        release.prove()
    except (NotProved, OSError) as why:
        return release.back(str(why))
    return release.end("released", f"{release.version} stands, proved by the gate", STANDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
