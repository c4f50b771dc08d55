"""The files that a run is judged by: a target's own numbers, and a project's own files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from core.errors import ConfigError
from reports import RunVerdict, judge
from reports.judging.model import ObjectiveResult
from reports.judging.overrides import Sources, override_of
from tests.reports.made import Made


def objective(verdict: RunVerdict, identifier: str) -> ObjectiveResult:
    return next(o for o in verdict.objectives if o.id == identifier)


def test_a_target_has_numbers_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Made(tmp_path / "run", live=True).write()
    own = tmp_path / "objectives.production.toml"
    own.write_text('["perf.rooms"]\nlimit = 5\n')
    monkeypatch.setattr(
        sys.modules["reports.judging.overrides"], "override_of", lambda name, _: override_of(name, tmp_path)
    )
    assert objective(judge(directory, waivers=[]), "perf.rooms").limit == 5
    assert override_of("staging", tmp_path) is None
    assert override_of("../production", tmp_path) is None
    Sources(tmp_path).check()
    own.write_text('\n\n["perf.rooms"]\nlimit = "five"\n')
    with pytest.raises(ConfigError, match=r"objectives.production.toml line 4"):
        Sources(tmp_path).check()


def test_a_project_is_judged_by_its_own_files_now_and_later(tmp_path: Path) -> None:
    project = tmp_path / "assay"
    project.mkdir()
    (project / "objectives.toml").write_text('["perf.rooms"]\nlimit = 5\nsamples = 7\n')
    (project / "objectives.production.toml").write_text('["perf.rooms"]\nsamples = 9\n')
    (project / "requirements.toml").write_text('[Ours]\n"OURS-1" = "people can join"\n')
    (project / "waivers.toml").write_text(
        '[[waiver]]\ncheck = "no.such"\nreason = "r"\nowner = "o"\nticket = "t"\nexpiry = 2999-01-01\n'
    )
    directory = Made(tmp_path / "run", live=True, project=str(project)).write()
    verdict = judge(directory)
    found = objective(verdict, "perf.rooms")
    assert found.limit == 5
    assert [one.id for one in verdict.requirements] == ["OURS-1"]
    assert any("'no.such'" in note for note in verdict.notes)
    project.rename(tmp_path / "elsewhere")
    gone = judge(directory)
    assert any("--project" in note for note in gone.notes)
    assert objective(gone, "perf.rooms").limit != 5
    here = judge(directory, project=tmp_path / "elsewhere")
    assert [one.id for one in here.requirements] == ["OURS-1"]
