"""Every writer tells the same story, hides what must not be told, and breaks nothing else when it fails."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

import reports
from core.errors import BrokenError
from reports.judging.judge import judge
from reports.judging.model import RunVerdict, Waiver
from reports.judging.verdict_table import STATES
from reports.rendering import writers
from tests.reports.made import Made

SCHEMA = json.loads((Path(reports.__file__).parent / "verdict.schema.json").read_text())
FILES = [n for n in writers.names() if n != "allure_report"]


@pytest.fixture
def mixed(tmp_path: Path) -> tuple[RunVerdict, Path]:
    """A run with every kind of outcome, a waived one of each, and hostile text."""
    hostile = "<script>alert(1)</script> | `x` [a](javascript:b) ::error::\x07 ]]> =cmd()"
    made = Made(tmp_path / "mixed", samples={"perf.database": 3000, "perf.upload": 4, "perf.rooms": 6000})
    made.outcomes = {
        "auth.register": {"outcome": "missed", "message": hostile},
        "auth.read-self": {"outcome": "missed", "message": "waived one"},
        "kv.hit-and-miss": {"outcome": "broken", "message": "kv: no answer"},
        "ga4.event": {"outcome": "unknown", "message": "read too early"},
        "mixpanel.event": {"outcome": "not_covered", "message": "not declared"},
    }
    made.skip = {"datadog.view", "sentry.exception"}
    waived = [
        Waiver(c, "known", "ada", "OPS-1", "2099-01-01") for c in ("auth.read-self", "sentry.exception")
    ]
    directory = made.write()
    return judge(directory, waivers=waived), directory


def test_verdict_json_keeps_its_schema(
    mixed: tuple[RunVerdict, Path], judged: Callable[..., RunVerdict]
) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    for verdict in (mixed[0], judged("good"), judged("dead", finished=False)):
        validator.validate(json.loads(json.dumps(verdict.as_dict(), allow_nan=False)))


def test_totals_agree_everywhere(mixed: tuple[RunVerdict, Path]) -> None:
    verdict, directory = mixed
    reports.write(verdict, directory)
    ours = Counter(c.state for c in verdict.checks)
    deciding = [o for o in verdict.objectives if o.decides]
    ours.update(o.state for o in deciding)
    whole = [c for c in verdict.causes if c.kind in ("run", "profile")]
    ours.update(c.state for c in whole)

    junit = ET.parse(directory / "junit.xml").getroot()
    results: list[Any] = [*verdict.checks, *deciding]
    closing = [r for r in results if r.blocks_gate]
    assert int(junit.get("tests", "")) == sum(ours.values())
    failures = sum(STATES[r.state].junit == "failure" for r in closing)
    assert int(junit.get("failures", "")) == failures
    assert int(junit.get("errors", "")) == len(closing) - failures + len(whole)
    assert int(junit.get("skipped", "")) == sum(r.state != "met" and not r.blocks_gate for r in results)

    statistic = json.loads(_held(directory, "widgets/statistic.json"))
    wanted: Counter[str] = Counter()
    for state, count in ours.items():
        wanted[STATES[state].allure] += count
    assert {k: statistic.get(k, 0) for k in wanted} == dict(wanted)
    assert statistic["total"] == sum(ours.values())

    with (directory / "results.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["kind"] == "check"]
    assert Counter(r["verdict"] for r in rows) == Counter(c.state for c in verdict.checks)
    assert json.loads((directory / "verdict.json").read_text())["counts"] == verdict.counts()
    page = (directory / "report" / "index.html").read_text()
    assert f"<b>{ours['missed']}</b>" in page
    prom = (directory / "metrics.prom").read_text()
    assert (
        f'assay_checks{{plan="smoke",target="embedded",verdict="missed"}} {float(verdict.counts()["missed"])}'
        in prom
    )


def test_what_pytest_wrote_is_kept_and_amended_once(mixed: tuple[RunVerdict, Path]) -> None:
    verdict, directory = mixed
    folder = directory / "allure-results"
    folder.mkdir()
    for identifier, status in (
        ("auth.register", "failed"),
        ("auth.read-self", "failed"),
        ("rooms.reconnect", "failed"),
    ):
        labels = [{"name": "as_id", "value": identifier}]
        result = {
            "uuid": identifier,
            "name": identifier,
            "status": status,
            "labels": labels,
            "start": 5,
            "stop": 9,
        }
        (folder / f"{identifier}-result.json").write_text(json.dumps(result))
    (folder / "cut-result.json").write_text('{"uuid": "half')
    reports.write(verdict, directory, writers=["allure_results"])
    reports.write(verdict, directory, writers=["allure_results"])
    by_id: dict[str, list[dict[str, Any]]] = {}
    for path in folder.glob("*-result.json"):
        result = json.loads(path.read_text())
        for label in result["labels"]:
            if label["name"] == "as_id":
                by_id.setdefault(label["value"], []).append(result)
    assert all(len(found) == 1 for found in by_id.values())
    assert by_id["rooms.reconnect"][0]["status"] == "passed"
    assert by_id["auth.read-self"][0]["statusDetails"]["muted"]
    assert by_id["auth.register"][0]["uuid"] == "auth.register"


def _held(directory: Path, name: str) -> str:
    """A file that the page in one file holds."""
    text = (directory / "report" / "allure" / "index.html").read_text("utf-8")
    found = re.search(rf'd\("{re.escape(name)}","([^"]*)"', text)
    assert found, name
    return b64decode(found[1]).decode()


def test_allure_makes_no_request_and_holds_no_analytics(mixed: tuple[RunVerdict, Path]) -> None:
    verdict, directory = mixed
    reports.write(verdict, directory, writers=["allure_results", "allure_report"])
    text = (directory / "report" / "allure" / "index.html").read_text("utf-8")
    scripts = re.findall(r"data:text/javascript;base64,([A-Za-z0-9+/=]+)", text)
    assert scripts
    for host in ("googletagmanager", "google-analytics", "trace.playwright.dev"):
        assert all(host not in part for part in (text, *(b64decode(s).decode() for s in scripts)))


def test_allure_is_one_file_that_leads_to_the_check_s_page_for_a_trace(
    mixed: tuple[RunVerdict, Path],
) -> None:
    verdict, directory = mixed
    folder = directory / "allure-results"
    folder.mkdir()
    trace = {"name": "trace", "source": "t-attachment.zip", "type": "application/vnd.allure.playwright-trace"}
    (folder / "t-attachment.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    result = {
        "uuid": "1",
        "name": "flow",
        "status": "passed",
        "labels": [{"name": "as_id", "value": "browser.whole-flow"}],
        "attachments": [trace],
        "start": 1,
        "stop": 2,
    }
    (folder / "x-result.json").write_text(json.dumps(result))
    reports.write(verdict, directory, writers=["allure_results", "allure_report"])
    text = (directory / "report" / "allure" / "index.html").read_text("utf-8")
    held = "".join(
        b64decode(found).decode("utf-8", "replace") for found in re.findall(r'd\("[^"]*","([^"]*)"', text)
    )
    assert "../checks/browser.whole-flow.html" in held
    assert "t-attachment" not in held


def test_hostile_text_stays_text(mixed: tuple[RunVerdict, Path]) -> None:
    verdict, directory = mixed
    reports.write(verdict, directory, writers=FILES)
    assert "<script>alert(1)" not in (directory / "report" / "index.html").read_text()
    assert "<script>alert(1)" not in (directory / "report" / "checks.html").read_text()
    summary = (directory / "summary.md").read_text()
    assert "<script>" not in summary
    assert re.search(r"(?<!\\)\[a\]\(", summary) is None
    assert all(line.startswith("::") for line in (directory / "github.txt").read_text().splitlines())


def test_markdown_says_embedded_and_waivers(mixed: tuple[RunVerdict, Path]) -> None:
    verdict, directory = mixed
    reports.write(verdict, directory, writers=["markdown"])
    text = (directory / "summary.md").read_text()
    assert "no statement about a release" in text
    assert "OPS-1" in text


def test_github_prints_in_a_workflow_alone(
    mixed: tuple[RunVerdict, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    verdict, directory = mixed
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    reports.write(verdict, directory, writers=["github"])
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    reports.write(verdict, directory, writers=["github"])
    assert "::error title=Assay::" in capsys.readouterr().out
    assert "Broken" in (tmp_path / "step.md").read_text()


def test_the_manifest_can_be_checked(mixed: tuple[RunVerdict, Path]) -> None:
    verdict, directory = mixed
    reports.write(verdict, directory, writers=["pdf"])
    done = subprocess.run(
        ["sha256sum", "-c", "evidence.sha256"], cwd=directory, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "journal/" in done.stdout
    data = (directory / "summary.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data.count(b"/Type /Page ") + data.count(b"/Type /Page\n") == 1


def test_one_failing_writer_stops_no_other(mixed: tuple[RunVerdict, Path]) -> None:
    verdict, directory = mixed
    (directory / "junit.xml").mkdir()
    with pytest.raises(BrokenError, match="junit"):
        reports.write(verdict, directory, writers=FILES)
    assert (directory / "report" / "index.html").exists()


def test_curves_without_samples_draw_nothing(judged: Callable[..., RunVerdict], tmp_path: Path) -> None:
    verdict = judged("none", latency={})
    reports.write(verdict, tmp_path / "none", writers=["page"])
    assert (tmp_path / "none" / "report" / "index.html").exists()


def test_the_terminal_fits_a_hundred_columns(mixed: tuple[RunVerdict, Path]) -> None:
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    reports.show(mixed[0], Console(file=out, width=100))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert any("p95 < 100 ms" in line for line in lines)
    assert all(len(line) <= 100 for line in reports.gate(mixed[0])[0].splitlines())
