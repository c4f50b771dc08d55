"""The documentation builds as a site, strictly: every page is in the navigation, every link and anchor leads somewhere."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.structure.tree import ROOT

FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.S | re.M)
READERS: dict[str, Callable[[str], object]] = {
    "python": ast.parse,
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": lambda text: list(yaml.safe_load_all(text)),
}
DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.timeout(180)
def test_the_site_is_whole_and_asks_nobody_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=170,
        env=os.environ | {"SITE_SOURCE": "https://example.com/blob/main"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    pages = {path.name: path.read_text() for path in tmp_path.glob("*.html")}
    assert {f"{document.stem}.html" for document in DOCUMENTS} <= pages.keys()
    assert 'src="images/report.png"' in pages["index.html"]
    assert 'href="release.html"' in pages["production.html"]
    assert "https://example.com/blob/main/action.yml" in pages["ci.html"]
    asked = re.compile(r"<(?:script|img|iframe|link)[^>]* (?:src|href)=.?(https?://[^ >]+)[^>]*>")
    loaded = [tag[0] for tag in asked.finditer("".join(pages.values())) if 'rel="canonical"' not in tag[0]]
    assert loaded == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_block_of_code_can_be_read(document: Path) -> None:
    """Blocks that say their language are of it."""
    for language, text in FENCE.findall(document.read_text()):
        reader = READERS.get(language)
        if reader and "…" not in text:
            reader(text)


def test_publishing_replaces_the_branch_by_one_commit(tmp_path: Path) -> None:
    def git(*words: str, at: str = "clone") -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@localhost", *words],
            cwd=tmp_path / at, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    for folder in ("origin", "clone", "site"):
        (tmp_path / folder).mkdir()
    git("init", "-q", "--bare", at="origin")
    git("init", "-q")
    git("remote", "add", "origin", str(tmp_path / "origin"))
    (tmp_path / "clone" / "source.md").write_text("source")
    git("add", ".")
    git("commit", "-qm", "source")
    for words in ("first", "second"):
        (tmp_path / "site" / "index.html").write_text(words)
        subprocess.run(
            [str(ROOT / "deploy/site/publish"), "../site"],
            cwd=tmp_path / "clone",
            check=True,
            capture_output=True,
        )
    assert git("show", "gh-pages:index.html", at="origin") == "second"
    assert git("ls-tree", "--name-only", "gh-pages", at="origin").split() == [".nojekyll", "index.html"]
    assert git("rev-list", "--count", "gh-pages", at="origin").strip() == "1"
    assert git("status", "--porcelain") == ""
