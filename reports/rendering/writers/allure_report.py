"""report/allure: the generated Allure 3 report."""

from __future__ import annotations

from pathlib import Path

from reports.judging.model import RunVerdict
from reports.rendering import allure

ORDER = 30


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Generates the report from allure-results, which `allure_results` completed.

    Nothing where Allure is not installed: a run on a live target without browser flows needs no npm packages.
    """
    if not allure.CLI.exists():
        print(
            "allure       not made, since its npm package is not installed: `assay setup`, then `assay report`"
        )
        return []
    return [allure.generate(verdict, run_dir) / "index.html"]
