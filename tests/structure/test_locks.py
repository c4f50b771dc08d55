"""Lock files: everything pinned, everything hashed, no address in them, and nothing missing from them."""

from __future__ import annotations

import json
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from launcher import locks
from tests.structure.tree import ROOT

PYTHON = sorted(path.name for path in (ROOT / "locks").glob("*.txt"))
NPM = ["package-lock.json", "locks/browser/package-lock.json"]


@pytest.mark.parametrize("lock", PYTHON)
def test_python_locks_are_pinned_hashed_and_free_of_addresses(lock: str) -> None:
    path = ROOT / "locks" / lock
    assert locks.python_pins(path)  # refuses an entry without pin or hash
    assert not re.search(r"://|--index|--find|file:|git\+", path.read_text())


@pytest.mark.parametrize("lock", NPM)
def test_npm_locks_are_hashed_and_free_of_addresses(lock: str) -> None:
    path = ROOT / lock
    assert locks.npm_packages(
        path
    )  # refuses an entry without hash, and a package.json that asks for something else
    text = path.read_text()
    assert '"resolved"' not in text
    # licences and funding apart, which are for people
    assert not re.search(r'"(version|integrity|from)": "[^"]*://', text)


@pytest.mark.parametrize("manifest", ["package.json", "locks/browser/package.json"])
def test_npm_packages_are_asked_for_exactly(manifest: str) -> None:
    asked = json.loads((ROOT / manifest).read_text())
    assert asked["private"] is True
    for group in ("dependencies", "optionalDependencies", "devDependencies"):
        for package, version in asked.get(group, {}).items():
            assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", version), f"{package} {version}"
    assert "scripts" not in asked


def _satisfied(wanted: list[str], lock: str) -> list[str]:
    pins = locks.python_pins(ROOT / "locks" / lock)
    missing = []
    for text in wanted:
        requirement = Requirement(text)
        entry = pins.get(canonicalize_name(requirement.name), "")
        versions = re.findall(r"^[^\s=]+==([^\s;\\]+)", entry, re.MULTILINE)
        if not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
            missing.append(text)
    return missing


def test_the_lock_holds_all_that_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert _satisfied(wanted, "assay.txt") == []


@pytest.mark.parametrize("source", sorted(path.name for path in (ROOT / "locks").glob("*.in")))
def test_each_other_lock_holds_what_its_source_asks_for(source: str) -> None:
    lines = [line.split("#")[0].strip() for line in (ROOT / "locks" / source).read_text().splitlines()]
    assert _satisfied([line for line in lines if line], source.replace(".in", ".txt")) == []


def test_no_package_takes_the_name_of_a_room() -> None:
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir()}
    for lock in PYTHON:
        assert not rooms & set(locks.python_pins(ROOT / "locks" / lock))
