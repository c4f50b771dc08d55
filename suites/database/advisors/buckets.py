"""Lints about the buckets of Storage; source of the rule: Supabase, Database Advisors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clients.catalog import Catalog, Policy
from suites.database.advisors.finding import Finding
from suites.database.advisors.security import always_true


def bucket_findings(catalog: Catalog) -> Iterator[Finding]:
    """Every finding about Storage's buckets."""
    objects = catalog.by_name.get("storage.objects")
    for name, public in catalog.buckets.items():
        if not public:
            continue
        yield Finding(
            0, "public_bucket", "INFO", f"bucket {name}", "everybody reads each object by its address"
        )
        listing = [p for p in objects.policies if _lists(p, name)] if objects else []
        if listing:
            listed = ", ".join(p.name for p in listing)
            yield Finding(
                25,
                "public_bucket_allows_listing",
                "WARN",
                f"bucket {name}",
                f"its objects are listed by {listed}",
            )


def _lists(p: Policy, bucket: str) -> bool:
    """Whether a policy of storage.objects shows every object of a bucket."""
    if not (
        p.permissive and p.command in ("SELECT", "ALL") and set(p.roles) & {"public", "anon", "authenticated"}
    ):
        return False
    if p.using is None or always_true(p.using):
        return True
    only = re.fullmatch(r"\s*\(*\s*bucket_id\s*=\s*'((?:[^']|'')*)'(\s*::\s*[\w.]+)?\s*\)*\s*", p.using, re.I)
    return bool(only) and only[1].replace("''", "'") == bucket  # type: ignore[index]
