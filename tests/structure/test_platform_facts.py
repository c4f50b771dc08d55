"""What Assay's own rooms still know of the reference platform: counted by file, and never more than stands here.

A platform's facts are data in its project (`stack/platform/assay/target.toml`). What is left in these rooms is to be moved
behind the adapter and the description; whoever moves some lowers the number, and nobody raises one.
"""

import ast
import functools
import re

from core.description import read_description
from core.description.base import Route, Section
from core.project import REFERENCE
from tests.structure.tree import modules, room

ROOMS = {"suites", "scenarios", "loadprofiles", "clients", "runner", "reports", "fixtures"}
OF_NO_PLATFORM = {"reports", "runner"}
"""Rooms in which a table's bare name is a word of Assay's own, such as a column of a report."""
LEFT: dict[str, int] = {
    "loadprofiles/mixed.py": 1,
    "loadprofiles/oracles/posts.py": 3,
    "loadprofiles/setup/leftovers.py": 6,
    "loadprofiles/setup/material.py": 6,
    "loadprofiles/upload.py": 2,
    "loadprofiles/uptime.py": 4,
    "loadprofiles/users/file_round_trip.py": 1,
    "scenarios/api/database.py": 2,
    "scenarios/browser/facts.py": 2,
    "scenarios/browser/pages/__init__.py": 3,
    "scenarios/browser/pages/accounts.py": 5,
    "scenarios/browser/pages/content.py": 3,
    "scenarios/browser/pages/files.py": 2,
    "scenarios/browser/test_accounts.py": 1,
    "scenarios/browser/test_collaboration.py": 1,
    "scenarios/browser/test_errors.py": 1,
    "scenarios/browser/test_everyday.py": 4,
    "scenarios/browser/test_files.py": 2,
    "scenarios/browser/test_leaving.py": 1,
    "scenarios/browser/test_privacy.py": 11,
    "scenarios/browser/test_ways.py": 3,
    "scenarios/browser/test_withdrawal.py": 3,
    "suites/auth/test_identities.py": 2,
    "suites/auth/test_limits.py": 1,
    "suites/cache/test_freshness.py": 3,
    "suites/content/pages.py": 1,
    "suites/content/test_webhook.py": 1,
    "suites/telemetry/arrival.py": 2,
    "suites/telemetry/test_analytics.py": 6,
    "suites/telemetry/test_first_arrivals.py": 4,
    "suites/telemetry/test_sentry.py": 3,
}
"""What is left, by file; a file that is not listed holds at most NEW."""
NEW = 0
ALL = 90
"""What is left in all files together."""


def paths(part):
    """Every route of the platform's own, up to its first template."""
    if isinstance(part, str) and part.startswith("/"):
        yield part.split("{")[0].rstrip("/")
    elif isinstance(part, Section):
        names = ["path"] if isinstance(part, Route) else list(type(part).model_fields)
        for name in names:
            yield from paths(getattr(part, name))
    elif isinstance(part, dict):
        for inside in part.values():
            yield from paths(inside)
    elif isinstance(part, list | tuple):
        for inside in part:
            yield from paths(inside)


def facts() -> re.Pattern[str]:
    it = read_description(REFERENCE / "target.toml")
    assert it.rooms is not None
    parts = (it.platform, it.rooms, it.content, it.telemetry, it.privacy)
    routes = {path for part in parts for path in paths(part) if path.startswith("/api/")}
    tables = {re.escape(table) for table in it.database.described}
    buckets = {re.escape(bucket) for bucket in it.storage.buckets}
    words = [rf"(?<![\w/]){re.escape(route)}(?![\w-])" for route in sorted(routes, key=len, reverse=True)]
    words += [
        rf"^/?(?:{'|'.join(sorted(tables | buckets))})(?=$|[?/])",
        rf"\bpublic\.(?:{'|'.join(sorted(tables))})\b",
    ]
    words += [re.escape(name) for name in it.rooms.subprotocols if "{" not in name]
    return re.compile("|".join(words))


def texts(tree: ast.Module):
    """Every text in a file that is no docstring."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value


@functools.cache
def count() -> dict[str, int]:
    known = facts()
    found = {}
    for file, tree in modules():
        if room(file) not in ROOMS:
            continue
        held = [text for text in texts(tree) if known.search(text)]
        if room(file) in OF_NO_PLATFORM:
            held = [text for text in held if "/" in text]
        if held:
            found[file] = len(held)
    return found


def test_no_file_knows_more_of_the_reference_platform_than_before():
    grown = {
        file: f"{number}, allowed {LEFT.get(file, NEW)}"
        for file, number in count().items()
        if number > LEFT.get(file, NEW)
    }
    assert grown == {}, "put it into the project's description or its adapter instead"


def test_all_rooms_together_know_no_more_than_before():
    assert sum(count().values()) <= ALL


def test_the_count_sees_what_it_should():
    known = facts()
    for text in (
        "/api/me",
        "/api/upload/start?x",
        "/posts?select=id",
        "public.posts",
        "assay.v1",
        "avatars",
    ):
        assert known.search(text), text
    for text in ("/api/v2/rum", "/api/v3/content/page", "a person reads posts", "/v2/me"):
        assert not known.search(text), text
