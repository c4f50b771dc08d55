"""verdict.json: the whole verdict for programs (schema in reports/verdict.schema.json), and the curves."""

from __future__ import annotations

import json
from pathlib import Path

from reports.judging.model import RunVerdict

ORDER = 10


def write(verdict: RunVerdict, run_dir: Path) -> list[Path]:
    """Writes verdict.json and measurements.json."""
    paths = [run_dir / "verdict.json", run_dir / "measurements.json"]
    paths[0].write_text(
        json.dumps(verdict.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )
    paths[1].write_text(json.dumps(verdict.measurements, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    return paths
