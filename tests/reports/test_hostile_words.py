"""What a service says reaches every output as words alone, read there by each output's own kind of reader."""

from __future__ import annotations

import csv
import html
import json
import re
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import sync_playwright
from rich.console import Console

import reports
from core.text import for_log, safe
from reports.judging.judge import judge
from reports.rendering import writers
from reports.rendering.writers import github
from reports.rendering.writers.markdown import plain
from tests.chromium import launched
from tests.reports.made import Made

TEXTS = (".json", ".jsonl", ".csv", ".md", ".xml", ".html", ".txt", ".prom", ".properties")
HOSTILE = {
    "markup": "[/word] [bold]x[/bold] [permit]",
    "surrogates": "half \ud83c and \udfff",
    "nul": "a\x00b",
    "escapes": "\x1b[2J\x1b]0;title\x07 \x9b31m",
    "commands": "::error title=x::y\n::stop-commands::t\n::add-mask::a\n##[group]z",
    "bidi": "user\u202egpj.exe \u2066x\u2069 \u200b\ufeff",
    "html": "<script>window.hit=1</script><img src=x onerror=window.hit=1> <!-- --> </td></table>",
    "cdata": "]]> <![CDATA[ &amp; &#x0;",
    "formula": "=cmd|' /C calc'!A0",
    "formula-by-blank": " =1+1",
    "formula-at": "@SUM(A1)\t+1",
    "markdown": "![x](http://h/p) [a](javascript:1) `x` | y\n# head",
    "lines": "a\r\nb\u2028c\x85d\x0be",
    "long": "x" * 500_000,
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every check says something hostile, judged and written."""
    made = Made(tmp_path_factory.mktemp("hostile") / "run")
    names = [check for check, *_ in made.checks]
    made.outcomes = {
        name: {"outcome": "missed" if n % 2 else "broken", "message": text, "saw": text, "expected": text}
        for n, (name, text) in enumerate(zip(names, HOSTILE.values(), strict=True))
    }
    directory = made.write()
    verdict = judge(directory, waivers=[])
    names = [name for name in writers.names() if name != "allure_report"]
    reports.write(verdict, directory, writers=names)
    assert verdict.exit == 3
    assert len(verdict.checks) == len(HOSTILE)
    return directory


def test_no_file_holds_what_moves_a_cursor_or_breaks_a_reader(report: Path) -> None:
    for path in report.rglob("*"):
        if path.is_file() and path.suffix in (
            ".json",
            ".jsonl",
            ".csv",
            ".md",
            ".xml",
            ".html",
            ".txt",
            ".prom",
            ".properties",
        ):
            text = path.read_text("utf-8")
            assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text), (
                path.name
            )
            if path.suffix in (".json", ".jsonl"):
                assert not re.search(
                    r"(?<!\\)(?:\\\\)*\\u(?:00[01]|d[89a-f]|202[a-e])", text, re.IGNORECASE
                ), path.name


def test_each_format_is_read_by_its_own_reader(report: Path) -> None:
    cases = ET.parse(report / "junit.xml").getroot().iter("testcase")
    assert sum(case.find("error") is not None or case.find("failure") is not None for case in cases) >= len(
        HOSTILE
    )
    with (report / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "check"]
    assert len(rows) == len(HOSTILE)
    for row in rows:
        assert row["message"].lstrip(" \t\n")[:1] not in ("=", "+", "-", "@"), row["message"][:40]
    verdict = json.loads((report / "verdict.json").read_text("utf-8"))
    assert len(verdict["checks"]) == len(HOSTILE)


def test_a_browser_shows_it_as_text(report: Path) -> None:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((report / "report" / "index.html").as_uri())
        assert page.evaluate("window.hit") is None
        assert "[/word] [bold]x[/bold] [permit]" in page.content()
        assert all(url.startswith("file:") for url in asked)
        browser.close()


def test_no_line_of_the_log_is_a_command_of_theirs(report: Path) -> None:
    verdict = judge(report, waivers=[])
    out = StringIO()
    reports.show(verdict, Console(file=out, width=100))
    text, _ = reports.gate(verdict)
    for line in (out.getvalue() + text).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
    assert "[/word]" in out.getvalue()
    for line in github.commands(verdict):
        assert re.fullmatch(r"::(error|warning|notice) title=[^:]*::[^\r\n]*", line), line[:80]
        assert "##[" not in line


def test_a_long_word_is_cut_and_told(report: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in report.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 8_000_000, sorted(sizes.items(), key=lambda item: -item[1])[:5]
    assert "characters left out" in (report / "verdict.json").read_text("utf-8")
    assert for_log(safe(HOSTILE["commands"])).count(": :") == 3


@pytest.mark.parametrize(
    "word",
    [
        "@octocat",
        "&#64;octocat",
        "#12",
        "owner/repo#12",
        "GH-12",
        "https://h/",
        "www.h.example",
        "a@h.example",
    ],
)
def test_github_makes_no_link_of_a_service_s_word(word: str) -> None:
    """As GitHub sees it: the text of the rendered page, in which it looks for mentions, references and addresses."""
    rendered = html.unescape(MarkdownIt().render(f"- {plain(f'so: {word} there')}"))
    assert not re.search(r"@\w|#\d|GH-\d|://|www\.|<a ", rendered), rendered
    assert "so: " in rendered
    assert " there" in rendered


def test_an_annotation_holds_no_command_of_the_older_form() -> None:
    """GitHub reads `##[name` anywhere in a line, and a service's answer stands in the middle of ours."""
    escaped = github._escape("it answers {##[group]z", value=True) + github._escape("##vso[task.complete]")
    assert "##[" not in escaped
    assert "##vso[" not in escaped
