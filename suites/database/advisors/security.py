"""Lints about security. Each is a generator over the catalog; source of each rule: Supabase, Database Advisors."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clients.catalog import API_ROLES, MANAGED, Catalog, Policy, Relation
from suites.database.advisors.finding import Finding

_ALWAYS = ("true", "(true)", "1=1", "(1=1)")
_REG_TYPES = frozenset(
    {
        "regcollation", "regconfig", "regdictionary", "regnamespace", "regoper", "regoperator", "regproc",
        "regprocedure"
    }
)  # fmt: skip
_METADATA = re.compile(r"(auth\.jwt\(\)|current_setting\(.*request\.jwt\.claims).*user_metadata", re.S)
SENSITIVE = frozenset(
    {
        "password", "passwd", "pwd", "passphrase", "secret", "secret_key", "private_key", "api_key", "apikey",
        "oauth_token", "session_token", "bearer_token", "auth_code", "session_id", "session_key",
        "session_secret", "recovery_code", "backup_code", "verification_code", "otp", "two_factor", "2fa_secret",
        "2fa_code", "ssn", "social_security", "social_security_number", "driver_license", "drivers_license",
        "license_number", "passport_number", "passport_id", "national_id", "tax_id", "credit_card",
        "card_number", "cvv", "cvc", "cvn", "bank_account", "account_number", "routing_number", "iban",
        "swift_code", "bic", "health_record", "medical_record", "patient_id", "insurance_number",
        "health_insurance", "medical_insurance", "treatment", "mac_address", "macaddr", "imei", "device_uuid",
        "license_key", "activation_key", "facial_recognition"
    }
)  # fmt: skip
"""Names of columns that tell of credentials or of what is personal (lint 0023)."""
KINDS = {"r": "table", "v": "view", "m": "materialized view", "f": "foreign table"}


def security(catalog: Catalog) -> Iterator[Finding]:
    """Every finding about security."""
    for relation in catalog.relations:
        if relation.schema_ in catalog.exposed and not relation.managed:
            yield from _exposed(relation)
    for relation in catalog.own("r", "p"):
        yield from _policies(relation)
        yield from _keys_to_auth(relation)
    yield from _graphql(catalog)
    yield from _functions(catalog)
    yield from _others(catalog)


def _exposed(r: Relation) -> Iterator[Finding]:
    """What the REST API's roles reach past policies."""
    if not r.selectable:
        return
    who = " and ".join(r.selectable)
    if r.kind == "r" and not r.secured:
        yield Finding(
            13, "rls_disabled_in_public", "ERROR", r.full, f"row-level security is off, and {who} may select"
        )
        if columns := [c.name for c in r.columns if c.name.lower().replace("-", "_") in SENSITIVE]:
            listed = ", ".join(columns)
            yield Finding(
                23, "sensitive_columns_exposed", "ERROR", r.full, f"without row-level security: {listed}"
            )
    if r.kind == "v" and not r.as_invoker:
        yield Finding(
            10, "security_definer_view", "ERROR", r.full, "reads with its owner's rights, past policies"
        )
    if r.kind == "m":
        yield Finding(
            16, "materialized_view_in_api", "WARN", r.full, f"{who} may select; it knows no policies"
        )
    if r.kind == "f":
        yield Finding(17, "foreign_table_in_api", "WARN", r.full, f"{who} may select; it knows no policies")
    if r.of_users and (r.kind == "m" or (r.kind == "v" and not r.as_invoker)):
        yield Finding(2, "auth_users_exposed", "ERROR", r.full, f"shows auth.users to {who}")


def _policies(r: Relation) -> Iterator[Finding]:
    names = ", ".join(p.name for p in r.policies)
    if r.kind == "r" and r.policies and not r.secured:
        why = f"has policies ({names}), and row-level security is off"
        yield Finding(7, "policy_exists_rls_disabled", "ERROR", r.full, why)
    if r.kind == "r" and r.secured and not r.policies:
        yield Finding(8, "rls_enabled_no_policy", "INFO", r.full, "nobody but the service role reaches it")
    for p in r.policies:
        if any(_METADATA.search(text) for text in (p.using or "", p.check or "")):
            why = f"the policy {p.name} trusts user_metadata, which people change themselves"
            yield Finding(15, "rls_references_user_metadata", "ERROR", r.full, why, p.name)
        if r.secured and p.permissive and set(p.roles) & {"public", *API_ROLES}:
            yield from _always(r, p)


