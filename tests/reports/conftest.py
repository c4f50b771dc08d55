"""Fixtures of the reports' tests: made runs in a folder of their own, and no shared state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reports.judging.judge import judge
from reports.judging.model import RunVerdict
from reports.rendering import allure
from tests.reports.made import Made


@pytest.fixture(autouse=True)
def _no_shared_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allure, "HISTORY", tmp_path / "allure-history")


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., RunVerdict]:
    """`judged(name, **changes)` makes a run with these changes to a passing one, and judges it."""

    def make(
        name: str = "run", *, waivers: Any = None, mutes: Any = None, history: Any = None, **changes: Any
    ) -> RunVerdict:
        directory = Made(tmp_path / name, **changes).write()
        return judge(directory, waivers=waivers or [], mutes=mutes or [], history=history)

    return make
