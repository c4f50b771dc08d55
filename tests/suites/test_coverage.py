"""The report's matrix of requirements has no empty row on the embedded target, but for what later issues fill."""

from __future__ import annotations

import tomllib

from clients.services import catalogue
from core.permit import EVERYTHING
from core.run import ROOT
from core.service import Service
from reports.judging.checks import judge_requirements
from reports.judging.model import CheckResult
from runner import declared_checks
from runner.doctor import passports

ELSEWHERE = ("P6.2", "prod.scale", "D9", "D10", "D12")
"""Rows that no check can fill: loads, objectives, documents and the workflow speak of them."""


def test_every_requirement_has_a_check_that_decides():
    wanted = {
        identifier
        for part in tomllib.loads((ROOT / "reports" / "requirements.toml").read_text()).values()
        for identifier in part
    }
    covered = {r for p in passports().values() if p.gate for r in p.requirement}
    assert covered <= wanted, "a passport names a requirement that the report has no row for"
    empty = sorted(wanted - covered)
    assert set(empty) <= set(ELSEWHERE), f"no check decides {empty}"


def test_the_reports_matrix_shows_it():
    """The same by the report's own judgement, each check met: no row but those is empty."""
    checks = [
        CheckResult(id=p.id, state="met", service=p.service, requirement=list(p.requirement))
        for p in passports().values()
    ]
    rows = judge_requirements(checks, [])
    assert {row.id for row in rows if row.state != "met"} <= set(ELSEWHERE)


def test_every_check_is_found_and_every_capability_is_tried():
    found = passports()
    assert set(found) == {declared.id for declared in declared_checks.declared()}
    known: set[str] = {c for service in catalogue() for c in service.capabilities}
    used = {need for p in found.values() for need in p.needs}
    assert known <= used, f"no check needs {sorted(known - used)}"
    assert all(set(p.actions) <= EVERYTHING for p in found.values())


def test_every_service_has_checks_and_a_proof_of_reality():
    found = passports().values()
    services: dict[str, Service] = {s.id: s for s in catalogue()}
    for identifier in services:
        mine = [p for p in found if p.service == identifier]
        assert mine, identifier
        real = [p for p in found if "done.nomocks" in p.requirement and p.service == identifier]
        assert real, f"nothing proves that {identifier} is real"
