"""The twelve services, where each one's answers pass, and a few quick checks that depend on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.hostile.mutations import MUTATIONS, Mutation


@dataclass(frozen=True)
class Subject:
    """One service: the variable with its address, which paths are its own, and the checks that are tried."""

    service: str
    variable: str
    paths: str
    checks: tuple[str, ...]


SUBJECTS: tuple[Subject, ...] = (
    Subject("platform", "PLATFORM_URL", "^/api/(?!rooms)", ("security.private_routes", "storage.search_and_sort")),
    Subject("rooms", "PLATFORM_URL", "^/api/rooms", ("realtime.door", "realtime.burst")),
    Subject("supabase.auth", "VITE_SUPABASE_URL", "/auth/v1/", ("auth.session_restored", "auth.wrong_password")),
    Subject("supabase.database", "VITE_SUPABASE_URL", "/rest/v1/", ("database.profile_and_post", "database.post_values")),
    Subject("supabase.storage", "VITE_SUPABASE_URL", "/storage/v1/", ("storage.avatars", "reality.storage")),
    Subject("r2", "R2_ENDPOINT", "", ("storage.parts_any_order", "storage.kept_as_sent")),
    Subject("kv", "CLOUDFLARE_API_URL", "", ("cache.kv_hit_and_miss", "cache.headers_and_times")),
    Subject("builder", "BUILDER_API_URL", "", ("content.page_changes", "reality.content")),
    Subject("sentry", "SENTRY_URL", "", ("telemetry.sentry_error",)),
    Subject("datadog", "DATADOG_API_URL", "", ("telemetry.custom_metric", "telemetry.datadog_wrong_token")),
    Subject("ga4", "GA4_DATA_URL", "", ("telemetry.ga4_event",)),
    Subject("mixpanel", "MIXPANEL_DATA_URL", "", ("telemetry.mixpanel_event",)),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One run: one service answers by one mutation."""

    subject: Subject
    mutation: Mutation
    whole: bool = True
    """Whether every output is made, the generated Allure report and the PDF too, and read, HTML in a browser. One service
    of each mutation is tried so, another one from mutation to mutation; for the others that is left out."""

    @property
    def name(self) -> str:
        """A short word for it."""
        return f"{self.subject.service}/{self.mutation.name}"


SMALL = (
    "words-html", "values-null", "500", "mock-ok", "keys-gone", "html", "deep", "words-commands", "gzip-bomb",
    "words-surrogate", "cut", "nan",
)  # fmt: skip
"""One mutation for each of `SUBJECTS`, of all kinds but those that are waited for: a drill of less than a minute."""


def small() -> list[Case]:
    """Each service by one mutation; every output of the first is made and read."""
    by_name = {mutation.name: mutation for mutation in MUTATIONS}
    pairs = zip(SUBJECTS, SMALL, strict=True)
    return [Case(subject, by_name[name], whole=name == SMALL[0]) for subject, name in pairs]


def cases(services: str = "", mutations: str = "", shard: str = "1/1") -> Iterator[Case]:
    """The cases whose service and mutation contain one of these words, and of them the shard `k/n`."""
    one, of = (int(part) for part in shard.split("/"))
    found = (
        Case(subject, mutation, whole=row % len(SUBJECTS) == column)
        for row, mutation in enumerate(MUTATIONS)
        for column, subject in enumerate(SUBJECTS)
        if _named(subject.service, services) and _named(mutation.name, mutations)
    )
    return (case for number, case in enumerate(found) if number % of == one - 1)


def _named(name: str, words: str) -> bool:
    return not words or any(word in name for word in words.split(","))
