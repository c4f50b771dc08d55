"""Who may do what with which table: the expected grants, as data.

A table of the public schema without an entry here fails the run, so that no table is added without
somebody deciding who may touch it.
"""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("owner", "stranger", "nobody")
"""Whose row it is, another signed-in person, and a visitor who is not signed in."""
VERBS = {"C": "insert", "R": "select", "U": "update", "D": "delete"}


@dataclass(frozen=True)
class Grant:
    """What each role may do with somebody's row, as letters of CRUD.

    `policies` are the names of the table's policies in PostgreSQL's catalog; `anon` and `authenticated`
    the table privileges that the Data API's roles have. `inserted` and `updated` are the columns that
    signed-in people may give and change.
    """

    owner: str
    stranger: str
    nobody: str
    policies: frozenset[str]
    anon: frozenset[str] = frozenset()
    authenticated: frozenset[str] = frozenset({"SELECT"})
    inserted: frozenset[str] = frozenset()
    updated: frozenset[str] = frozenset()

    def allows(self, role: str, verb: str) -> bool:
        """Whether a role may do a verb of CRUD with the owner's row."""
        return verb in getattr(self, role)


POST_POLICIES = frozenset(
    {
        "published posts are read by anyone, own ones too",
        "own posts are written",
        "own posts are changed",
        "own posts are deleted",
    }
)
GRANTS: dict[str, Grant] = {
    "profiles": Grant(
        owner="RU",
        stranger="R",
        nobody="",
        policies=frozenset({"signed-in users read profiles", "own profile is changed"}),
        updated=frozenset({"username", "display_name", "bio", "avatar_url"}),
    ),
    "posts": Grant(
        owner="CRUD",
        stranger="",
        nobody="",
        policies=POST_POLICIES,
        anon=frozenset({"SELECT"}),
        authenticated=frozenset({"SELECT", "DELETE"}),
        inserted=frozenset({"id", "author_id", "title", "body", "status", "tags"}),
        updated=frozenset({"title", "body", "status", "tags"}),
    ),
    "files": Grant(owner="R", stranger="", nobody="", policies=frozenset({"own files are read"})),
    "file_versions": Grant(owner="R", stranger="", nobody="", policies=frozenset({"own versions are read"})),
    "uploads": Grant(owner="R", stranger="", nobody="", policies=frozenset({"own uploads are read"})),
    "object_trash": Grant(owner="", stranger="", nobody="", policies=frozenset(), authenticated=frozenset()),
    "audit_log": Grant(owner="R", stranger="", nobody="", policies=frozenset({"own audit entries are read"})),
    "consents": Grant(
        owner="CRU",
        stranger="",
        nobody="",
        policies=frozenset({"own consent is read", "own consent is given", "own consent is changed"}),
        inserted=frozenset({"user_id", "analytics"}),
        updated=frozenset({"user_id", "analytics"}),
    ),
}
"""By table. A post counts here as a draft; the published one is PUBLISHED_POST."""
PUBLISHED_POST = Grant(
    owner="CRUD", stranger="R", nobody="R", policies=POST_POLICIES, anon=frozenset({"SELECT"})
)
SERVICE_FUNCTIONS = (
    "upload_begin",
    "upload_touch",
    "upload_commit",
    "upload_drop",
    "uploads_expire",
    "files_batch",
    "privacy_export",
    "privacy_erase",
)
"""Functions that only the Worker may call."""
PUBLIC_FUNCTIONS = {
    "anon": frozenset({"health"}),
    "authenticated": frozenset({"health", "save_consent", "publish_posts"}),
}
"""Functions that the Data API's roles may call; any other one is closed to them."""
