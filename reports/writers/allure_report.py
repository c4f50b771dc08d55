"""report/allure: the generated Allure 3 report."""

from __future__ import annotations

from pathlib import Path

from reports import allure
from reports.model import RunVerdict

ORDER = 30


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Generates the report from allure-results, which `allure_results` completed."""
    return [allure.generate(verdict, run_dir) / "index.html"]
