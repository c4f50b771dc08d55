"""A check that prints 200 MB and says 20: the run stays small, its report opens, and what was cut is told."""

import os
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest
from playwright.sync_api import sync_playwright

from tests.chromium import launched
from tests.runner.sandbox import ROOT

TARGET = """
[capabilities]
"platform.api" = "required"
[permit]
actions = ["read"]
"""
CHECK = """
from core.expect import expect
from core.passport import check
from core.permit import Action


@check(
    "talk.much", "Little is said", requirement="KV", service="platform", needs="platform.api", actions=[Action.READ]
)
def test_much():
    for number in range(2000):
        print(f"{number:04}" + "x" * 99_995)
    expect(False, "begun " + "y" * 20_000_000)
"""
PRINTED, SAID = 200_000_000, 20_000_006
LARGEST_RUN = 30_000_000
"""Bytes that a run of two checks may leave, as `bench.hostile.judge` has it."""


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The folder of such a run, made by the command on a project that nothing answers for."""
    project = tmp_path_factory.mktemp("project")
    (project / "checks").mkdir()
    (project / "target.toml").write_text(TARGET)
    (project / "checks" / "test_talk.py").write_text(CHECK)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ASSAY_", "PYTEST_", "GITHUB_"))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "cli",
            "check",
            "talk.much",
            "--target",
            "live",
            "--target-file",
            "target.toml",
        ],
        cwd=project,
        env=kept
        | {
            "PYTHONPATH": str(ROOT),
            "PLATFORM_URL": "http://127.0.0.1:9",
            "ASSAY_RUNS": str(project / "runs"),
            "ASSAY_HISTORY": str(project / "history.sqlite"),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    [run] = (project / "runs").iterdir()
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert len(done.stdout) < 100_000
    return run


def test_its_folder_stays_small(judged):
    assert sum(path.stat().st_size for path in judged.rglob("*") if path.is_file()) < LARGEST_RUN


def test_every_cut_is_told(judged):
    printed = [path.read_text() for path in (judged / "allure-results").glob("*-attachment.txt")]
    printed += [path.read_text() for path in (judged / "logs").glob("*checks.log")]
    assert len(printed) == 2
    for text in printed:
        assert f"of {PRINTED:,} characters left out" in text
    [case] = [
        c for c in ET.parse(judged / "junit.xml").getroot().iter("testcase") if c.find("failure") is not None
    ]
    said = "".join(case.itertext()) + "".join(str(f.attrib) for f in case)
    assert f"of {SAID:,} characters left out" in said


def test_its_pages_open_in_a_browser(judged):
    with sync_playwright() as playwright:
        browser = launched(playwright)
        for name in ("index.html", "checks/talk.much.html"):
            page = browser.new_page()
            page.goto((judged / "report" / name).as_uri())
            assert f"of {SAID:,} characters left out" in page.content(), name
        page = browser.new_page()
        page.goto((judged / "report" / "allure" / "index.html").as_uri())
        page.wait_for_function("document.body.innerText.includes('Little is said')")
        browser.close()