def _always(r: Relation, p: Policy) -> Iterator[Finding]:
    reads, writes = always_true(p.using), always_true(p.check)
    rows = p.command in ("UPDATE", "DELETE", "ALL") and (reads or p.using is None)
    new = writes or (
        p.check is None and (p.command == "INSERT" or (p.command in ("UPDATE", "ALL") and reads))
    )
    who = " and ".join("everybody" if role == "public" else role for role in p.roles)
    if r.kind == "r" and (rows or new):
        part = "USING and WITH CHECK are" if rows and new else "USING is" if rows else "WITH CHECK is"
        why = f"the policy {p.name} lets {who} {p.command}: {part} always true"
        yield Finding(24, "rls_policy_always_true", "WARN", r.full, why, p.name)
    elif p.command == "SELECT" and reads:
        yield Finding(
            0, "every_row_is_read", "INFO", r.full, f"the policy {p.name} lets {who} read every row", p.name
        )
    elif p.command in ("UPDATE", "ALL") and p.check is None and p.using and "auth." not in p.using:
        why = (
            f"the policy {p.name} has no WITH CHECK, and its USING names nobody: rows may be given any owner"
        )
        yield Finding(0, "policy_without_check", "WARN", r.full, why, p.name)


def always_true(text: str | None) -> bool:
    """Whether an expression lets every row pass, as the lints recognize it."""
    return re.sub(r"\s", "", (text or "").lower()) in _ALWAYS


def _keys_to_auth(r: Relation) -> Iterator[Finding]:
    for key in r.constraints:
        if key.kind == "f" and key.to and key.to.schema_ == "auth" and not key.to_primary:
            why = f"the foreign key {key.name} points to a unique constraint of auth, not to its primary key"
            yield Finding(21, "fkey_to_auth_unique", "ERROR", r.full, why, key.name)


def _graphql(catalog: Catalog) -> Iterator[Finding]:
    if not any(e.name == "pg_graphql" for e in catalog.extensions):
        return
    for number, role in ((26, "anon"), (27, "authenticated")):
        for r in catalog.relations:
            if r.kind in KINDS and role in r.readable and not r.managed:
                why = f"pg_graphql shows this {KINDS[r.kind]}'s columns to {role}"
                yield Finding(number, f"pg_graphql_{role}_table_exposed", "WARN", r.full, why)


def _functions(catalog: Catalog) -> Iterator[Finding]:
    for f in catalog.functions:
        own = f.schema_ not in MANAGED and not f.of_extension
        if own and not f.search_path_set:
            why = "its search_path is its caller's"
            yield Finding(11, "function_search_path_mutable", "WARN", f.full, why)
        if f.definer and f.schema_ in catalog.exposed and f.schema_ not in MANAGED:
            for number, role in ((28, "anon"), (29, "authenticated")):
                if role in f.callers:
                    lint = f"{role}_security_definer_function_executable"
                    yield Finding(
                        number,
                        lint,
                        "WARN",
                        f.full,
                        f"{role} may call it, and it acts with its owner's rights",
                    )


def _others(catalog: Catalog) -> Iterator[Finding]:
    for e in catalog.extensions:
        if e.schema_ == "public" and e.name != "plpgsql":
            yield Finding(14, "extension_in_public", "WARN", e.name, "lies in the schema public")
        if e.newest and e.newest != e.version:
            why = f"is {e.version}, and {e.newest} is there"
            yield Finding(22, "extension_versions_outdated", "WARN", e.name, why)
    for r in catalog.relations:
        for column in r.columns:
            if column.type.removeprefix("pg_catalog.") in _REG_TYPES and r.schema_ != "pgsodium":
                why = f"the column {column.name} is {column.type}, which pg_upgrade does not carry over"
                yield Finding(18, "unsupported_reg_types", "WARN", r.full, why, column.name)
        queue = r.schema_ == "pgmq" and r.name.startswith("q_") and "pgmq_public" in catalog.exposed
        if queue and r.kind == "r" and not r.secured and r.selectable:
            yield Finding(
                19, "insecure_queue_exposed_in_api", "ERROR", r.full, "a queue without row-level security"
            )
