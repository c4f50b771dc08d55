"""Tells what the newest run found, as the last step of a CI job: on the pull request, and in a chat.

    python3 deploy/ci/tell.py RUNS

`comment.md` becomes the one comment of ours on the pull request: where it is there already it is changed, so that a
pull request has one however often it is judged (GitHub's REST API, "Working with comments": issues/{number}/comments).
`slack.txt` is posted to an incoming webhook (Slack, "Sending messages using incoming webhooks"). Each is told where its
settings are; what goes wrong is a warning, and the job's verdict stays as it is. Standard library only.

    TELL_TOKEN          may write comments: the job's own token with `permissions: {pull-requests: write}`
    TELL_PULL_REQUEST   the number of the pull request
    TELL_SLACK          the webhook's address, a secret
    GITHUB_REPOSITORY, GITHUB_API_URL   as GitHub sets them
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

PAGE = 100
"""Comments of one answer, the most that GitHub gives."""
TIMEOUT = 20.0


def ask(method: str, url: str, body: object = None, token: str = "") -> str:
    """One request with JSON; the answer's text. Raises OSError."""
    headers = {"Content-Type": "application/json", "User-Agent": "assay"}
    if token:
        headers |= {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 (the job's own settings)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
        text: str = answer.read().decode("utf-8", "replace")
        return text


def comment(text: str) -> str:
    """Puts the comment on the pull request: changes ours, else adds it. Returns what was done."""
    api = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    issues = f"{api}/repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    number, token = os.environ["TELL_PULL_REQUEST"], os.environ["TELL_TOKEN"]
    marker, page = text.splitlines()[0], 1
    while True:
        listed = json.loads(
            ask("GET", f"{issues}/{number}/comments?per_page={PAGE}&page={page}", token=token)
        )
        for one in listed:
            # somebody's own comment that begins as ours is left to them
            if one["body"].startswith(marker) and one["user"]["type"] == "Bot":
                ask("PATCH", f"{issues}/comments/{one['id']}", {"body": text}, token)
                return "the comment on the pull request is changed"
        if len(listed) < PAGE:
            break
        page += 1
    ask("POST", f"{issues}/{number}/comments", {"body": text}, token)
    return "a comment is on the pull request"


def slack(text: str) -> str:
    """Posts the text to the chat. Returns what was done."""
    ask("POST", os.environ["TELL_SLACK"], {"text": text})
    return "the chat is told"


SENT: tuple[tuple[str, tuple[str, ...], Callable[[str], str]], ...] = (
    ("comment.md", ("TELL_TOKEN", "TELL_PULL_REQUEST", "GITHUB_REPOSITORY"), comment),
    ("slack.txt", ("TELL_SLACK",), slack),
)


def main(runs: Path) -> int:
    """Tells each that has its settings; always 0."""
    for name, needs, tell in SENT:
        if not all(os.environ.get(need) for need in needs):
            continue
        found = sorted(runs.glob(f"*/{name}"))
        if not found:
            print(f"::warning title=Assay::no run left a {name} to tell of")
            continue
        try:
            print(f"Assay: {tell(found[-1].read_text(encoding='utf-8'))}")
        except urllib.error.HTTPError as error:
            print(f"::warning title=Assay::{name} could not be told: status {error.code}")
        except (OSError, ValueError, LookupError, TypeError) as error:
            print(f"::warning title=Assay::{name} could not be told: {type(error).__name__}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
