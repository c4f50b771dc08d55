"""Results of other tools as checks, from files that the real tools wrote (pytest 9, Playwright 1.65, k6 1.1)."""

import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from core.journal import Journal
from core.plan import ImportedResults, load_plan
from core.secret import Redactor
from reports.judging.judge import judge
from reports.judging.model import Waiver
from runner.imported import gather, journal_results
from tests.reports.made import Made

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def got(tmp_path):
    """`got(format, sample…)` imports copies of samples that were written just now, whatever day the samples are of."""

    def gathered(kind, *names, files="results/**/*", age=0.0, **more):
        folder = tmp_path / "results" / "deep"
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            source = SAMPLES / name
            copies = [shutil.copy(one, folder) for one in (source.iterdir() if source.is_dir() else [source])]
            for copy in copies:
                os.utime(copy, (time.time() - age, time.time() - age))
        results = ImportedResults(id="e2e", format=kind, files=files, newer_than=10 * 365 * 86_400.0, **more)
        return {f.passport.id: f for f in gather(results, tmp_path, time.time())}

    return gathered


def outcomes(found):
    return {identifier: finding.outcome for identifier, finding in found.items()}


def test_junit_of_pytest(got):
    found = got("junit", "pytest.xml")
    assert outcomes(found) == {
        "e2e": "met",
        "e2e.test_shop.testcart.test_adds": "met",
        "e2e.test_shop.testcart.test_counts": "missed",
        "e2e.test_shop.testcart.test_setup": "broken",
        "e2e.test_shop.testcart.test_later": "not_covered",
        "e2e.test_shop.testcart.test_known": "not_covered",
        "e2e.test_shop.test_alone_1": "met",
        "e2e.test_shop.test_alone_2": "met",
    }
    missed = found["e2e.test_shop.testcart.test_counts"]
    assert (missed.message, missed.passport.title) == ("assert 3 == 2", "test_shop.TestCart: test_counts")
    assert (missed.passport.imported, missed.passport.needs, missed.passport.gate) == ("junit", (), True)


def test_junit_of_playwright(got):
    found = got("junit", "playwright.xml")
    assert sorted(outcomes(found).values()) == ["broken", "met", "met", "met", "met", "missed", "not_covered"]


def test_playwright(got):
    found = got("playwright", "playwright.json")
    assert outcomes(found) == {
        "e2e": "met",
        "e2e.tests_shop.spec.ts.cart.adds_an_article": "met",
        "e2e.tests_shop.spec.ts.cart.counts_articles": "missed",
        "e2e.tests_shop.spec.ts.cart.flickers": "met",
        "e2e.tests_shop.spec.ts.cart.is_not_ready_yet": "not_covered",
        "e2e.tests_shop.spec.ts.cart.known_bug": "met",
        "e2e.tests_shop.spec.ts.stands_alone": "missed",
    }
    assert "three articles" in found["e2e.tests_shop.spec.ts.cart.counts_articles"].message
    assert "passed at attempt 2" in found["e2e.tests_shop.spec.ts.cart.flickers"].message


def test_playwright_where_the_team_forbids_flaky_tests(got, tmp_path):
    document = json.loads((SAMPLES / "playwright.json").read_text())
    document["config"]["failOnFlakyTests"] = True
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "own.json").write_text(json.dumps(document))
    assert got("playwright")["e2e.tests_shop.spec.ts.cart.flickers"].outcome == "missed"
    document["errors"] = [{"message": "SyntaxError: no such thing"}]
    (tmp_path / "results" / "own.json").write_text(json.dumps(document))
    found = got("playwright")
    assert outcomes(found) == {"e2e": "broken"}
    assert "no such thing" in found["e2e"].message


def test_tap(got, tmp_path):
    """What pgTAP and pg_prove print: directives, diagnostics, a plan at the end, one that does not hold."""
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "rls.tap").write_text(
        "ok 1 - reads\nnoise\nnot ok 2 - writes\n# Failed test 2\n#         have: 1\n"
        "ok 3 - later # SKIP no data\nnot ok 4 - some day # todo issue \\# 3\n    not ok 1 - inside\n1..5\n"
    )
    (tmp_path / "results" / "cut.tap").write_text("TAP version 13\n1..2\nok 1 - reads\nBail out! it ended\n")
    (tmp_path / "results" / "none.tap").write_text("1..0 # SKIP not here\n")
    found = got("tap")
    assert outcomes(found) == {
        "e2e": "met",
        "e2e.rls.reads": "met",
        "e2e.rls.writes": "missed",
        "e2e.rls.later": "not_covered",
        "e2e.rls.some_day": "missed",
        "e2e.rls.ran_to_its_end": "broken",
        "e2e.cut.reads": "met",
        "e2e.cut.ran_to_its_end": "broken",
        "e2e.none.ran_to_its_end": "not_covered",
    }
    assert "have: 1" in found["e2e.rls.writes"].message
    assert not found["e2e.rls.some_day"].passport.gate
    assert "planned 5 tests and ran 4" in found["e2e.rls.ran_to_its_end"].message
    (tmp_path / "results" / "new.tap").write_text("TAP version 99\n")
    assert outcomes(got("tap")) == {"e2e": "broken"}


@pytest.mark.parametrize("sample", ["k6-export.json", "k6-handle.json"])
def test_k6_in_both_its_forms(got, sample):
    found = got("k6", sample)
    assert outcomes(found) == {
        "e2e": "met",
        "e2e.thresholds.http_req_duration.p_95_500": "met",
        "e2e.thresholds.http_req_duration.p_99_0_0001": "missed",
        "e2e.thresholds.checks.rate_0_4": "met",
        "e2e.checks.shop.status_is_200": "met",
        "e2e.checks.shop.has_a_cart": "missed",
    }
    assert not found["e2e.checks.shop.has_a_cart"].passport.gate  # k6 lets its run pass
    assert found["e2e.thresholds.http_req_duration.p_99_0_0001"].passport.gate
    assert "p(95)" in found["e2e.thresholds.http_req_duration.p_99_0_0001"].message


