"""Assay's own rooms know nothing of the reference platform: no route, page, table, function, bucket or message format.

A platform's facts are data in its project (`stack/platform/assay/target.toml`), and what data cannot say stands beside it
(its adapter, pages, checks, flows and loads). What is written here is tried against that very description.
"""

import ast
import functools
import re

from core.description import read_description
from core.description.base import Route, Section
from core.project import REFERENCE
from tests.structure.tree import modules, room

ROOMS = {
    "suites",
    "scenarios",
    "loadprofiles",
    "loadengine",
    "clients",
    "runner",
    "reports",
    "fixtures",
    "core",
}
OF_NO_PLATFORM = {"reports", "runner", "core", "loadengine"}
"""Rooms in which a table's bare name is a word of Assay's own, such as a column of a report."""
NO_FACTS = {
    "loadprofiles/uptime.py": {"files"},
    "loadprofiles/users/file_round_trip.py": {"files"},
    "suites/auth/test_mail.py": {"/recover"},
    "clients/services/auth.py": {"/recover"},
}
"""By file: words that name something else. `files` is a label of series, by which a load is judged; `/recover` is
Supabase Auth's own address."""


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
    assert it.database.functions is not None
    parts = (it.platform, it.rooms, it.content, it.telemetry, it.privacy)
    routes = {path for part in parts for path in paths(part) if path.startswith("/api/")}
    pages = {page for page in (*it.platform.pages.public, *it.platform.pages.signed_in) if page != "/"}
    tables = "|".join(sorted(re.escape(table) for table in it.database.described))
    buckets = "|".join(sorted(re.escape(bucket) for bucket in it.storage.buckets))
    functions = {
        name for name in (*it.database.functions.authenticated, *it.database.functions.closed) if "_" in name
    }
    words = [rf"(?<![\w/]){re.escape(route)}(?![\w-])" for route in sorted(routes, key=len, reverse=True)]
    words += [
        rf"^/?(?:{tables}|{buckets})(?=$|[?/])",
        rf"/rest/v1/(?:{tables})\b",
        rf"\bpublic\.(?:{tables})\b",
        rf"\bdatabase\.tables\.(?:{tables})\b",
        rf"\b(?:{'|'.join(sorted(functions))})\b",
        rf"^(?:{'|'.join(sorted(map(re.escape, pages), key=len, reverse=True))})$",
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
def found() -> dict[str, list[str]]:
    known = facts()
    held: dict[str, list[str]] = {}
    for file, tree in modules():
        if room(file) not in ROOMS:
            continue
        inside = [text for text in texts(tree) if known.search(text) and text not in NO_FACTS.get(file, ())]
        if room(file) in OF_NO_PLATFORM:
            inside = [text for text in inside if "/" in text]
        if inside:
            held[file] = inside
    return held


def test_no_room_knows_the_reference_platform():
    assert found() == {}, "put it into the project's description, its adapter, or a check of its own"


def test_what_is_excepted_is_still_there():
    there = {file: set(texts(tree)) for file, tree in modules() if file in NO_FACTS}
    assert {file: words & there[file] for file, words in NO_FACTS.items()} == NO_FACTS


def test_the_search_sees_what_it_should():
    known = facts()
    for text in (
        "/api/me",
        "/api/upload/start?x",
        "/posts?select=id",
        "https://x/rest/v1/posts",
        "public.posts",
        "database.tables.posts",
        "/rpc/save_consent",
        "/posts/new",
        "assay.v1",
        "avatars",
    ):
        assert known.search(text), text
    for text in ("/api/v2/rum", "/api/v3/content/page", "a person reads posts", "/v2/me", "/nowhere"):
        assert not known.search(text), text
