"""The SHA-256 manifest of a run's evidence: what an auditor checks a summary against."""

from __future__ import annotations

import hashlib
from pathlib import Path

FOLDERS = ("journal", "evidence", "logs")


def manifest(run_dir: Path) -> list[tuple[str, str]]:
    """Pairs of SHA-256 and path (relative to the run), ordered by path; evidence only, no report."""
    files = [p for folder in FOLDERS for p in (run_dir / folder).rglob("*") if p.is_file()]
    return [(_sha256(path), path.relative_to(run_dir).as_posix()) for path in sorted(files)]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(run_dir: Path) -> tuple[Path, str, int]:
    """Writes evidence.sha256 (for `sha256sum -c`); returns it, its own SHA-256 and the number of files."""
    entries = manifest(run_dir)
    path = run_dir / "evidence.sha256"
    path.write_text("".join(f"{digest}  {name}\n" for digest, name in entries), encoding="utf-8")
    return path, _sha256(path), len(entries)