def test_allure(got, tmp_path):
    found = got("allure", "allure")
    assert sorted(outcomes(found).values()) == [
        "broken",
        "met",
        "met",
        "met",
        "met",
        "missed",
        "not_covered",
        "not_covered",
    ]
    assert found["e2e.test_shop.testcart.test_counts"].outcome == "missed"
    assert found["e2e.test_shop.test_alone_2"].outcome == "met"
    (first,) = (p for p in SAMPLES.glob("allure/*.json") if '"test_counts"' in p.read_text())
    again = json.loads(first.read_text())
    again |= {"status": "passed", "start": again["start"] + 1000, "stop": again["stop"] + 1000}
    (tmp_path / "results" / "again-result.json").write_text(json.dumps(again))
    assert got("allure")["e2e.test_shop.testcart.test_counts"].outcome == "met"


def test_what_is_missing_old_or_too_little_is_not_covered(got, tmp_path):
    assert got("junit")["e2e"].message == "no file is at results/**/*"
    assert outcomes(got("junit", "pytest.xml", age=11 * 365 * 86_400.0)) == {"e2e": "not_covered"}
    few = got("junit", "pytest.xml", at_least=8)
    assert (few["e2e"].outcome, few["e2e"].message) == ("not_covered", "7 cases, and at least 8 are wanted")


def test_a_copy_of_old_results_is_old(tmp_path):
    """What an artifact's download writes is new, and what the tool says of its own time still counts."""
    shutil.copy(SAMPLES / "playwright.json", tmp_path)
    results = ImportedResults(id="e2e", format="playwright", files="*.json", newer_than=3600.0)
    started = 1_796_076_520.0
    (finding,) = gather(results, tmp_path, started + 3 * 86_400)
    assert finding.outcome == "not_covered"
    assert "ago, and only what is newer than 1 h counts" in finding.message


@pytest.mark.parametrize(
    ("kind", "name", "text", "said"),
    [
        ("junit", "a.xml", "<testsuites><testsuite>", "is not XML"),
        ("junit", "a.xml", "<html/>", "begins with <html>"),
        (
            "junit",
            "a.xml",
            '<!DOCTYPE x [<!ENTITY a "b">]><testsuites>&a;</testsuites>',
            "declares a DOCTYPE",
        ),
        ("playwright", "a.json", "[]", "is not a report of Playwright's JSON reporter"),
        ("playwright", "a.json", "{", "is not a report of Playwright's JSON reporter"),
        ("k6", "a.json", '{"metrics": {}}', "is not a summary of k6"),
        ("allure", "a-result.json", '{"status": "great"}', "is not a test result of Allure"),
    ],
)
def test_a_file_that_is_something_else_is_broken(got, tmp_path, kind, name, text, said):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / name).write_text(text)
    found = got(kind)
    assert outcomes(found) == {"e2e": "broken"}
    assert said in found["e2e"].message


def test_names_that_become_the_same_stay_apart(got, tmp_path):
    (tmp_path / "results").mkdir()
    cases = "".join(f'<testcase classname="A b" name="{n}"/>' for n in ("é", "ä", "x y", "x-y"))
    (tmp_path / "results" / "a.xml").write_text(f"<testsuite>{cases}</testsuite>")
    assert list(got("junit")) == ["e2e", "e2e.a_b.x_y", "e2e.a_b.x_y.2", "e2e.a_b", "e2e.a_b.2"]


PLAN = """
title = "Results of other tools"
budget = "1m"
[[results]]
id = "e2e"
format = "junit"
files = "../results/*.xml"
newer_than = "2h"
requirement = ["P6.1"]
"""


def test_results_go_through_manifest_report_and_waivers_like_any_check(tmp_path):
    """As the runner does it, on a run's folder of its own: each step but the target, which results do not need."""
    (tmp_path / "results").mkdir()
    shutil.copy(SAMPLES / "pytest.xml", tmp_path / "results")
    plans = tmp_path / "assay" / "plans"
    plans.mkdir(parents=True)
    (plans / "own.toml").write_text(PLAN)
    plan = load_plan("own", plans, {})
    assert plan.manifest().checks == ("e2e",)
    results = plan.results[0].model_copy(update={"newer_than": 10 * 365 * 86_400.0})
    plan = replace(plan, results=(results,))
    made = Made(
        tmp_path / "run", checks=[], loads={}, objectives=[], samples={}, latency={}, manifest_extra=["e2e"]
    )
    made.write()
    journal = Journal(made.directory, "results", Redactor())
    journal_results(plan.results, plan.folder, journal)
    journal.close()
    verdict = judge(made.directory, waivers=[])
    assert verdict.exit == 3
    whole = next(c for c in verdict.checks if c.id == "e2e")
    assert (whole.state, whole.required, whole.imported) == ("met", True, "junit")
    assert whole.title.endswith("(imported, no witness)")
    assert {c.who for c in verdict.causes} >= {
        "e2e.test_shop.testcart.test_counts",
        "e2e.test_shop.testcart.test_setup",
    }
    excused = [
        Waiver(f"e2e.test_shop.testcart.{name}", "known", "ada", "OPS-1", "2099-01-01")
        for name in ("test_counts", "test_setup")
    ]
    assert not {c.who for c in judge(made.directory, waivers=excused).causes} & {w.check for w in excused}
