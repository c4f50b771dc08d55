"""PostgREST's in-database configuration: ``alter role authenticator set pgrst.db_schemas = '…'``."""

from __future__ import annotations

from typing import Any

from stack.supabase.config import Options


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip('"') for part in text.split(",") if part.strip())


# PostgREST's name, the option's, and how its text is read (PostgREST documentation, "Configuration").
KNOWN: dict[str, tuple[str, Any]] = {
    "pgrst.db_schemas": ("schemas", _listed),
    "pgrst.db_extra_search_path": ("extra_search_path", _listed),
    "pgrst.db_max_rows": ("max_rows", int),
    "pgrst.db_anon_role": ("anon_role", str),
    "pgrst.db_plan_enabled": ("explain", lambda text: text.lower() in ("true", "on", "1")),
}


def configured(options: Options, settings: dict[str, str]) -> Options:
    """The options with what the role's settings say; one that cannot be read is passed over, as by PostgREST."""
    update = {}
    for name, (option, read) in KNOWN.items():
        if name in settings:
            try:
                update[option] = read(settings[name])
            except ValueError:
                continue
    return options.model_copy(update=update)
