"""Lints about speed and upkeep: observations that close nothing. Source of each rule: Supabase, Database Advisors."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator

from clients.catalog import Catalog, Relation
from suites.database.advisors.finding import Finding

_PER_ROW = re.compile(r"auth\.(uid|jwt|role|email)\(\)|current_setting\([^)]*\)", re.I)
_ONCE = re.compile(r"select\s+(auth\.(uid|jwt|role|email)\(\)|current_setting\([^)]*\))", re.I)
_COMMANDS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_BLOCK, _HEADER = 8192, 24
BLOATED, WASTED = 70.0, 20 * 1024 * 1024
"""From which factor and waste in bytes on a table counts as bloated (lint 0020)."""
_WATCHED = frozenset({"anon", "authenticated", "authenticator", "dashboard_user"})
"""Roles that policies for everybody concern; the admins of Supabase's services pass by policies."""


def upkeep(catalog: Catalog) -> Iterator[Finding]:
    """Every observation about speed and upkeep."""
    for relation in catalog.own("r", "p", "m"):
        yield from _keys_and_indexes(relation)
        if relation.kind != "m":
            yield from _policies(relation)
        if relation.kind == "r":
            yield from _bloat(relation)


def _keys_and_indexes(r: Relation) -> Iterator[Finding]:
    for key in r.constraints:
        if key.kind == "f" and not any(
            index.valid and index.columns[: len(key.columns)] == key.columns for index in r.indexes
        ):
            yield Finding(
                1, "unindexed_foreign_keys", "INFO", r.full, f"no index covers {key.name}", key.name
            )
    if r.kind == "r" and not any(index.primary for index in r.indexes):
        yield Finding(4, "no_primary_key", "INFO", r.full, "has no primary key")
    alike: dict[str, list[str]] = defaultdict(list)
    for index in r.indexes:
        if not index.scans and not index.unique and not index.primary:
            yield Finding(5, "unused_index", "INFO", r.full, f"{index.name} was never used", index.name)
        alike[index.text.replace(f" {index.name} ", " ", 1)].append(index.name)
    for names in alike.values():
        if len(names) > 1 and r.kind in "rm":
            listed = ", ".join(sorted(names))
            yield Finding(9, "duplicate_index", "WARN", r.full, f"{listed} are the same index", listed)


def _policies(r: Relation) -> Iterator[Finding]:
    for p in r.policies:
        if r.secured and any(_per_row(text) for text in (p.using, p.check) if text):
            why = f"the policy {p.name} asks who calls for every row; write (select auth.uid())"
            yield Finding(3, "auth_rls_initplan", "WARN", r.full, why, p.name)
    for command in _COMMANDS if r.kind == "r" else ():
        permissive = [p for p in r.policies if p.permissive and p.covers(command)]
        roles = {role for p in permissive for role in p.roles}
        for role in sorted(roles - {"public"} | (_WATCHED if "public" in roles else set())):
            both = sorted(p.name for p in permissive if {role, "public"} & set(p.roles))
            if len(both) > 1:
                why = f"{role} has {len(both)} permissive policies for {command}: {', '.join(both)}"
                yield Finding(6, "multiple_permissive_policies", "WARN", r.full, why, f"{role} {command}")


def _per_row(text: str) -> bool:
    """Whether some call that tells who asks stands in the text outside a sub-select of its own."""
    asked = {found[0].lower() for found in _PER_ROW.finditer(text)}
    once = {found[1].lower() for found in _ONCE.finditer(text)}
    return bool(asked - once)


def _bloat(r: Relation) -> Iterator[Finding]:
    if r.tuples <= 0 or not r.width:
        return
    needed = math.ceil(r.tuples * (r.width + _HEADER + 4) / (_BLOCK - 20))
    wasted = max(0, r.pages - needed) * _BLOCK
    if r.pages / max(needed, 1) > BLOATED and wasted > WASTED:
        yield Finding(20, "table_bloat", "INFO", r.full, f"{r.pages / needed:.0f} times as large as its rows")
