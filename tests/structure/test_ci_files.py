"""The CI files are what GitHub and GitLab accept: judged by their own published schemas."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.tree import ROOT

FILES: dict[str, tuple[Path, ...]] = {
    "vendor.github-workflows": (
        *sorted((ROOT / ".github" / "workflows").glob("*.yml")),
        ROOT / "deploy" / "ci" / "workflow.yml",
        ROOT / "deploy" / "ci" / "sharded.yml",
    ),
    "vendor.github-actions": (ROOT / "action.yml",),
    "vendor.gitlab-ci": (ROOT / "deploy" / "ci" / "gitlab-ci.yml",),
}


@pytest.mark.parametrize("schema", FILES)
def test_the_files_follow_the_published_schema(schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, FILES[schema])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
