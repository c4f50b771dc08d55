"""Who may do what, as a matrix found it by trying: kept as evidence, so that two runs can be set side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping

from core.run import Run


def keep_access(
    run: Run, check: str, what: str, access: Mapping[str, Mapping[str, str]], untried: Mapping[str, str]
) -> None:
    """Keeps `access-<what>.json`: by table or bucket and role the letters of CRUD that worked, and what was not tried."""
    summary = {"access": access, "untried": untried}
    data = json.dumps(summary, indent=1, sort_keys=True).encode()
    run.attach(f"access-{what}.json", data, media_type="application/json", check=check)
