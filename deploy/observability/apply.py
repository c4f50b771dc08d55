"""Dashboard and monitors at DataDog and alert rules at Sentry, as these files say.

    python3 deploy/observability/apply.py diff     what differs there; exit code 1 where something does
    python3 deploy/observability/apply.py apply    makes it so, and reads it back; as often as you like

Each is known by its name. What the vendors add of their own differs from nothing, and nothing of somebody else's is
touched or deleted. Variables: DATADOG_API_KEY, DATADOG_APP_KEY, DATADOG_API_URL, DATADOG_APPLICATION_ID; SENTRY_AUTH_TOKEN
(with `alerts:write`), SENTRY_ORG, SENTRY_PROJECT, SENTRY_URL; SENTRY_ENVIRONMENT (production); ALERTS_TO, whom DataDog
notifies, e.g. @slack-oncall. A vendor without its keys is left out, and that is said. Exit codes: 0 all is as it must be; 1
something differs; 2 nothing is configured; 3 a vendor refused or did not answer. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TIMEOUT = 30.0
SAME, DIFFERS, USAGE, REFUSED = 0, 1, 2, 3


@dataclass(frozen=True)
class Kind:
    """One kind of thing at one vendor: where it is listed, and by which word it is known."""

    name: str
    vendor: str
    needs: tuple[str, ...]
    wanted: Path
    api: str
    """Lists and creates; one of them is at api/id."""
    known_by: str
    headers: Mapping[str, str] = field(repr=False)
    end: str = ""
    """What the vendor's paths end in."""
    one_by_one: bool = False
    """Whether the list tells names alone."""

    def ask(self, method: str, at: str = "", body: object = None) -> Any:
        """One request; the answer's JSON. Raises OSError, ValueError."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "assay", **self.headers}
        request = urllib.request.Request(self.api + at + self.end, data, headers, method=method)  # noqa: S310 (the user's)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            return json.loads(answer.read())

    def there(self) -> dict[str, dict[str, Any]]:
        """What is there, by name."""
        listed = self.ask("GET")
        listed = listed if isinstance(listed, list) else listed["dashboards"]
        mine = {one[self.known_by] for one in self.wished()}
        found = {one[self.known_by]: one for one in listed if one[self.known_by] in mine}
        return {
            name: self.ask("GET", f"/{one['id']}") if self.one_by_one else one for name, one in found.items()
        }

    def wished(self) -> list[dict[str, Any]]:
        """What must be there, with this environment's names."""
        text = self.wanted.read_text(encoding="utf-8")
        names = {
            "%APPLICATION%": os.environ.get("DATADOG_APPLICATION_ID", ""),
            "%ENVIRONMENT%": os.environ.get("SENTRY_ENVIRONMENT") or "production",
            "%NOTIFY%": os.environ.get("ALERTS_TO", ""),
        }
        for name, value in names.items():
            text = text.replace(name, json.dumps(value)[1:-1])
        found = json.loads(text)
        return found if isinstance(found, list) else [found]

    def put(self, wished: dict[str, Any], there: dict[str, Any] | None) -> None:
        """Makes it, or brings it back to what it must be."""
        if there is None:
            self.ask("POST", "", wished)
        else:
            self.ask("PUT", f"/{there['id']}", wished)


def kinds() -> list[Kind]:
    """All of them, with the environment's keys."""
    env = os.environ.get
    datadog = {"DD-API-KEY": env("DATADOG_API_KEY", ""), "DD-APPLICATION-KEY": env("DATADOG_APP_KEY", "")}
    dd = (env("DATADOG_API_URL") or "https://api.datadoghq.com") + "/api/v1"
    keys = ("DATADOG_API_KEY", "DATADOG_APP_KEY", "DATADOG_APPLICATION_ID")
    sentry = env("SENTRY_URL") or "https://sentry.io"
    where = "/".join(urllib.parse.quote(env(name, ""), safe="") for name in ("SENTRY_ORG", "SENTRY_PROJECT"))
    token = {"Authorization": f"Bearer {env('SENTRY_AUTH_TOKEN', '')}"}
    board = HERE.parents[1] / "stack" / "platform" / "dashboard.json"
    return [
        Kind("dashboard", "DataDog", keys, board, f"{dd}/dashboard", "title", datadog, one_by_one=True),
        Kind("monitor", "DataDog", keys, HERE / "datadog.json", f"{dd}/monitor", "name", datadog),
        Kind(
            "alert rule", "Sentry", ("SENTRY_AUTH_TOKEN", "SENTRY_ORG", "SENTRY_PROJECT"), HERE / "sentry.json",
            f"{sentry}/api/0/projects/{where}/rules", "name", token, end="/",
        ),
    ]  # fmt: skip


def differences(wished: Any, there: Any, at: str = "") -> Iterator[str]:
    """Where something is not as wished; what is there besides is nobody's business."""
    if isinstance(wished, dict) and isinstance(there, dict):
        for key, value in wished.items():
            yield from differences(value, there.get(key), f"{at}.{key}" if at else key)
    elif isinstance(wished, list) and isinstance(there, list) and len(wished) == len(there):
        for number, (one, other) in enumerate(zip(wished, there, strict=True)):
            yield from differences(one, other, f"{at}[{number}]")
    elif wished != there:
        yield f"{at}: {json.dumps(there)} there, {json.dumps(wished)} here"


def compare(kind: Kind, change: Callable[[dict[str, Any], dict[str, Any] | None], None] | None) -> list[str]:
    """What differs of a kind; with `change`, each of it is changed first."""
    there, found = kind.there(), []
    for wished in kind.wished():
        name = wished[kind.known_by]
        lines = list(differences(wished, there[name])) if name in there else ["is not there"]
        found += [f"{kind.vendor} {kind.name} '{name}': {line}" for line in lines]
        if lines and change:
            change(wished, there.get(name))
    return found


def main(words: list[str]) -> int:
    """Compares or applies; returns the exit code."""
    if words not in (["diff"], ["apply"]):
        print(__doc__, file=sys.stderr)
        return USAGE
    code, asked = SAME, 0
    for kind in kinds():
        if missing := [name for name in kind.needs if not os.environ.get(name)]:
            print(f"{kind.vendor} {kind.name}s are left out: {', '.join(missing)} not set")
            continue
        asked += 1
        try:
            changed = compare(kind, kind.put if words == ["apply"] else None)
            left = compare(kind, None) if words == ["apply"] and changed else changed
        except urllib.error.HTTPError as error:
            print(
                f"{kind.vendor} refused: status {error.code}: {error.read()[:300].decode(errors='replace')}"
            )
            return REFUSED
        except (OSError, ValueError, LookupError, TypeError) as error:
            print(f"{kind.vendor} did not answer as it must: {type(error).__name__}")
            return REFUSED
        print("\n".join(changed) or f"{kind.vendor}: every {kind.name} is as it must be")
        if words == ["apply"] and changed:
            print(
                "\n".join(f"did not take: {line}" for line in left)
                or f"{kind.vendor}: changed, and read back"
            )
        code = max(code, DIFFERS if left else SAME)
    return code if asked else USAGE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
