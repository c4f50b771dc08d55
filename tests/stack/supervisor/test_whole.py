"""The embedded target as a whole: every real component together."""

import http.client
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from stack.supervisor.process_guard import descendants
from tests.stack.supervisor.harness import Stack, eventually

COMPONENTS = {"postgres", "supabase", "platform", "vendors", "sentry"}
VARIABLES = """
    PLATFORM_URL VITE_SUPABASE_URL VITE_SUPABASE_ANON_KEY SUPABASE_SERVICE_KEY SUPABASE_DB_URL CLOUDFLARE_ACCOUNT_ID
    CLOUDFLARE_API_TOKEN R2_BUCKET_NAME CLOUDFLARE_API_URL R2_ENDPOINT R2_ACCESS_KEY_ID R2_SECRET_ACCESS_KEY
    KV_NAMESPACE_ID BUILDER_PUBLIC_KEY BUILDER_PRIVATE_KEY BUILDER_WEBHOOK_SECRET BUILDER_API_URL BUILDER_WRITE_URL
    SENTRY_DSN SENTRY_ENVIRONMENT SENTRY_URL SENTRY_AUTH_TOKEN SENTRY_ORG SENTRY_PROJECT DATADOG_CLIENT_TOKEN
    DATADOG_APPLICATION_ID DATADOG_API_KEY DATADOG_APP_KEY DATADOG_API_URL DATADOG_INTAKE_URL GA4_MEASUREMENT_ID
    GA4_API_SECRET GA4_PROPERTY_ID GA4_ACCESS_TOKEN GA4_COLLECT_URL GA4_DATA_URL MIXPANEL_TOKEN MIXPANEL_API_SECRET
    MIXPANEL_PROJECT_ID MIXPANEL_API_URL MIXPANEL_DATA_URL MAILBOX_URL OAUTH_TEST_PROVIDER
"""
SERVICES = {
    "supabase.auth",
    "supabase.database",
    "supabase.storage",
    "r2",
    "kv",
    "rooms",
    "builder",
    "sentry",
    "datadog",
}
SERVICES |= {"ga4", "mixpanel"}


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """One stack for several tests, each of which leaves it whole."""
    found = Stack(tmp_path_factory.mktemp("lasting"))
    yield found, found.held()[1]
    found.close()


@pytest.fixture
def stack(tmp_path):
    found = Stack(tmp_path)
    yield found
    found.close()


def family(stack):
    """Every process below the supervisor, with its command line."""
    found = {}
    for pid in [stack.supervisor(), *descendants(stack.supervisor())]:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        found[pid] = argv
    return found


def alive(pids):
    """Those that still run: one that nobody has asked for its exit code runs no more."""
    found = []
    for pid in pids:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found.append(pid)
    return found


def get(url):
    """The status of one GET, without following anything."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    finally:
        connection.close()


def test_all_of_it_comes_up_answers_and_goes(stack):
    holder, answer = stack.held()
    assert set(answer["variables"]) >= set(VARIABLES.split())
    assert all(answer["variables"].values()), "an empty variable is a missing one"
    assert set(answer["engines"]) >= SERVICES
    assert {engine["kind"] for engine in answer["engines"].values()} == {"engine", "stand-in"}
    _, answered = stack.ask(answer, "GET", "/components")
    assert {c["name"]: c["state"] for c in answered["components"]} == dict.fromkeys(COMPONENTS, "ready")

    variables = answer["variables"]
    assert get(variables["PLATFORM_URL"] + "/api/version") == 200
    assert get(variables["PLATFORM_URL"] + "/") == 200
    assert get(variables["VITE_SUPABASE_URL"] + "/auth/v1/.well-known/jwks.json") == 200
    assert get(variables["MAILBOX_URL"] + "/api/v1/messages") == 200
    with psycopg.connect(variables["SUPABASE_DB_URL"]) as db:
        assert db.execute("select count(*) from public.posts").fetchone() == (0,)

    everything = family(stack)
    for word in ("bin/postgres", "workerd", "gunicorn", "start.mjs", "stack.supabase", "stack.vendors"):
        assert any(word in argv for argv in everything.values()), word
    for argv in everything.values():
        for name, value in variables.items():
            if any(part in name for part in ("KEY", "SECRET", "TOKEN")) and len(value) > 12:
                assert value not in argv, f"{name} stands on a command line"
    for pid in everything:
        assert open_files(pid) >= 4096, "rooms hold thousands of sockets"
    holder.stdin.close()
    assert holder.wait(30) == 0
    assert alive(everything) == []


def open_files(pid):
    """How many files a process may open."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return int(next(line for line in lines if "open files" in line).split()[3])


@pytest.mark.parametrize("whom", ["holder", "supervisor", "everything but the components"])
def test_killed_from_above_nothing_is_left(stack, whom):
    holder, _ = stack.held()
    everything = family(stack)
    match whom:
        case "holder":
            holder.kill()
        case "supervisor":
            os.kill(stack.supervisor(), signal.SIGKILL)
        case _:
            holder.kill()
            for pid in [
                p for p, argv in everything.items() if "serve --state" in argv or "process_guard.py" in argv
            ]:
                os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(everything), f"nothing is left after the {whom} was killed")


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("workerd serve", "platform"),
        ("start.mjs", "platform"),
        ("-m stack.supabase", "supabase"),
        ("-m stack.vendors", "vendors"),
        ("-m stack.sentry", "sentry"),
        ("bin/gunicorn", "sentry"),
        ("-m stack.postgres", "postgres"),
        ("bin/postgres -D", "postgres"),
    ],
)
def test_whichever_process_dies_its_component_is_named(lasting, word, name):
    stack, answer = lasting
    everything = family(stack)
    victim = next(pid for pid, argv in everything.items() if word in argv and "process_guard.py" not in argv)
    leader = next(
        pid for pid, argv in everything.items() if "process_guard.py" in argv and victim in descendants(pid)
    )
    doomed = [leader, *descendants(leader)]
    before = len(stack.events())
    os.kill(victim, signal.SIGKILL)
    began = time.monotonic()
    died = eventually(lambda: stack.events()[before:], "a death is told")
    print(f"{word}: known after {time.monotonic() - began:.2f} s")
    assert [(event["type"], event["component"]) for event in died] == [("component.died", name)]
    assert Path(died[0]["log"]).exists()
    eventually(lambda: not alive(doomed), "nothing of the component is left")
    assert stack.ask(answer, "POST", f"/components/{name}/start")[1]["state"] == "ready", (
        "and it can come back"
    )
