"""What a first run costs: minutes and disk, in a fresh clone with empty caches.

    python bench/first_run.py [--setup-only]

Clones this checkout, sets it up with caches of its own, runs `validate`, and prints what each took and what lies where.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def megabytes(folder: Path) -> int:
    """What a folder takes on the disk; a file with several names counts once."""
    seen: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        found = path.lstat()
        seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values()) // 1_000_000


def timed(clone: Path, environment: dict[str, str], *words: str) -> tuple[int, float]:
    """Exit code and minutes of one command."""
    began = time.monotonic()
    done = subprocess.run(["./assay", *words], cwd=clone, env=environment, check=False, stdout=sys.stderr)
    return done.returncode, round((time.monotonic() - began) / 60, 1)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--setup-only", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clone, caches = Path(scratch) / "assay", Path(scratch) / "caches"
        subprocess.run(["git", "clone", "-q", "--no-hardlinks", str(ROOT), str(clone)], check=True)
        environment = {
            **os.environ,
            "UV_CACHE_DIR": str(caches / "uv"),
            "PIP_CACHE_DIR": str(caches / "pip"),
            "npm_config_cache": str(caches / "npm"),
        }
        found: dict[str, object] = {"cpus": os.cpu_count(), "clone_mb": megabytes(clone)}
        code, found["setup_minutes"] = timed(clone, environment, "setup")
        if not code and not options.setup_only:
            found["exit"], found["validate_minutes"] = timed(clone, environment, "validate")
        found["checkout_mb"], found["caches_mb"] = megabytes(clone), megabytes(caches)
        found["environment_mb"] = megabytes(clone / ".assay") + megabytes(clone / "node_modules")
        print(json.dumps(found, indent=1))
        sys.exit(code)


if __name__ == "__main__":
    main()
