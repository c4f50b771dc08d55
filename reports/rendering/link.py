"""Where a person finds a run's report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.user_settings import KNOWN, setting


def report_link(run_dir: Path, environ: Mapping[str, str] | None = None) -> str:
    """ASSAY_REPORT_URL with the run's name, the workflow's page, or the folder."""
    found = {name: setting(name) for name in KNOWN} if environ is None else environ
    if url := found.get("ASSAY_REPORT_URL"):
        return url.replace("{run}", run_dir.name)
    server, repository, run = (found.get(f"GITHUB_{k}") for k in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if server and repository and run:
        return f"{server}/{repository}/actions/runs/{run}"
    return f"runs/{run_dir.name}/report/index.html"
